"""From the pixels of a mask to polygons that COCO's rule rasterises to exactly these pixels.

An outline runs along pixel edges, so its corners have whole coordinates. Every corner joins one horizontal and one
vertical edge; along a row of the grid the corners are joined in pairs (first with second, third with fourth, ...),
along a column likewise. Following the pairs in turn gives all outlines without another look at the pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["trace", "trace_edges"]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Polygon = NDArray[np.float64]


def trace(mask: NDArray[Any]) -> list[Polygon]:
    """Return the outlines of a mask `[H W]` (what is not zero is inside) as polygons, flat x y x y ..., float64 each.

    One polygon for each part; pixels that touch at a corner are one part. A hole is joined to its outline by a cut: a
    vertical line that is walked up and down again, and encloses nothing. Rasterised by COCO's rule and put together,
    the polygons are the mask, pixel for pixel. An empty mask gives none.
    """
    if not mask.any():
        return []
    inside, offset = _crop(mask)
    x, y, down = _find_corners(inside)
    following, outlines, holes = _follow_edges(down.tolist(), inside[y + 1, x + 1].tolist())
    x, y, following = _join_holes(inside, x, y, following, holes)
    points = np.stack([x, y], axis=1).astype(np.float64) + offset
    return [_collect(points, following, start) for start in outlines]


def trace_edges(mask: NDArray[Any]) -> list[Polygon]:
    """Return the closed walks along all edges of a mask, without cuts: each hole is a walk of its own.

    On the picture outlines run clockwise, holes the other way round: the mask is always on the right. Unlike in `trace`,
    pixels that touch at a corner are two parts.
    """
    if not mask.any():
        return []
    inside, offset = _crop(mask)
    x, y, down = _find_corners(inside, apart=True)
    following, outlines, holes = _follow_edges(down.tolist(), inside[y + 1, x + 1].tolist())
    points = np.stack([x, y], axis=1).astype(np.float64) + offset
    return [_collect(points, following, start) for start in (*outlines, *holes)]


def _crop(mask: NDArray[Any]) -> tuple[Bools, tuple[int, int]]:
    """Return what is not zero with a border of one pixel around it, and the x, y of its first pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] != 0, 1)
    return inside, (int(columns[0]), int(rows[0]))


def _find_corners(inside: Bools, *, apart: bool = False) -> tuple[Integers, Integers, Integers]:
    """Return the corners' x and y, row by row, and for each the corner at the other end of its vertical edge.

    The other end of the horizontal edge of corner `i` is `i ^ 1`. Where two pixels touch at a corner it stands twice:
    first the end of the edge on its left, then that on its right.
    """
    over, under = inside[:-1], inside[1:]
    odd = over[:, :-1] ^ over[:, 1:] ^ under[:, :-1] ^ under[:, 1:]
    touching = (over[:, :-1] == under[:, 1:]) & (over[:, 1:] == under[:, :-1]) & (over[:, :-1] != over[:, 1:])
    place = np.flatnonzero(odd | touching)
    place = np.repeat(place, 1 + touching.ravel()[place])
    y, x = np.divmod(place, odd.shape[1])
    second = np.zeros(len(place), np.bool_)
    second[1:] = place[1:] == place[:-1]
    # Of two at one place, the first in its column ends the edge above. The choice makes the touching pixels one part or two.
    descending = touching[y, x] & (over[:, :-1][y, x] != apart)
    order = np.lexsort((second ^ descending, y, x))
    down = np.empty_like(order)
    down[order[0::2]], down[order[1::2]] = order[1::2], order[0::2]
    return x, y, down


def _follow_edges(down: list[int], inside: list[bool]) -> tuple[list[int], list[int], list[int]]:
    """Return the corner that follows each one, and the first corner of each outline and of each hole, row by row.

    The pixel below and right of the first corner (`inside`) tells which it is. Outlines are walked one way round, holes
    the other, so that a hole takes its area away in a sum over the points as well.
    """
    following = [-1] * len(down)
    outlines: list[int] = []
    holes: list[int] = []
    for start in range(len(down)):
        if following[start] >= 0:
            continue
        (outlines if inside[start] else holes).append(start)
        corner = start
        while following[corner] < 0:
            between = corner ^ 1 if inside[start] else down[corner]
            following[corner] = between
            following[between] = corner = down[between] if inside[start] else between ^ 1
    return following, outlines, holes


def _join_holes(
    inside: Bools, x: Integers, y: Integers, following: list[int], holes: list[int]
) -> tuple[Integers, Integers, list[int]]:
    """Join each hole, given by its first corner, to the next edge straight above."""
    columns, rows = np.ascontiguousarray(inside.T).tobytes(), len(inside)
    place = y * inside.shape[1] + x
    cuts: dict[int, list[tuple[int, int, int]]] = {}
    for hole in holes:
        across, bottom = int(x[hole]), int(y[hole])
        begin = (across + 1) * rows
        above = columns.rfind(b"\0", begin, begin + bottom + 1) - begin
        edge = int(np.searchsorted(place, above * inside.shape[1] + across, side="right")) - 1
        cuts.setdefault(edge, []).append((across, above, hole))
    more_x, more_y = [], []
    for left, joined in cuts.items():
        rightwards = following[left] == left + 1
        corner, end = (left, left + 1) if rightwards else (left + 1, left)
        for across, above, hole in sorted(joined, reverse=not rightwards):
            new = len(following)
            more_x += [across, across, across]
            more_y += [above, int(y[hole]), above]
            following += [hole, new + 2, -1]
            following[corner], following[hole ^ 1] = new, new + 1  # a hole's walk ends along its top edge
            corner = new + 2
        following[corner] = end
    return np.append(x, np.array(more_x, np.int64)), np.append(y, np.array(more_y, np.int64)), following


def _collect(points: Polygon, following: list[int], start: int) -> Polygon:
    walk, corner = [start], following[start]
    while corner != start:
        walk.append(corner)
        corner = following[corner]
    places = points[walk]
    polygon: Polygon = places[(places != np.roll(places, 1, axis=0)).any(axis=1)].ravel()  # a cut may begin at a corner
    return polygon
