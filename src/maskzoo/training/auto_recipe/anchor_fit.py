"""Anchors by the boxes of a data set, and how many of the boxes any anchors reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maskzoo.config import Anchors

__all__ = ["fit_anchors", "measure_recall"]

Doubles = NDArray[np.float64]
REACHED = 0.5  # IoU of a box and its best anchor
ROUNDS = 50  # of k-means; it settles in fewer
MOST_BOXES = 20_000  # that are looked at, evenly chosen


def measure_recall(anchors: Anchors, boxes: Doubles) -> float:
    """Return the share of boxes, `[N 2]` width and height in pixels of the input, that an anchor reaches.

    A box lies somewhere between the cells of a level: a quarter of the stride off its nearest centre, in the mean, down and
    across. So an anchor that is small for its level reaches little.
    """
    boxes = _thin_out(boxes)
    ratios = np.sqrt(np.array(anchors.ratios))
    best = np.zeros(len(boxes))
    for sizes, stride in zip(anchors.sizes, anchors.strides, strict=True):
        for size in sizes:
            shapes = np.stack([size / ratios, size * ratios], axis=1)  # [R 2]
            shared = np.minimum(np.minimum(boxes[:, None], shapes), (boxes[:, None] + shapes) / 2 - stride / 4)
            overlap = shared.clip(0).prod(axis=2)
            union = boxes.prod(axis=1)[:, None] + shapes.prod(axis=1) - overlap
            best = np.maximum(best, (overlap / union).max(axis=1))
    return float((best >= REACHED).mean())


def fit_anchors(anchors: Anchors, boxes: Doubles) -> Anchors:
    """Return as many anchors with sizes and ratios that are the centres of the boxes', by k-means on their logarithms."""
    boxes = _thin_out(boxes)
    levels, places = len(anchors.sizes), len(anchors.sizes[0])
    sizes = _find_centres(np.log(boxes.prod(axis=1)) / 2, levels * places).reshape(levels, places)
    ratios = _find_centres(np.log(boxes[:, 1] / boxes[:, 0]), len(anchors.ratios))
    return anchors.model_copy(
        update={"sizes": tuple(_round(level) for level in np.exp(sizes)), "ratios": _round(np.exp(ratios))}
    )


def _thin_out(boxes: Doubles) -> Doubles:
    return boxes[:: len(boxes) // MOST_BOXES + 1]


def _find_centres(values: Doubles, count: int) -> Doubles:
    """Return `count` centres of values in one dimension, ascending, by Lloyd's algorithm from evenly spread quantiles."""
    centres = np.quantile(values, (np.arange(count) + 0.5) / count)
    for _ in range(ROUNDS):
        nearest = np.abs(values[:, None] - centres).argmin(axis=1)
        sums = np.bincount(nearest, weights=values, minlength=count)
        counts = np.bincount(nearest, minlength=count)
        moved = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
        if np.allclose(moved, centres):
            break
        centres = moved
    return np.sort(centres)


def _round(values: Sequence[float] | Doubles) -> tuple[float, ...]:
    return tuple(float(f"{value:.3g}") for value in values)
