"""Judge coordinates: are they pixels, x before y, of these images; and do boxes say what their outlines do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.dataset_checks.annotation_checks import LEAST_DEVIATION, LEAST_OVERLAP, SLIGHT_PART, SLIGHT_PIXELS
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.dataset_checks.whole_set import WholeSet
from maskzoo.faults import Words

__all__ = ["agree", "find_parts", "find_turned", "judge_geometry"]

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
MOST, NEARLY_ALL = 0.8, 0.95  # share of the objects that a judgement needs
BESIDE = 0.05  # a part of the image may lie a little outside of 0 to 1
LEAST_SIDE = 8  # pixels of an image in which nothing sound lies within one pixel
MARGIN = 30  # pixels at the images' edges that may be empty in a sound set
CHANCE = 0.05  # that objects lie in a corner by chance, each anywhere in its image
MANY_OUTSIDE = 0.1  # share of the objects that exchanged axes put outside of images that are not nearly square
SAMPLE = 20_000  # boxes by which the way is found that all of them are written
# In which order a box's four numbers stand for its x and y, and what they are.
LAYOUTS: dict[str, tuple[tuple[int, ...], str]] = {
    "x1 y1 x2 y2 (two corners)": ((0, 1, 2, 3), "corners"),
    "centre x, centre y, width, height": ((0, 1, 2, 3), "centre"),
    "y x height width (x and y exchanged)": ((1, 0, 3, 2), "start"),
    "x y height width (the sides exchanged)": ((0, 1, 3, 2), "start"),
    "y1 x1 y2 x2 (two corners, y first)": ((1, 0, 3, 2), "corners"),
    "x1 x2 y1 y2 (two corners)": ((0, 2, 1, 3), "corners"),
    "centre y, centre x, height, width": ((1, 0, 3, 2), "centre"),
    "x y width height": ((0, 1, 2, 3), "start"),
}
UNITS = {
    "": 0.0,
    " in parts of the image (0 to 1)": 1.0,
    " in percent of the image": 100.0,
    " in thousandths of the image": 1000.0,
}


def judge_geometry(whole: WholeSet) -> Iterator[Judgement]:
    """Judge coordinates, and boxes beside outlines unless the outlines themselves are certain to be wrong."""
    found = [*_judge_coordinates(whole)]
    yield from found
    if not any(one.certain for one in found):
        yield from _judge_boxes(whole)


def _judge_coordinates(whole: WholeSet) -> Iterator[Judgement]:
    """Say whether coordinates are parts or percent of the image, have x and y exchanged, or are of another scale."""
    known = np.asarray(np.isfinite(whole.side).all(axis=1) & (whole.side >= LEAST_SIDE).all(axis=1))
    outlined: Bools = known & ~whole.runs & np.isfinite(whole.extent).all(axis=1)
    corners = _to_corners(whole.bbox)
    has_outline = whole.runs | np.isfinite(whole.extent).all(axis=1)
    boxed: Bools = known & np.isfinite(corners).all(axis=1) & (outlined.any() | ~has_outline.any())
    parts, shown = find_parts(whole.extent) & outlined, "outlines"
    chosen, corners_of = (outlined, whole.extent) if outlined.any() else (boxed, corners)
    if not outlined.any():
        parts, shown = find_parts(corners) & boxed, "boxes"
    elif parts.any() and (find_parts(whole.bbox) & boxed)[parts].mean() > MOST:
        shown = "outlines and boxes"
    total, most = int(chosen.sum()), parts.sum() >= MOST * chosen.sum()
    # Nothing sound lies within one pixel; what touches the image's corner may be the rest of an object that was cut off.
    inside = int((parts & (corners_of[:, :2] > 0).all(axis=1)).sum())
    some = inside and len(whole.parts) == 1  # of several splits, each is told by itself
    if total and (most or some) and _has_fractions(corners_of[parts]):
        evidence = {"objects": total, "within": int(parts.sum()), "what": Words(shown)}
        examples = whole.show(parts, "bbox" if shown == "boxes" else "segmentation", "pixels")
        certain = parts.sum() > 1 or inside > 0 if most else inside > 1
        yield Judgement("parts-of-image", bool(certain), evidence, whole.split, examples)
        chosen = chosen & ~parts
    if not most and chosen.any():
        yield from _judge_extent(whole, chosen, corners_of)


def find_parts(corners: Doubles) -> Bools:
    """Say which corners float64 `[N 4]` lie in 0 to 1, and are not all 0; what is NaN does not."""
    with np.errstate(invalid="ignore"):
        inside = ((corners >= -BESIDE) & (corners <= 1 + BESIDE)).all(axis=1)
    return np.asarray(inside & (corners > 0).any(axis=1))


def _has_fractions(corners: Doubles) -> bool:
    return bool((corners % 1 != 0).any(axis=1).mean() >= 0.5)


def find_turned(extent: Doubles, side: Doubles) -> tuple[Bools, Bools]:
    """Say which outlines do not fit into their image, and which would if x and y were exchanged, bool `[N]` each."""
    reach, slack = extent[:, 2:], np.maximum(SLIGHT_PIXELS, SLIGHT_PART * side)
    with np.errstate(invalid="ignore"):
        return np.asarray((reach > side + slack).any(axis=1)), np.asarray((reach[:, ::-1] <= side + slack).all(axis=1))


def _judge_extent(whole: WholeSet, chosen: Bools, corners: Doubles) -> Iterator[Judgement]:
    """Look at how far coordinates reach in their images."""
    side, reach, total = whole.side[chosen], corners[chosen][:, 2:], int(chosen.sum())
    outside, turned = find_turned(corners[chosen], side)
    if not outside.any():
        yield from _judge_corner(whole, chosen, corners)
    if outside.sum() < 2:
        return
    far = np.quantile(reach / side, 0.98, axis=0)
    rows = np.zeros(len(whole), np.bool_)
    rows[np.flatnonzero(chosen)[outside]] = True
    evidence: dict[str, Any] = {"objects": total, "outside": int(outside.sum())}
    examples, bbox = whole.show(rows, "segmentation"), whole.bbox[chosen]
    if turned[outside].mean() >= NEARLY_ALL and turned.mean() >= NEARLY_ALL:
        evidence |= {"boxes": int(agree(_to_corners(bbox), corners[chosen][:, (1, 0, 3, 2)]).sum())}
        yield Judgement("axes-exchanged", bool(outside.mean() >= MANY_OUTSIDE), evidence, whole.split, examples)
    elif outside.mean() >= 0.3 and far.min() > 1.1:
        scale, share = _fit_scale(bbox, corners[chosen])
        proved = scale < 0.95 and share >= MOST
        proof = Words(f"; at {scale:.3g} times the scale they agree with {round(share * total):,} boxes" if proved else "")
        evidence |= {"reach": Words("{:.2f} and {:.2f}", *far.tolist()), "scale": scale if proved else 1.0, "proof": proof}
        yield Judgement("larger-scale", bool(outside.mean() > 0.5), evidence, whole.split, examples)


def _judge_corner(whole: WholeSet, chosen: Bools, corners: Doubles) -> Iterator[Judgement]:
    """Find coordinates that fill a corner of the images only: percent, or those of smaller images."""
    side, values, total = whole.side[chosen], corners[chosen], int(chosen.sum())
    reach = values[:, 2:].max(axis=0)
    within = np.asarray((values <= 102).all(axis=1))
    percent = within.all() and (reach >= 75).all() and (side > 105).all() and _has_fractions(values)
    likely = percent and (side.max(axis=1) > 100 + MARGIN).all() and np.log(1e4 / side.prod(axis=1)).sum() < np.log(CHANCE)
    proved = within & _prove_percent(whole, chosen, values, side / 100)
    certain = proved.sum() > 1 and proved.mean() >= MOST
    if certain or likely:
        evidence: dict[str, Any] = {"objects": total, "within": int(within.sum()), "proved": int(proved.sum())}
        evidence |= {"reach": Words("{:.1f} and {:.1f}", *values[within, 2:].max(axis=0).tolist())}
        shown = whole.show(chosen, "segmentation", "pixels")
        yield Judgement("percent-of-image", bool(certain), evidence, whole.split, shown)
        return
    part = (values[:, 2:] / side).max(axis=0)
    if total >= 100 and part.max() < 0.55 and part.min() > 0.9 * part.max():
        evidence = {"objects": total, "reach": Words("{:.2f} and {:.2f}", *part.tolist())}
        yield Judgement("smaller-scale", False, evidence, whole.split, whole.show(chosen, "segmentation"))


def _prove_percent(whole: WholeSet, chosen: Bools, values: Doubles, scale: Doubles) -> Bools:
    """Say which outlines agree with their box or area if they are percent, and not if they are pixels."""
    boxes, noted, area = _to_corners(whole.bbox[chosen]), whole.noted[chosen], whole.area[chosen]
    by_box = agree(boxes, values * np.tile(scale, 2)) & ~agree(boxes, values)
    with np.errstate(invalid="ignore"):
        as_percent, as_pixels = (np.abs(noted - one) <= 0.1 * one for one in (area * scale.prod(axis=1), area))
    return np.asarray(by_box | (as_percent & ~as_pixels))


def _judge_boxes(whole: WholeSet) -> Iterator[Judgement]:
    """Say whether boxes disagree with their outlines, and if most do so in one way, in which."""
    known = np.asarray(np.isfinite(np.column_stack([whole.bbox, whole.extent, whole.side])).all(axis=1))
    known[known] = (whole.extent[known][:, 2:] > whole.extent[known][:, :2]).all(axis=1)
    bbox, extent, side = whole.bbox[known], whole.extent[known], whole.side[known]
    if not len(bbox):
        return
    wrong = ~agree(_decode(bbox, side, "x y width height", 0), extent)
    count, total = int(wrong.sum()), len(wrong)
    if not count:
        return
    rows = np.zeros(len(whole), np.bool_)
    rows[np.flatnonzero(known)[wrong]] = True
    sample = np.flatnonzero(wrong)[:: max(1, count // SAMPLE)]
    way, share = _find_way(bbox[sample], extent[sample], side[sample])
    explained, examples = round(share * count), whole.show(rows, "bbox", "its outline's")
    evidence = {"objects": total, "wrong": count, "explained": explained, "way": Words(way)}
    if share >= MOST and (explained > 1 or total == 1) and count >= total / 100:
        yield Judgement("boxes-otherwise", total > 1 and count >= total / 2, evidence, whole.split, examples)
    elif count >= total / 100:
        yield Judgement("boxes-differ", False, {"objects": total, "wrong": count}, whole.split, examples)


def _find_way(bbox: Doubles, extent: Doubles, side: Doubles) -> tuple[str, float]:
    """Return in which way of all most of the boxes agree with their outlines, and what share of them does."""
    shares = {
        layout + unit: agree(_decode(bbox, side, layout, scale), extent).mean()
        for (unit, scale), layout in product(UNITS.items(), LAYOUTS)
    }
    scale, share = _fit_scale(bbox, extent)
    shares[f"x y width height at {scale:.3g} times the scale"] = share
    best = max(shares, key=shares.__getitem__)
    return best, float(shares[best])


def _fit_scale(bbox: Doubles, extent: Doubles) -> tuple[float, float]:
    """Return the scale at which most of the boxes are those of their outlines, and what share of them is."""
    known = np.isfinite(bbox).all(axis=1) & (extent > 0).any(axis=1)
    boxes = _to_corners(bbox[known])
    if not len(boxes):
        return 1.0, 0.0
    scale = float(np.median(boxes.sum(axis=1) / extent[known].sum(axis=1)))
    if not 0.01 < scale < 100:
        return 1.0, 0.0
    return scale, float(agree(boxes / scale, extent[known]).sum() / len(bbox))


def _to_corners(bbox: Doubles) -> Doubles:
    return np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)


def _decode(bbox: Doubles, side: Doubles, layout: str, scale: float) -> Doubles:
    """Return the corners of boxes that are written in some layout, in pixels or as `scale` for the whole image."""
    order, meaning = LAYOUTS[layout]
    values = bbox[:, order] * (np.tile(side, 2) / scale if scale else 1)
    start, rest = values[:, :2], values[:, 2:]
    if meaning == "corners":
        return values
    start = start - rest / 2 if meaning == "centre" else start
    return np.concatenate([start, start + rest], axis=1)


def agree(boxes: Doubles, extent: Doubles) -> Bools:
    """Say which boxes are those of their outlines, as the check of single boxes has it."""
    with np.errstate(invalid="ignore"):  # a box that is not known agrees with nothing
        near = np.abs(boxes - extent).max(axis=1, initial=0) <= LEAST_DEVIATION
    return np.asarray(near | (_overlap(boxes, extent) >= LEAST_OVERLAP))


def _overlap(boxes: Doubles, others: Doubles) -> Doubles:
    start, end = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    common = (end - start).clip(0).prod(axis=1)
    areas = sum((corners[:, 2:] - corners[:, :2]).clip(0).prod(axis=1) for corners in (boxes, others))
    return np.asarray(common / np.maximum(areas - common, 1e-12))
