"""Label Studio: a JSON file of tasks with their annotations, or the shorter one that it calls JSON-MIN.

Rules are from its documentation ("Label Studio JSON format of annotated tasks" and the pages of its tags): coordinates are per
cent of the picture's width and height, a rectangle turns about its upper left corner in degrees, a brush is run lengths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from maskzoo.datasets.importers.brush_mask import decode_brush
from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, draw_ellipse, draw_mask, draw_rectangle, read_numbers, read_points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.picture_names import split_address
from maskzoo.images.find import IMAGE_SUFFIXES

__all__ = ["is_label_studio", "read_label_studio"]

ANSWERS = ("choices", "text", "rating", "number", "taxonomy")  # what a person says about a region beside its label
SHAPES = ("points", "rle", "radiusX", "imageDataURL", "x")  # each kind of region has one of these fields, in this order


def is_label_studio(content: Any) -> bool:
    """Say whether the content of a JSON file looks like Label Studio's, JSON or JSON-MIN."""
    content = _list_tasks(content)
    first = content[0] if content else None
    if not isinstance(first, dict):
        return False
    whole = isinstance(first.get("data"), dict) and _list_annotations(first) is not None
    return whole or any(True for task in content[:20] if isinstance(task, dict) for _ in _list_short_results(task))


def _list_tasks(content: Any) -> list[Any]:
    """Return the tasks of a file, which is the list of them, one, or one annotation with its task as cloud storage gets it."""
    if isinstance(content, dict) and isinstance(content.get("task"), dict) and isinstance(content.get("result"), list):
        return [content["task"] | {"annotations": [content]}]
    if isinstance(content, dict) and isinstance(content.get("data"), dict):
        return [content]
    return content if isinstance(content, list) else []


