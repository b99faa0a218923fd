"""COCO panoptic: a JSON file with the segments of each picture, and a PNG for each whose colours are their ids.

By COCO's description of the format: id = red + 256 * green + 65536 * blue; 0 belongs to nothing; `isthing` says which
categories have separate objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.mask_files import read_mask, trace_objects
from maskzoo.datasets.importers.picture_index import PictureIndex
from maskzoo.datasets.layout import SPLITS, name_split
from maskzoo.errors import ImageError, SourceError, count_words, list_some
from maskzoo.images.read import read_stored

__all__ = ["is_panoptic", "read_panoptic"]

TABLES = {"images": "id", "annotations": "image_id", "categories": "id"}  # with what tells their rows apart
Row = dict[str, Any]


def is_panoptic(content: Any) -> bool:
    """Say whether the content of a JSON file is COCO panoptic."""
    rows = content.get("annotations") if isinstance(content, dict) else None
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "segments_info" in rows[0]


def read_panoptic(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read the panoptic files of a folder; a file's name says its split.

    The PNGs lie in the folder of the JSON file's name. Classes are the things, in the file's order; what is no thing (sky,
    grass ...) is left out and counted. `iscrowd` is kept. Outlines are exactly the masks.

    Raises SourceError if no file has categories that say what is a thing.
    """
    labels = Labels(source, "COCO panoptic")
    contents = {}
    for path, content in labels.read_files():
        if not is_panoptic(content):
            continue  # the folder holds COCO's other files as well
        if all(_are_rows(content.get(table), key) for table, key in TABLES.items()):
            contents[path] = content
        else:
            labels.skip(path, "", f"expected the lists {', '.join(TABLES)}, each row an object with its id")
    things = {path: _list_things(path, content["categories"]) for path, content in contents.items()}
    names = list(options.classes or dict.fromkeys(name for known in things.values() for name in known.values() if name))
    if not names:
        raise SourceError(
            f"{source}: no category of a panoptic file is a thing (isthing 1); expected some; correct its categories"
        )
    split_of = {path: name_split(path.stem) or "" for path in contents}
    drafts = {split: DatasetBuilder(names) for split in (*SPLITS, "") if split in split_of.values()}
    for path, content in contents.items():
        _read_file(drafts[split_of[path]], path, content, things[path], PictureIndex(labels.root), options)
    for row in labels.skipped:
        next(iter(drafts.values())).skip(*row)
    return drafts


def _are_rows(rows: Any, key: str) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get(key), int | str) for row in rows)


def _list_things(path: Path, categories: Sequence[Row]) -> dict[str, str]:
    """Return the name of each category by id as text, "" for what is no thing."""
    unsaid = next((row for row in categories if row.get("isthing") not in (0, 1)), None)
    if unsaid is not None:
        name = unsaid.get("name")
        raise SourceError(f"{path}: the category {name!r:.60} does not say whether it is a thing; expected isthing 0 or 1")
    return {str(row["id"]): str(row.get("name")) if row["isthing"] else "" for row in categories}


def _read_file(
    draft: DatasetBuilder, path: Path, content: Row, things: dict[str, str], index: PictureIndex, options: ImportOptions
) -> None:
    images = {row["id"]: row.get("file_name") for row in content["images"]}
    pairs: dict[Path, tuple[Path, Row]] = {}
    for row in content["annotations"]:
        number = row.get("image_id")
        found = _find_pair(path, images.get(number), row.get("file_name"), index)
        if isinstance(found, str):
            draft.skip(path, f"image {number}", found)
        else:
            pairs[found[0]] = (found[1], row)
    stuff = 0
    for picture, size in draft.measure(list(pairs), options.on_progress):
        stuff += _read_image(draft, picture, size, *pairs[picture], things)
    if stuff:
        left_out = [str(row.get("name")) for row in content["categories"] if not row["isthing"]]
        draft.notes.append(f"{path.name}: {count_words(stuff, 'segment')} that are no things left out: {list_some(left_out)}")


def _find_pair(path: Path, named: Any, mask: Any, index: PictureIndex) -> tuple[Path, Path] | str:
    """Return a picture and its mask, or what is missing."""
    if not isinstance(named, str) or not isinstance(mask, str):
        return f"names the picture {named!r:.60} and the mask {mask!r:.60}; expected file names"
    folders = (path.with_suffix(""), path.parent.parent / path.stem, path.parent)
    masks = [folder / mask for folder in folders if (folder / mask).is_file()]
    if not masks:
        return f"no mask {mask!r:.60} in {folders[0]}; unpack the PNGs there"
    folder = path.stem.removeprefix("panoptic_")
    places = [f"{place}/{named}" for place in (folder, "images", f"images/{folder}")]
    found = index.find(next((place for place in places if (index.root / place).is_file()), named), path.parent)
    if found.path is None or found.path.is_relative_to(masks[0].parent.absolute()):
        return f"found {named!r:.80}; expected a picture in the folder {index.root}"
    return found.path, masks[0]


def _read_image(
    draft: DatasetBuilder, picture: Path, size: tuple[int, int], file: Path, row: Row, things: dict[str, str]
) -> int:
    """Add a picture and its things; return how many segments are none."""
    try:
        ids = _read_ids(file, size)
    except ImageError as error:
        draft.skip(file, "", error)
        return 0
    image = draft.add_image(picture, size)
    listed = row.get("segments_info")
    segments = {one["id"]: one for one in (listed if isinstance(listed, list) else []) if _are_rows([one], "id")}
    present = set(np.unique(ids).tolist()) - {0}
    for number in sorted(present ^ segments.keys(), key=str):
        missing = "in the JSON file, and none of its pixels" if number in segments else "a colour, and not in the JSON file"
        draft.skip(file, f"segment {number}", missing)
    wanted = {number: things.get(str(segments[number].get("category_id"))) for number in present & segments.keys()}
    for one in trace_objects(
        np.where(np.isin(ids, [number for number, name in wanted.items() if name in draft.names]), ids, 0)
    ):
        segment, name = segments[one.number], wanted[one.number]
        label, origin = draft.names.index(str(name)), (file, f"segment {one.number}")
        draft.add_object(image, label, one.polygons, origin, area=len(one.pixels), crowd=segment.get("iscrowd") == 1)
    for number, name in wanted.items():
        if name is None:
            draft.skip(file, f"segment {number}", f"of the unknown category {segments[number].get('category_id')!r:.40}")
    return sum(name == "" for name in wanted.values())


def _read_ids(file: Path, size: tuple[int, int]) -> NDArray[np.int64]:
    image = read_stored(file)
    if image.mode not in ("RGB", "RGBA"):
        return read_mask(file, size).numbers
    if image.size != size[::-1]:
        raise ImageError(f"{file}: {image.width} x {image.height} pixels; expected its picture's {size[1]} x {size[0]}")
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), 2, 0)
    ids: NDArray[np.int64] = red + 256 * green + 65536 * blue
    return ids
