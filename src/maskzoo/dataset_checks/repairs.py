"""Repairs: for each code of a fault, the function that makes the row sound, or drops it, without guessing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskzoo.dataset_checks.annotation_checks import NO_AREA, SLIGHT_PART, SLIGHT_PIXELS, measure_outlines
from maskzoo.dataset_checks.rewrites import Row
from maskzoo.datasets.annotations import SMALLEST_SIDE
from maskzoo.datasets.coco_reader import sift
from maskzoo.datasets.sifted import is_number

__all__ = ["REPAIRS", "Evidence", "Outcome", "Outline", "drop", "measure_sound"]

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
    """What a repair may go by besides the row: of an object its outline, of an image its objects and its file's size.

    `size` is height and width; `copy` says that an earlier row with this id is the same; `find_new_id` returns an id that
    no annotation has.
    """

    table: str
    outline: Outline | None
    objects: Sequence[Row]
    size: tuple[int, int] | None
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


def _take_size(row: Row, evidence: Evidence) -> Outcome:
    """Take an image's size from its file, else from its objects' run lengths, unless what is drawn says otherwise."""
    said = row.get("height"), row.get("width")
    sides = [one["segmentation"]["size"] for one in evidence.objects if _has_size(one.get("segmentation"))]
    size = evidence.size or (tuple(sides[0]) if sides and all(side == sides[0] for side in sides) else None)
    if size is None:
        return drop(row, evidence)
    height, width = size
    if all(type(side) is int and side > 0 for side in said):
        fits = [_fits(one.get("segmentation"), width, height) for one in evidence.objects]
        if not all(fits) or _is_smaller_copy(said, size, evidence.objects):
            return drop(row, evidence)
    action = (
        "size turned" if said == (width, height) else "size taken from the file" if evidence.size else "size taken from a mask"
    )
    return {**row, "width": width, "height": height}, action, 1


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


def _has_size(outline: Any) -> bool:
    size = outline.get("size") if isinstance(outline, dict) else None
    return isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)


def _is_smaller_copy(said: Any, size: tuple[int, int], objects: Sequence[Row]) -> bool:
    """Say whether the file may be the same picture, larger than the one that was drawn on: then outlines have its scale."""
    height, width = said
    same_shape = abs(width * size[0] - height * size[1]) <= max(*said, *size)
    return same_shape and size[0] > height and all(_fits(one.get("segmentation"), width, height) for one in objects)


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
        *("bad-row", "bad-file-name", "bad-flag", "bad-nesting", "bad-runs", "no-outline"),
        *("unknown-image", "unknown-category", "id-as-text", "duplicate-image-id", "duplicate-category-id"),
        *("misnamed-image", "missing-image", "unreadable-image", "outside-image"),
        *("outline-outside", "outline-without-area", "duplicate-annotation"),
    ),
    _number_anew: ("bad-id", "duplicate-annotation-id"),
    _name_by_id: ("bad-category-name",),
    _take_size: ("bad-size", "size-differs", "size-rotated"),
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
