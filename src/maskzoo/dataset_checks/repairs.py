"""What can be repaired of a box, an outline or an image's size without guessing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskzoo.dataset_checks.annotation_checks import NO_AREA, SLIGHT_PART, SLIGHT_PIXELS, measure_outlines
from maskzoo.datasets.annotations import SMALLEST_SIDE
from maskzoo.datasets.coco_reader import AnnotationsError, Fault, is_number, pack_annotations

__all__ = ["Outline", "clip_box", "measure_sound", "rewrite_numbers", "to_corners", "turn_size"]

Row = dict[str, Any]
WHOLE = {
    "images": ("id", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "iscrowd", "ignore"),
    "categories": ("id",),
}
LARGEST_DOUBLE = 2.0**53  # up to here a double stands for one whole number


@dataclass(frozen=True, slots=True)
class Outline:
    """A sound outline: its polygons (none for run lengths) of so many given, extent x1 y1 x2 y2, area, image's w, h."""

    polygons: list[list[float]]
    given: int
    extent: list[float]
    area: float
    size: tuple[int, int]


def measure_sound(outlines: Mapping[int, tuple[Any, Row]]) -> dict[int, Outline]:
    """Return what is sound, as the strict reader has it, of some outlines, each with its image's row; by the same keys.

    Polygons at fault or without area are left out; an outline of which nothing is left is not in the result.
    """
    kept = {key: outline for key, (outline, _) in outlines.items()}
    while kept:
        images = {outlines[key][1]["id"]: outlines[key][1] for key in kept}
        try:
            packed = pack_annotations(_make_content(kept, outlines, list(images.values())), "")
        except AnnotationsError as error:
            kept = _leave_out(kept, outlines, list(images), error.faults)
            continue
        extent, area, parts = measure_outlines(packed)
        owner = np.repeat(np.arange(len(packed.ids)), np.diff(packed.polygon_first))
        flat: dict[int, set[int]] = defaultdict(set)
        for row in np.flatnonzero(parts <= NO_AREA).tolist():
            flat[int(packed.ids[owner[row]])].add(row - int(packed.polygon_first[owner[row]]))
        if not flat:
            found = zip(packed.ids.tolist(), extent.tolist(), area.tolist(), strict=True)
            return {key: _make_outline(kept[key], outlines[key], box, size) for key, box, size in found if size > NO_AREA}
        kept = _leave_polygons_out(kept, flat)
    return {}


def _make_content(kept: Mapping[int, Any], outlines: Mapping[int, tuple[Any, Row]], images: list[Row]) -> Row:
    """Return a COCO file's content in which nothing but images and outlines can be at fault."""
    blank = {"category_id": 0, "bbox": [0, 0, 0, 0], "area": 0}
    rows = [{"id": key, "image_id": outlines[key][1]["id"], "segmentation": one, **blank} for key, one in kept.items()]
    return {"images": images, "annotations": rows, "categories": [{"id": 0, "name": "any"}]}


def _make_outline(kept: Any, given: tuple[Any, Row], extent: list[float], area: float) -> Outline:
    polygons, (outline, image) = kept if isinstance(kept, list) else [], given
    return Outline(polygons, len(outline) if isinstance(outline, list) else 0, extent, area, (image["width"], image["height"]))


def _leave_out(
    kept: Mapping[int, Any], outlines: Mapping[int, tuple[Any, Row]], images: Sequence[int], faults: Iterable[Fault]
) -> dict[int, Any]:
    """Leave out polygons at fault, outlines that are none, and all outlines of an image at fault."""
    bad: dict[int, set[int]] = defaultdict(set)
    gone, lost = set(), set()
    for fault in faults:
        words = fault.row.split()
        number = int(words[-1])
        if words[0] == "image":
            lost.add(images[number] if "place" in words else number)
        elif fault.field.startswith("segmentation["):
            bad[number].add(int(fault.field[13:-1]))
        else:
            gone.add(number)
    sound = {key: one for key, one in kept.items() if key not in gone and outlines[key][1]["id"] not in lost}
    return _leave_polygons_out(sound, bad)


def _leave_polygons_out(kept: Mapping[int, Any], bad: Mapping[int, set[int]]) -> dict[int, Any]:
    left = dict(kept)
    for key, places in bad.items():
        if key in left:
            left[key] = [polygon for place, polygon in enumerate(left[key]) if place not in places]
            if not left[key]:
                del left[key]
    return left


def rewrite_numbers(table: str, rows: Sequence[Any]) -> dict[int, Row]:
    """Return, by their places, the rows with an id, size or flag written as "7" or 7.0, with that as a whole number."""
    changed: dict[int, Row] = {}
    for place, row in enumerate(rows):
        if isinstance(row, dict):
            values = {field: _to_whole(row.get(field)) for field in WHOLE[table]}
            found = {field: value for field, value in values.items() if value is not None}
            if found:
                changed[place] = {**row, **found}
    return changed


def _to_whole(value: Any) -> int | None:
    """Return the whole number that a value is, None if it is none or one already."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= LARGEST_DOUBLE else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else None


def clip_box(corners: Sequence[float], size: tuple[int, int]) -> list[float] | None:
    """Return x, y, width, height of what is inside the image, None if it is empty."""
    (x1, y1, x2, y2), (width, height) = corners, size
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    return [x1, y1, x2 - x1, y2 - y1] if min(x2 - x1, y2 - y1) > SMALLEST_SIDE else None


def to_corners(bbox: Sequence[float]) -> list[float]:
    """Return x1, y1, x2, y2 of x, y, width, height."""
    x, y, width, height = bbox
    return [x, y, x + width, y + height]


def turn_size(image: Row, objects: Sequence[Row]) -> Row | None:
    """Return an image's row with its sides exchanged, or None if an object does not fit: it was drawn before turning."""
    width, height = image["height"], image["width"]
    for row in objects:
        outline = row.get("segmentation")
        if isinstance(outline, dict):
            if outline.get("size") != [height, width]:
                return None
            continue
        for polygon in outline if isinstance(outline, list) else ():
            if not isinstance(polygon, list):
                continue
            for start, side in ((0, width), (1, height)):
                slack = max(SLIGHT_PIXELS, SLIGHT_PART * side)
                if not all(-slack <= value <= side + slack for value in polygon[start::2] if is_number(value)):
                    return None
    return {**image, "width": width, "height": height}
