"""Outlines in the ways that formats write them: polygons with few points, one polygon for all parts, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.polygons import CLOSE, simplify
from maskzoo.datasets.rle import decode_crop, decode_runs, encode_polygons

__all__ = ["Pixels", "draw_outline", "draw_polygons", "find_pixels", "join_parts", "measure"]

Points = NDArray[np.float64]
TOLERANCES = (2.0, 1.4, 1.0, 0.7, 0.5)  # pixels between a traced outline and one with fewer points


class Pixels(NamedTuple):
    """The pixels of an object: a 0/1 mask uint8 `[h w]`, and the place in the picture of its first pixel."""

    mask: NDArray[np.uint8]
    left: int
    top: int


def find_pixels(one: LabelledObject, size: tuple[int, int]) -> Pixels | None:
    """Return an object's pixels inside the picture of height, width `size` by COCO's rule, None if it has none."""
    mask, (left, top) = decode_crop(_encode(one, size), size)
    return Pixels(mask, left, top) if mask.size else None


def _encode(one: LabelledObject, size: tuple[int, int]) -> bytes:
    return one.outline if isinstance(one.outline, bytes) else encode_polygons(one.outline, size)


def measure(one: LabelledObject, size: tuple[int, int]) -> tuple[list[float], int]:
    """Return an object's box, x y width height of its outline, and its area in pixels."""
    mask = {"size": list(size), "counts": _encode(one, size)}
    box = hotcoco.mask.to_bbox(mask)
    if not isinstance(one.outline, bytes):
        points = np.concatenate(one.outline).reshape(-1, 2)
        box = np.concatenate([points.min(axis=0), np.ptp(points, axis=0)])
    return [round(float(value), 3) for value in box], int(hotcoco.mask.area([mask])[0])


def draw_polygons(one: LabelledObject, size: tuple[int, int]) -> list[Points]:
    """Return an object's polygons, all inside the picture; none if it has no pixel there.

    Polygons stay as they are. Those that leave the picture are cut off along its pixels, and run lengths are traced, with
    as few points as give an IoU of 0.99 with their pixels.
    """
    given = _take_given(one, size)
    return _simplify(_trace(one, size), size, _encode(one, size)) if given is None else given


def draw_outline(one: LabelledObject, size: tuple[int, int]) -> Points | None:
    """Return an object that is one polygon, with neither hole nor touching corners, as `draw_polygons` does; else None.

    Whether it is one is asked before points go: what is left of a cut need not come twice to any point.
    """
    given = _take_given(one, size)
    exact = _trace(one, size) if given is None else given
    if len(exact) != 1 or _has_cut(exact[0]) or (given is not None and _has_hole(one, size)):
        return None
    return exact[0] if given is not None else _simplify(exact, size, _encode(one, size))[0]


def _take_given(one: LabelledObject, size: tuple[int, int]) -> list[Points] | None:
    """Return an object's own polygons where they can stay as they are."""
    if isinstance(one.outline, bytes) or not all(_is_inside(polygon, size) for polygon in one.outline):
        return None
    return one.outline


def _trace(one: LabelledObject, size: tuple[int, int]) -> list[Points]:
    pixels = find_pixels(one, size)
    if pixels is None:
        return []
    return [polygon + np.tile([pixels.left, pixels.top], len(polygon) // 2) for polygon in trace(pixels.mask)]


def _is_inside(polygon: Points, size: tuple[int, int]) -> bool:
    points = polygon.reshape(-1, 2)
    return bool((points >= 0).all() and (points <= size[::-1]).all())


def _simplify(exact: list[Points], size: tuple[int, int], runs: bytes) -> list[Points]:
    for tolerance in TOLERANCES if exact else ():
        fewer = [simplify(polygon.reshape(-1, 2), tolerance).ravel() for polygon in exact]
        if _compare(encode_polygons(fewer, size), runs, size) >= CLOSE:
            return fewer
    return exact


def _compare(one: bytes, other: bytes, size: tuple[int, int]) -> float:
    masks = [{"size": list(size), "counts": counts} for counts in (one, other)]
    return float(hotcoco.mask.iou(masks[:1], masks[1:], [False])[0][0])


def _has_cut(polygon: Points) -> bool:
    """Say whether a polygon comes twice to a point: it has a hole, joined by a cut, or parts that touch at a corner."""
    points = polygon.reshape(-1, 2)
    return len(np.unique(points, axis=0)) < len(points)


def _has_hole(one: LabelledObject, size: tuple[int, int]) -> bool:
    """Say whether an object's pixels enclose others, as those of a polygon do whose cut has lost its exact points."""
    import cv2  # takes a while

    pixels = find_pixels(one, size)
    return pixels is not None and cv2.connectedComponents(np.pad(1 - pixels.mask, 1, constant_values=1), connectivity=4)[0] > 2


def join_parts(polygons: Sequence[Points], size: tuple[int, int]) -> Points:
    """Return one polygon with the pixels of all, for formats that have one a row: cuts that enclose nothing join them."""
    if len(polygons) == 1:
        return polygons[0]
    whole = encode_polygons(polygons, size)
    joined = _join(polygons)
    if encode_polygons([joined], size) == whole:
        return joined
    return _join(trace(decode_runs(whole, size)))  # parts that overlap would take each other's pixels away


def _join(polygons: Sequence[Points]) -> Points:
    """Walk from each polygon to a near point of the next and back, all of them the same way round."""
    joined, *others = (_turn(polygon.reshape(-1, 2)) for polygon in polygons)
    for other in others:
        here = int(np.square(joined - other.mean(axis=0)).sum(axis=1).argmin())
        there = int(np.square(other - joined[here]).sum(axis=1).argmin())
        walk = np.concatenate([other[there:], other[: there + 1]])
        joined = np.concatenate([joined[: here + 1], walk, joined[here:]])
    return np.asarray(joined, np.float64).ravel()


def _turn(points: Points) -> Points:
    x, y = (points - points[0]).T
    clockwise = float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) >= 0
    return points if clockwise else points[::-1]
