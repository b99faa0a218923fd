"""Repairs of what a whole data set has in common: they change the tables before single rows are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from maskzoo.dataset_checks.file_size_judgement import is_same_shape
from maskzoo.dataset_checks.geometry_judgements import BESIDE, MOST, Doubles, agree, find_turned
from maskzoo.dataset_checks.judgement import LOOKS, Judgement
from maskzoo.dataset_checks.repairs import measure_sound
from maskzoo.dataset_checks.report import Change, DatasetReport
from maskzoo.dataset_checks.rewrites import Row
from maskzoo.datasets.coco_reader import find_first
from maskzoo.datasets.rle import decode_runs, encode_mask, measure_runs, read_runs
from maskzoo.datasets.sifted import is_number
from maskzoo.faults import Fault, Words

__all__ = ["repair_whole", "rescale"]

FULL = {"parts-of-image": 1.0, "percent-of-image": 100.0}  # what the whole side of an image is
ACTIONS = {
    "parts-of-image": "outline in pixels",
    "percent-of-image": "outline in pixels",
    "axes-exchanged": "x and y of the outline exchanged",
    "larger-scale": "outline scaled to its box",
}
SAME = 1.0  # pixels: a box among wrong ones that differs less is left as it is


def repair_whole(
    tables: dict[str, list[Any]], judgements: Iterable[Judgement], *, sizes_known: bool, crowds: bool
) -> tuple[list[Any], Counter[Change]]:
    """Return a split's annotations with what is certain of all of them repaired, and how often each change was made.

    Args:
        tables: the split's three tables; they are not changed.
        judgements: those that are about this split.
        sizes_known: whether the images' sizes are those of their files, so that outlines that do not fit are wrong.
        crowds: whether crowds are taken as objects.
    """
    certain = {one.code: one.evidence for one in judgements if one.certain}
    rows, images = [*tables["annotations"]], find_first(tables["images"])
    changes: Counter[Change] = Counter()
    whose = {
        place: tables["images"][images[row["image_id"]]]
        for place, row in enumerate(rows)
        if isinstance(row, dict) and type(row.get("image_id")) is int and row["image_id"] in images
    }
    for code, evidence in certain.items():
        found: dict[int, Any] = {}
        if code in FULL:
            found = {place: _scale(rows[place].get("segmentation"), image, FULL[code]) for place, image in whose.items()}
            found = _keep_proved(found, rows, whose) if code == "percent-of-image" else found
        elif code == "axes-exchanged" and (sizes_known or evidence["boxes"] >= MOST * evidence["objects"]):
            found = _exchange(rows, whose)
        elif code == "larger-scale" and evidence["scale"] < 1:
            found = {place: _scale_to_box(rows[place], evidence["scale"]) for place in whose}
        changed = {place: outline for place, outline in found.items() if outline is not None}
        for place, outline in changed.items():
            rows[place] = {**rows[place], "segmentation": outline}
        changes[Change("annotations", LOOKS[code].title, ACTIONS.get(code, ""))] += len(changed)
        wanted = whose if code == "boxes-otherwise" else changed
        _measure_anew(rows, {place: whose[place] for place in wanted}, code, changes)
    if "ids-shifted" in certain:
        _shift_ids(rows, certain["ids-shifted"]["shift"], changes)
    if crowds:
        _take_crowds(rows, whose, changes)
    return rows, +changes


def _shift_ids(rows: list[Any], shift: int, changes: Counter[Change]) -> None:
    """Give objects that are numbered otherwise the ids of their categories, in place."""
    for place, row in enumerate(rows):
        if isinstance(row, dict) and type(row.get("category_id")) is int:
            rows[place] = {**row, "category_id": row["category_id"] - shift}
            changes[Change("annotations", LOOKS["ids-shifted"].title, "category_id of its class")] += 1


def _take_crowds(rows: list[Any], whose: Mapping[int, Row], changes: Counter[Change]) -> None:
    """Make crowds objects, with boxes and areas from their masks, in place."""
    taken = {place: image for place, image in whose.items() if rows[place].get("iscrowd") in (1, "1")}
    for place in taken:
        rows[place] = {**rows[place], "iscrowd": 0}
    changes[Change("annotations", "crowd", "taken as an object")] += len(taken)
    _measure_anew(rows, taken, "crowd", changes)


def rescale(content: Mapping[str, Any], report: DatasetReport, split: str) -> tuple[dict[str, Any], Counter[Change]]:
    """Return a file's content with sizes, outlines, boxes and areas at the scale of its images, where all were resized.

    Rows are neither added nor dropped. Also returns how often each change was made.
    """
    code, title = "images-resized", LOOKS["images-resized"].title
    if not any(one.code == code and one.certain and one.split in ("", split) for one in report.judgements):
        return {**content}, Counter()
    images, rows = [*content["images"]], [*content["annotations"]]
    scales: dict[int, tuple[Row, Row]] = {}
    for fault in report.problems:
        if fault.split == split and fault.code == "size-differs" and fault.place is not None and fault.image is not None:
            before, (width, height) = images[fault.place], _read_size(fault)
            if is_same_shape((before["width"], before["height"]), (width, height)):
                images[fault.place] = {**before, "width": width, "height": height}
                scales[fault.image] = before, images[fault.place]
    changed: dict[int, Row] = {}
    for place, row in enumerate(rows):
        if isinstance(row, dict) and type(row.get("image_id")) is int and row["image_id"] in scales:
            outline = _resize(row.get("segmentation"), *scales[row["image_id"]])
            if outline is not None:
                rows[place], changed[place] = {**row, "segmentation": outline}, scales[row["image_id"]][1]
    changes = Counter({Change("images", title, "size of the file written"): len(scales)})
    changes[Change("annotations", title, "outline scaled to the file")] += len(changed)
    _measure_anew(rows, changed, code, changes)
    return {**content, "images": images, "annotations": rows}, +changes


def _read_size(fault: Fault) -> tuple[int, int]:
    """Return width and height of the file, from the fault that says that the annotations have another size."""
    width, height = fault.expected.values[:2] if isinstance(fault.expected, Words) else (0, 0)
    return width, height


def _resize(outline: Any, before: Row, after: Row) -> Any:
    """Return an outline of an image of one size in another, None if it cannot be read."""
    sides = np.array([after[name] / before[name] for name in ("width", "height")])
    if _is_polygons(outline):
        return [np.round(np.reshape(polygon, (-1, 2)) * sides, 3).ravel().tolist() for polygon in outline]
    size = [before["height"], before["width"]]
    runs = read_runs(outline, size) if isinstance(outline, dict) else None
    if not isinstance(runs, bytes) or not measure_runs([runs], [size[0] * size[1]])[1][0]:
        return None
    mask = decode_runs(runs, size)
    rows, columns = ((np.arange(after[name]) + 0.5) * before[name] // after[name] for name in ("height", "width"))
    text = encode_mask(mask[rows.astype(np.int64)][:, columns.astype(np.int64)])
    return {"size": [after["height"], after["width"]], "counts": text.decode("ascii")}


def _scale(outline: Any, image: Row, full: float) -> list[Any] | None:
    """Return polygons in pixels, None if one of them is no part of the image or the image's size is not known."""
    side = np.array([value if is_number(value) else 0 for value in (image.get("width"), image.get("height"))], np.float64)
    if not (side > 0).all() or not _is_polygons(outline):
        return None
    scaled = []
    for polygon in outline:
        points = np.array(polygon, dtype=np.float64).reshape(-1, 2) / full
        if points.min() < -BESIDE or points.max() > 1 + BESIDE:
            return None
        scaled.append(np.round(points * side, 3).ravel().tolist())
    return scaled


