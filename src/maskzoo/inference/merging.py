"""Which objects of several views of an image are one object: decided by their masks, where both views look.

A view is a rectangle of the image that was predicted by itself: a tile, or the whole image once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskzoo.inference.mask_runs import count_common, count_pixels, cut_runs

__all__ = ["Piece", "Rectangle", "group_pieces"]

Rectangle = tuple[int, int, int, int]  # x1 y1 x2 y2 in pixels of the image
SAME = 0.5  # of two masks: IoU in what both views see
WITHIN = 0.5  # of a piece that its view cuts off: the share that the other mask has as well
APART = 0.1  # of two masks of one view: up to this share of the smaller they are parts of one object that the view cuts


@dataclass(frozen=True, slots=True)
class Piece:
    """What one view sees of an object: its `box` float32 `[4]` and mask (`runs`) in the image; `cut`: the view ends in it."""

    view: int
    label: int
    score: float
    box: NDArray[np.float32]
    runs: NDArray[np.int64]
    cut: bool


def group_pieces(pieces: Sequence[Piece], views: Sequence[Rectangle], height: int, same: float = SAME) -> list[list[int]]:
    """Return the places of the pieces of each object, the best piece first; the best object comes first.

    Two pieces of one class are of one object if their masks agree where both views look: by an IoU of `same` there, or
    because the greater part of one that is cut off lies in the other. So a sliver at a border joins its object, whereas
    touching objects stay apart, whatever their boxes are. Pieces of one view join by way of another view only, and
    only where they hardly overlap: two arms of what a tile cuts.

    Args:
        pieces: of all views.
        views: the rectangles that the pieces' `view` numbers.
        height: of the image, which numbers the pixels of runs.
        same: the least IoU.
    """
    boxes = np.array([piece.box for piece in pieces]).reshape(-1, 4)
    labels = np.array([piece.label for piece in pieces])
    numbers = np.array([piece.view for piece in pieces])
    free = np.ones(len(pieces), np.bool_)
    groups: list[list[int]] = []
    for seed in np.argsort([-piece.score for piece in pieces], kind="stable").tolist():
        if not free[seed]:
            continue
        group, free[seed] = [seed], False
        for member in group:  # it grows while it is read
            box = boxes[member]
            near = (boxes[:, :2] < box[2:]).all(axis=1) & (boxes[:, 2:] > box[:2]).all(axis=1)
            near &= free & (labels == labels[member]) & (numbers != numbers[member])
            for other in np.flatnonzero(near).tolist():
                beside = [pieces[one] for one in group if numbers[one] == numbers[other]]
                if _are_same(pieces[member], pieces[other], views, height, same) and _are_apart(pieces[other], beside):
                    group.append(other)
                    free[other] = False
        groups.append(group)
    return groups


def _are_same(one: Piece, other: Piece, views: Sequence[Rectangle], height: int, same: float) -> bool:
    a, b = views[one.view], views[other.view]
    seen = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        return False
    first, second = (
        piece.runs if seen == view else cut_runs(piece.runs, seen, height) for piece, view in ((one, a), (other, b))
    )
    common = count_common(first, second)
    if common == 0:
        return False
    if common >= same * (count_pixels(first) + count_pixels(second) - common):
        return True
    return any(piece.cut and common >= WITHIN * count_pixels(piece.runs) for piece in (one, other))


def _are_apart(piece: Piece, others: Sequence[Piece]) -> bool:
    area = count_pixels(piece.runs)
    return all(count_common(piece.runs, one.runs) <= APART * min(area, count_pixels(one.runs)) for one in others)
