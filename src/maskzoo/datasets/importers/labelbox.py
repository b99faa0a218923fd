"""Labelbox: the rows of an export, a JSON object for each picture, one a line (NDJSON) or in a list.

Fields are those of Labelbox's export of image projects: an object's `polygon` or `bounding_box` is in pixels; its masks lie on
Labelbox's server and stand in the file as addresses alone. The first version's rows have the same under other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions, read_text
from maskzoo.datasets.importers.drawn_shapes import Points, draw_rectangle, read_numbers
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.errors import MaskzooError
from maskzoo.system.files import open_regular
from maskzoo.system.json_text import parse_json

__all__ = ["has_labelbox_rows", "is_labelbox", "read_labelbox"]

SUFFIXES = (".ndjson", ".jsonl")
HEAD = 1 << 20  # bytes of a file in which its first row ends, mostly


def is_labelbox(content: Any) -> bool:
    """Say whether the content of a JSON file is a row of Labelbox's export, or a list of them."""
    row = content[0] if isinstance(content, list) and content else content
    newer = isinstance(_get(row, "data_row"), dict) and isinstance(_get(row, "projects"), dict)
    return newer or (isinstance(_get(row, "Labeled Data"), str) and "Label" in row)


def has_labelbox_rows(source: Path) -> bool:
    """Say whether a file with a row a line, or one in a folder, begins with a row of Labelbox's export."""
    files = [path for suffix in SUFFIXES for path in source.glob(f"*{suffix}")] if source.is_dir() else [source]
    return any(path.suffix.lower() in SUFFIXES and _begins_as_labelbox(path) for path in files)


def _begins_as_labelbox(path: Path) -> bool:
    with suppress(OSError, ValueError), open_regular(path) as file:
        return is_labelbox(parse_json(file.readline(HEAD)))
    return False


def read_labelbox(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read Labelbox's exports in a folder and the folders in it; folders `train`, `val` and `test` are splits.

    Polygons are objects, bounding boxes are boxes without an outline; masks and what has no area are skipped by name. Of
    several labels of a picture the first is taken. Pictures are found by their external id or the end of their address.
    """
    labels = Labels(source, "Labelbox")
    for path, row, content in _read_rows(labels):
        if not is_labelbox(content):
            labels.skip(path, row, "not a row of Labelbox's export; expected data_row and projects")
            continue
        content = _modernise(content)
        found = [one for project in content["projects"].values() for one in _list(_get(project, "labels"))]
        if not found:
            labels.skip(path, row, "has no label yet")
            continue
        if len(found) > 1:
            labels.tell("Of several labels of a picture the first was taken", row or path.name)
        objects = _list(_get(_get(found[0], "annotations"), "objects"))
        media = content.get("media_attributes")
        height, width = _get(media, "height"), _get(media, "width")
        size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        named = content["data_row"].get("external_id") or content["data_row"].get("row_data")
        shapes = [_read_object(f"object {place}", one) for place, one in enumerate(objects)]
        labels.pictures.append(LabelledPicture(path, row, named, size, shapes))
    return labels.to_drafts(options)


def _read_rows(labels: Labels) -> Iterator[tuple[Path, str, Any]]:
    """Yield each row with its file and place; what cannot be read is left out by name."""
    suffix = labels.source.suffix.lower()
    if labels.source.is_dir() or suffix not in SUFFIXES:
        for path, content in labels.read_files():
            rows = content if isinstance(content, list) else [content]
            yield from ((path, f"row {number}" if len(rows) > 1 else "", row) for number, row in enumerate(rows))
    files = [path for ending in SUFFIXES for path in labels.list_files(ending)] if labels.source.is_dir() else [labels.source]
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            lines = read_text(path).splitlines()
        except MaskzooError as error:
            labels.skip(path, "", error)
            continue
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    yield path, f"line {number}", parse_json(line.encode())
            except ValueError as error:
                labels.skip(path, f"line {number}", f"no JSON: {error}")


def _modernise(row: dict[str, Any]) -> dict[str, Any]:
    """Bring a row of the first version to the form of the second; others are returned as they are."""
    if "data_row" in row:
        return row
    old = {"bbox": "bounding_box", "title": "name", "instanceURI": "mask"}
    objects = [
        {old.get(name, name): value for name, value in one.items() if name != "name"} if isinstance(one, dict) else one
        for one in _list(_get(row["Label"], "objects"))
    ]
    labels = [{"annotations": {"objects": objects}}] if isinstance(row["Label"], dict) and not row.get("Skipped") else []
    named = {"external_id": row.get("External ID"), "row_data": row["Labeled Data"]}
    return {"data_row": named, "projects": {"": {"labels": labels}}}


def _get(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, dict) else None


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _read_object(row: str, one: Any) -> LabelledShape:
    answers = {str(_get(answer, "name")): _read_answer(answer) for answer in _list(_get(one, "classifications"))}
    return LabelledShape(
        _get(one, "name"),
        row,
        partial(_draw, one),
        is_box=_get(one, "bounding_box") is not None,
        attributes={name: value for name, value in answers.items() if value is not None},
    )


def _read_answer(answer: Any) -> Any:
    """Return what was chosen or written: a name, a list of names, or a text."""
    if (names := _get(answer, "checklist_answers")) is not None:
        return [_get(name, "name") for name in _list(names)]
    return _get(_get(answer, "radio_answer"), "name") or _get(_get(answer, "text_answer"), "content")


def _draw(one: dict[str, Any], size: Size) -> list[Points]:
    """Return an object's outline. Raises ValueError that says why there is none."""
    if (points := one.get("polygon")) is not None:
        flat = np.array([value for point in _list(points) for value in read_numbers(point, "x", "y")])
        if flat.size < 6:
            raise ValueError(f"a polygon of {flat.size // 2} points; expected 3 or more")
        return [flat]
    if (box := one.get("bounding_box")) is not None:
        top, left, height, width = read_numbers(box, "top", "left", "height", "width")
        return [draw_rectangle(left, top, width, height)]
    if "mask" in one or "composite_mask" in one:
        raise ValueError("a mask that lies on Labelbox's server; download it, or export the project in COCO's format")
    raise ValueError(f"{one.get('annotation_kind')!r:.40} has no area; expected a polygon or a bounding box")
