"""Repairs: for each code of a fault, the function that makes the row sound, or drops it, without guessing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskzoo.dataset_checks.annotation_checks import NO_AREA, SLIGHT_PART, SLIGHT_PIXELS, measure_outlines
from maskzoo.datasets.annotations import SMALLEST_SIDE
from maskzoo.datasets.coco_reader import sift
from maskzoo.datasets.sifted import is_number

__all__ = ["REPAIRS", "Evidence", "Outcome", "Outline", "Row", "drop", "measure_sound", "rewrite_numbers"]

Row = dict[str, Any]
WHOLE = {
    "images": ("id", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "iscrowd", "ignore"),
    "categories": ("id",),
}
LARGEST_DOUBLE = 2.0**53  # up to here a double stands for one whole number
DROPPED = {"images": "image dropped with its objects", "annotations": "object dropped", "categories": "category dropped"}


@dataclass(frozen=True, slots=True)
class Outline:
    """What is sound of an outline: its polygons (none for run lengths), extent x1 y1 x2 y2, area; the image's w, h."""

    polygons: list[list[float]]
    extent: list[float]
    area: float
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a repair may go by besides the row: of an object its outline, of an image its objects.

    `copy` says that an earlier row with this id is the same; `find_new_id` returns an id that no annotation has.
    """

    table: str
    outline: Outline | None
    objects: Sequence[Row]
    copy: bool
    find_new_id: Callable[[], int]

    def clip(self, x1: float, y1: float, x2: float, y2: float) -> list[float] | None:
        """Return x, y, width, height of what is inside the image; None if that is empty, or the outline not sound."""
        if self.outline is None:
            return None
        width, height = self.outline.size
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        return [x1, y1, x2 - x1, y2 - y1] if min(x2 - x1, y2 - y1) > SMALLEST_SIDE else None


Outcome = tuple[Row | None, str, int]  # the row, None if it is dropped; what was done, and how often
Repair = Callable[[Row, Evidence], Outcome]


def drop(row: Row, evidence: Evidence) -> Outcome:
    """Drop the row, for nothing says what it should be."""
    return None, DROPPED[evidence.table], 1


def _number_anew(row: Row, evidence: Evidence) -> Outcome:
    """Give an object an id; of other rows nobody knows which objects mean them."""
    if evidence.copy:
        return None, "same object dropped", 1
    if evidence.table != "annotations":
        return drop(row, evidence)
    return {**row, "id": evidence.find_new_id()}, "new id", 1


def _name_by_id(row: Row, evidence: Evidence) -> Outcome:
    return {**row, "name": f"category {row['id']}"}, "named by its id", 1


def _turn_size(row: Row, evidence: Evidence) -> Outcome:
    """Exchange an image's sides, unless an object does not fit then: it was drawn before turning."""
    width, height = row["height"], row["width"]
    if all(_fits(one.get("segmentation"), width, height) for one in evidence.objects):
        return {**row, "width": width, "height": height}, "size turned", 1
    return drop(row, evidence)


def _fits(outline: Any, width: int, height: int) -> bool:
    if isinstance(outline, dict):
        return outline.get("size") == [height, width]
    polygons = [polygon for polygon in outline if isinstance(polygon, list)] if isinstance(outline, list) else []
    return all(
        -slack <= value <= side + slack
        for start, side in ((0, width), (1, height))
        for slack in (max(SLIGHT_PIXELS, SLIGHT_PART * side),)
        for polygon in polygons
        for value in polygon[start::2]
        if is_number(value)
    )


def _leave_polygons_out(row: Row, evidence: Evidence) -> Outcome:
    if evidence.outline is None:
        return drop(row, evidence)
    polygons = evidence.outline.polygons
    return {**row, "segmentation": polygons}, "left out of its outline", len(row["segmentation"]) - len(polygons)


def _take_box(row: Row, evidence: Evidence) -> Outcome:
    box = None if evidence.outline is None else evidence.clip(*evidence.outline.extent)
    return ({**row, "bbox": box}, "taken from the outline", 1) if box else drop(row, evidence)


def _clip_box(row: Row, evidence: Evidence) -> Outcome:
    x, y, width, height = row["bbox"]
    box = evidence.clip(x, y, x + width, y + height)
    return ({**row, "bbox": box}, "clipped to the image", 1) if box else _take_box(row, evidence)


def _take_area(row: Row, evidence: Evidence) -> Outcome:
    if evidence.outline is None:
        return drop(row, evidence)
    return {**row, "area": evidence.outline.area}, "taken from the outline", 1


_CODES: dict[Repair, tuple[str, ...]] = {
    drop: (
        *("bad-row", "bad-size", "bad-file-name", "bad-flag", "bad-runs", "no-outline", "unknown-image", "unknown-category"),
        *("missing-image", "unreadable-image", "size-differs", "duplicate-image-id", "duplicate-category-id"),
        *("outline-outside", "outline-without-area", "duplicate-annotation"),
    ),
    _number_anew: ("bad-id", "duplicate-annotation-id"),
    _name_by_id: ("bad-category-name",),
    _turn_size: ("size-rotated",),
    _leave_polygons_out: ("bad-polygon", "bad-coordinates", "far-polygon", "polygon-without-area"),
    _take_box: ("bad-box", "far-box", "box-empty", "box-outside", "box-elsewhere", "box-differs"),
    _clip_box: ("box-over-edge",),
    _take_area: ("bad-area", "no-area"),
}
# In the order in which they are tried on a row: what drops it comes first.
REPAIRS: dict[str, Repair] = {code: repair for repair, codes in _CODES.items() for code in codes}


def measure_sound(outlines: Mapping[int, tuple[Any, Row]]) -> dict[int, Outline]:
    """Return what is sound of some outlines, each given with its image's row; by the same keys.

    Polygons at fault or without area are left out; an outline of which nothing is left is not in the result.
    """
    kept = {key: outline for key, (outline, _) in outlines.items()}
    images = [*{id(image): image for _, image in outlines.values()}.values()]
    blank = {"category_id": 0, "bbox": [0, 0, 0, 0], "area": 0}
    while True:
        rows = [{"id": key, "image_id": outlines[key][1]["id"], "segmentation": one, **blank} for key, one in kept.items()]
        sifted = sift({"images": images, "annotations": rows, "categories": [{"id": 0, "name": "any"}]}, "")
        bad: dict[int, set[int]] = defaultdict(set)
        for fault in sifted.faults:
            if fault.part is not None and fault.row is not None:
                bad[fault.row].add(fault.part)
        packed, (extent, area, parts) = sifted.packed, measure_outlines(sifted.packed)
        owner = packed.find_owners()
        for polygon in np.flatnonzero(parts <= NO_AREA).tolist():
            bad[int(packed.ids[owner[polygon]])].add(polygon - int(packed.polygon_first[owner[polygon]]))
        if not bad:
            found = zip(packed.ids.tolist(), extent.tolist(), area.tolist(), strict=True)
            return {key: _make_outline(kept[key], outlines[key][1], box, size) for key, box, size in found if size > NO_AREA}
        for key, places in bad.items():
            kept[key] = [polygon for place, polygon in enumerate(kept[key]) if place not in places]


def _make_outline(kept: Any, image: Row, extent: list[float], area: float) -> Outline:
    return Outline(kept if isinstance(kept, list) else [], extent, area, (image["width"], image["height"]))


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
