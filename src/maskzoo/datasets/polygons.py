"""The pixels of an object as polygons with holes, by as few points as are near enough.

Rings run along pixel edges until they are simplified. No ring comes to a point twice, and each exterior bounds one part:
pixels that touch at a corner alone are two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.mask_outlines import trace_edges
from maskzoo.datasets.rle import rasterize_polygons

__all__ = ["CLOSE", "Polygon", "find_polygons", "rasterize", "simplify"]

Points = NDArray[np.float64]
CLOSE = 0.99  # IoU at least of pixels and the outline with fewer points
STEP = 2  # pixels of an edge that is a step of a slanted or round outline


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One part of an object: `exterior` and `holes`, rings of points x, y, float64 `[N 2]`, in pixels of the photo.

    The last point of a ring is not the first again. On the picture an exterior runs clockwise, a hole the other way round.
    """

    exterior: Points
    holes: tuple[Points, ...] = ()


def find_polygons(mask: NDArray[Any], offset: tuple[int, int] = (0, 0), tolerance: float = 0.5) -> list[Polygon]:
    """Return the parts of a mask `[H W]`, moved by the x, y of its first pixel; none for an empty one.

    Args:
        mask: What is not zero is inside.
        offset: x, y of its first pixel in the photo.
        tolerance: How far, in pixels, a line may leave the outline, whose steps are smoothed first. Where their IoU with the
            mask would be below 0.99 it is halved, twice at most; then, and at 0, rings run along the pixel edges.
    """
    exact = _group(mask, [ring for walk in trace_edges(mask) for ring in _split(walk.reshape(-1, 2))])
    found = exact
    for tried in (tolerance, tolerance / 2, tolerance / 4) if tolerance > 0 else ():
        fewer = [Polygon(simplify(part.exterior, tried), _simplify_holes(part, tried)) for part in exact]
        if _measure_iou(rasterize(fewer, mask.shape), mask != 0) >= CLOSE:
            found = fewer
            break
    return [Polygon(part.exterior + offset, tuple(hole + offset for hole in part.holes)) for part in found]


def rasterize(polygons: Sequence[Polygon], size: Sequence[int]) -> NDArray[np.bool_]:
    """Return the mask bool `[H W]` of polygons by COCO's rule, exteriors and holes alike."""
    mask = np.zeros(size, np.bool_)
    for polygon in polygons:
        part = rasterize_polygons([polygon.exterior.ravel()], size) > 0
        if polygon.holes:
            part &= rasterize_polygons([hole.ravel() for hole in polygon.holes], size) == 0
        mask |= part
    return mask


def simplify(ring: Points, tolerance: float) -> Points:
    """Return fewer points of a ring `[N 2]` along pixel edges: its steps smoothed, then left by at most `tolerance` pixels.

    The ring itself where fewer than three points would be left: no part goes.
    """
    fewer = _shorten(_smooth_steps(ring), tolerance)
    return fewer if len(fewer) > 2 else ring


def _simplify_holes(part: Polygon, tolerance: float) -> tuple[Points, ...]:
    return tuple(simplify(hole, tolerance) for hole in part.holes)


def _smooth_steps(ring: Points) -> Points:
    """Return the middles of a ring's short edges along pixels, where the true outline is, and the ends of long ones."""
    side = np.roll(ring, -1, axis=0) - ring
    length = np.abs(side).sum(axis=1, keepdims=True)
    inset = np.minimum(length / 2, 0.5) * np.sign(side)
    inset[length[:, 0] <= STEP] = side[length[:, 0] <= STEP] / 2
    points = np.stack([ring + inset, ring + side - inset], axis=1).reshape(-1, 2)
    return np.asarray(points[(points != np.roll(points, 1, axis=0)).any(axis=1)], np.float64)


def _shorten(ring: Points, tolerance: float) -> Points:
    """Return fewer points of a ring, so that no line leaves it by more than `tolerance` pixels (Douglas and Peucker)."""
    import cv2  # takes a while

    return cv2.approxPolyDP(ring.reshape(-1, 1, 2).astype(np.float32), tolerance, True).astype(np.float64).reshape(-1, 2)


def _measure_iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(one & other)) / max(int(np.count_nonzero(one | other)), 1)


def _split(walk: Points) -> list[Points]:
    """Return the rings of a walk that comes back to some of its points, where pixels touch at a corner."""
    rings: list[Points] = []
    path: list[tuple[float, float]] = []
    place: dict[tuple[float, float], int] = {}
    for point in map(tuple, walk.tolist()):
        if point in place:
            rings.append(_straighten(path[place[point] :]))
            for left in path[place[point] + 1 :]:
                del place[left]
            del path[place[point] + 1 :]
        else:
            place[point] = len(path)
            path.append(point)
    return [*rings, _straighten(path)]


def _straighten(path: Sequence[tuple[float, float]]) -> Points:
    """Leave out the points that lie on a straight line between their neighbours."""
    ring = np.array(path, np.float64)
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return np.asarray(ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]], np.float64)


def _group(mask: NDArray[Any], rings: Sequence[Points]) -> list[Polygon]:
    """Give each hole to the exterior around it: the part that the pixel on the right of a ring's first edge belongs to."""
    import cv2

    parts = cv2.connectedComponents((mask != 0).astype(np.uint8), connectivity=4)[1]
    exteriors: dict[int, Points] = {}
    holes: dict[int, list[Points]] = {}
    for ring in rings:
        (x, y), (to_x, to_y) = ring[:2].astype(int)
        right = (y if to_x > x else y - 1, min(x, to_x)) if y == to_y else (min(y, to_y), x - 1 if to_y > y else x)
        part = int(parts[right])
        if ring[:, 0] @ np.roll(ring[:, 1], -1) > ring[:, 1] @ np.roll(ring[:, 0], -1):
            exteriors[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    return [Polygon(ring, tuple(holes.get(part, ()))) for part, ring in exteriors.items()]