def read_label_studio(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read Label Studio's JSON files in a folder and the folders in it; folders `train`, `val` and `test` are splits.

    Of several annotations of a task the first is taken that was not cancelled, one marked as ground truth before others.
    Tasks without one are skipped by name, because nobody has looked at their pictures. Polygons, ellipses, brushes and
    turned rectangles become polygons; upright rectangles are boxes without an outline. Predictions are not read.
    """
    labels = Labels(source, "Label Studio")
    seen: set[Any] = set()
    for path, content in labels.read_files():
        if not is_label_studio(content):
            labels.skip(path, "", "not a Label Studio file: it is no list of tasks; export JSON or JSON-MIN")
            continue
        for place, task in enumerate(_list_tasks(content)):
            row = f"task {task.get('id', place)}" if isinstance(task, dict) else f"place {place}"
            named = _find_address(task)
            if named is None:
                labels.skip(path, row, "names no picture, or several; expected one in its data")
                continue
            if "data" not in task and (path, named) in seen:  # JSON-MIN has a row for each annotation of a task
                labels.tell("Of several annotations of a task the first was taken", row)
                continue
            seen.add((path, named))
            results = _choose_results(labels, path, row, task)
            if results is not None:
                labels.pictures.append(_read_picture(path, row, named, results))
    return labels.to_drafts(options)


def _find_address(task: Any) -> str | None:
    """Return the address of the task's picture: the one field of its data that has a picture's suffix, or `image`."""
    data = task.get("data", task) if isinstance(task, dict) else None
    texts = {name: value for name, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
    if "image" in texts:
        return texts["image"]
    found = [text for text in texts.values() if PurePosixPath("/".join(split_address(text))).suffix.lower() in IMAGE_SUFFIXES]
    return found[0] if len(found) == 1 else None


def _list_annotations(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the annotations of a whole task, which old versions call completions; None if it is none."""
    found = task.get("annotations", task.get("completions", [] if "predictions" in task else None))
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None


def _list_short_results(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the regions of a task of JSON-MIN, which stand under the names of their controls."""
    for name, values in task.items():
        for value in values if isinstance(values, list) else []:
            if isinstance(value, dict) and "original_width" in value:
                yield {"value": value, "from_name": name} | {
                    key: value.get(key) for key in ("original_width", "original_height")
                }


def _choose_results(labels: Labels, path: Path, row: str, task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the regions of the annotation that counts; None, told, if there is none."""
    if "data" not in task:
        return list(_list_short_results(task))
    every = _list_annotations(task) or []
    if task.get("predictions"):
        labels.tell("Predictions are not read, only what a person has accepted", row)
    sound = [one for one in every if not one.get("was_cancelled", one.get("skipped")) and isinstance(one.get("result"), list)]
    if not sound:
        labels.skip(path, row, "its annotation was cancelled" if every else "has no annotation yet")
        return None
    if len(sound) > 1:
        labels.tell("Of several annotations of a task the first was taken", row)
    best = next((one for one in sound if one.get("ground_truth")), sound[0])
    return [one for one in best["result"] if isinstance(one, dict)]


def _read_picture(path: Path, row: str, named: str, results: list[dict[str, Any]]) -> LabelledPicture:
    """Labels of regions and answers about them may stand in rows of their own, which share the region's id."""
    numbers = [str(result.get("id", place)) for place, result in enumerate(results)]  # JSON-MIN has no ids
    texts: dict[str, list[str]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for number, result in zip(numbers, results, strict=True):
        for name, found in _get_value(result).items():
            if name.endswith("labels") and isinstance(found, list):
                texts.setdefault(number, []).extend(text for text in found if isinstance(text, str))
            elif name in ANSWERS:
                plain = found[0] if isinstance(found, list) and len(found) == 1 else found
                answers.setdefault(number, {})[str(result.get("from_name", name))] = plain
    shapes: dict[str, LabelledShape] = {}
    sizes = Counter[Size]()
    for number, result in zip(numbers, results, strict=True):
        kind = next((name for name in SHAPES if name in _get_value(result)), None)
        if kind is None or number in shapes:
            continue
        shapes[number] = _read_region(f"region {number}", result, kind, texts.get(number, []))
        meta = result.get("meta")
        shapes[number].attributes = (meta if isinstance(meta, dict) else {}) | answers.get(number, {})
        height, width = result.get("original_height"), result.get("original_width")
        if isinstance(height, int) and isinstance(width, int):
            sizes[height, width] += 1
    size = sizes.most_common(1)[0][0] if sizes else None
    return LabelledPicture(path, row, named, size, list(shapes.values()), relative=True)


def _get_value(result: dict[str, Any]) -> dict[str, Any]:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _read_region(row: str, result: dict[str, Any], kind: str, labels: list[str]) -> LabelledShape:
    value = result["value"]
    names = list(dict.fromkeys(labels))
    fault = (
        ""
        if len(names) == 1
        else f"is {' and '.join(map(str, names))} at once; expected one label"
        if names
        else "has no label"
    )
    if result.get("image_rotation") not in (None, 0):
        fault = f"was drawn on the picture turned by {result['image_rotation']} degrees; turn it back in Label Studio"
    original = result.get("original_height"), result.get("original_width")
    label = names[0] if names else None
    is_box = kind == "x" and "width" in value and not value.get("rotation")
    return LabelledShape(label, row, partial(_draw, value, kind, original), is_box=is_box, fault=fault)


def _draw(value: dict[str, Any], kind: str, original: tuple[Any, Any], size: Size) -> list[Points]:
    """Return a region's outlines. Raises ValueError that says why there are none."""
    across, down = size[1] / 100, size[0] / 100  # pixels in a per cent
    if kind == "points":
        points = read_points(value["points"])
        if len(points) < 3 or value.get("closed") is False:
            raise ValueError(f"an open line or {len(points)} points; expected a closed polygon of 3 or more")
        return [(points * (across, down)).ravel()]
    if kind == "rle":
        if original != size:
            raise ValueError(f"a brush on {original[1]} x {original[0]} pixels, its picture has {size[1]} x {size[0]}")
        polygons = trace(decode_brush(value["rle"], size))
        if not polygons:
            raise ValueError("its brush is empty")
        return polygons
    if kind == "imageDataURL":
        return draw_mask(value["imageDataURL"], np.zeros(2), size)
    turned = 0.0 if value.get("rotation") is None else read_numbers(value, "rotation")[0]
    if kind == "radiusX":
        x, y, wide, high = read_numbers(value, "x", "y", "radiusX", "radiusY")
        return [draw_ellipse(x * across, y * down, wide * across, high * down, turned)]
    if "height" not in value:
        raise ValueError("a point has no area; expected a polygon, brush, ellipse or rectangle")
    x, y, width, height = read_numbers(value, "x", "y", "width", "height")
    return [draw_rectangle(x * across, y * down, width * across, height * down, turned)]