def _keep_proved(outlines: Mapping[int, Any], rows: list[Any], whose: Mapping[int, Row]) -> dict[int, Any]:
    """Return those of some outlines that agree with the box or the area of their rows."""
    there = {place: (outline, whose[place]) for place, outline in outlines.items() if outline is not None}
    kept = {}
    for place, found in measure_sound(there).items():
        box, area = _read_box(rows[place]), rows[place].get("area")
        same = box is not None and agree(box, np.array([found.extent]))[0]
        if same or (is_number(area) and abs(area - found.area) <= 0.1 * found.area):
            kept[place] = there[place][0]
    return kept


def _scale_to_box(row: Row, scale: float) -> list[Any] | None:
    """Return polygons at another scale, None if they are not those of the object's box then."""
    outline: Any = row.get("segmentation")
    box = _read_box(row)
    if not _is_polygons(outline) or box is None:
        return None
    scaled = [np.reshape(polygon, (-1, 2)) * scale for polygon in outline]
    points = np.concatenate(scaled)
    if not agree(box, np.array([[*points.min(axis=0), *points.max(axis=0)]]))[0]:
        return None
    return [np.round(one, 3).ravel().tolist() for one in scaled]


def _exchange(rows: list[Any], whose: dict[int, Row]) -> dict[int, Any]:
    """Return all polygons with y before x in the right order, nothing if they fit into their images as they are."""
    outlines = {place: rows[place]["segmentation"] for place in whose if _is_polygons(rows[place].get("segmentation"))}
    places = [place for place in outlines if all(is_number(whose[place].get(name)) for name in ("width", "height"))]
    if not places:
        return {}
    points = {place: np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in outlines[place]]) for place in places}
    extent = np.array([[*one.min(axis=0), *one.max(axis=0)] for one in points.values()])
    side = np.array([[whose[place]["width"], whose[place]["height"]] for place in places], dtype=np.float64)
    outside, turned = find_turned(extent, side)
    if not outside.any():
        return {}
    return {
        place: [np.reshape(polygon, (-1, 2))[:, ::-1].ravel().tolist() for polygon in outlines[place]]
        for place, fits in zip(places, turned.tolist(), strict=True)
        if fits
    }


def _read_box(row: Row) -> Doubles | None:
    """Return the corners of an object's box, float64 `[1 4]`, None if it is not four numbers."""
    bbox = row.get("bbox")
    if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox))):
        return None
    return np.array([[*bbox[:2], bbox[0] + bbox[2], bbox[1] + bbox[3]]], np.float64)


def _is_polygons(outline: Any) -> bool:
    return (
        isinstance(outline, list)
        and bool(outline)
        and all(isinstance(one, list) and one and len(one) % 2 == 0 and all(map(is_number, one)) for one in outline)
    )


def _measure_anew(rows: list[Any], whose: dict[int, Row], code: str, changes: Counter[Change]) -> None:
    """Take boxes that differ from their outlines, and but for `boxes-otherwise` areas, from the outlines, in place."""
    why = LOOKS[code].title if code in LOOKS else code
    for place, outline in measure_sound(
        {place: (rows[place].get("segmentation"), image) for place, image in whose.items()}
    ).items():
        x1, y1, x2, y2 = outline.extent
        old = _read_box(rows[place])
        new: Row = {} if code == "boxes-otherwise" else {"area": outline.area}
        slack = SAME if code == "boxes-otherwise" else 0
        if old is None or np.abs(old - [x1, y1, x2, y2]).max() > slack + 1e-9:
            new["bbox"] = [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
            changes[Change("annotations", why, "box taken from the outline")] += 1
        rows[place] = {**rows[place], **new}
