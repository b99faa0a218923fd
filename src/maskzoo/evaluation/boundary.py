"""Boundary AP: how well the edges of masks fit, which the IoU of large masks hardly shows.

The measure is that of Cheng et al., "Boundary IoU" (2021), with the rules of their boundary-iou-api. hotcoco has no
such measure and takes no IoU from outside, so that COCO's matching stands here once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.rle import decode_runs, encode_mask
from maskzoo.evaluation.metrics import IOU50, IOU75
from maskzoo.evaluation.overlaps import encode_outline, walk_images
from maskzoo.evaluation.results import Results

__all__ = ["BoundaryMetrics", "encode_boundary", "score_boundaries"]

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's, of IoU
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # detections of a class on an image that count
DILATION = 0.02  # of the image's diagonal: the width of a boundary, as published for COCO


@dataclass(frozen=True, slots=True)
class BoundaryMetrics:
    """Boundary AP over IoU 0.50 to 0.95, at 0.50 and at 0.75, and of each class; None where no object counts."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    classes: tuple[float | None, ...]


def encode_boundary(mask: dict[str, Any]) -> dict[str, Any]:
    """Return the pixels of a mask that lie near its edge, both as run lengths `{"size": [H, W], "counts": bytes}`.

    Near is within 2 % of the image's diagonal, one pixel at least; what the image cuts off has an edge there.
    """
    height, width = mask["size"]
    dense = decode_runs(mask["counts"], (height, width))
    x, y, wide, high = cv2.boundingRect(dense)
    reach = max(1, round(DILATION * math.hypot(height, width)))
    if wide and high:
        crop = dense[y : y + high, x : x + wide]  # a view: outside it there is no mask
        padded = cv2.copyMakeBorder(crop, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
        inner = cv2.erode(padded, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        crop -= np.asarray(inner[reach : reach + high, reach : reach + wide])
    return {"size": mask["size"], "counts": encode_mask(dense)}


def score_boundaries(annotations: AnnotationSet, results: Results) -> BoundaryMetrics:
    """Measure boundary AP of masks: COCO's AP where the smaller of mask IoU and boundary IoU decides on a match."""
    classes = len(annotations.classes)
    scores: list[list[Doubles]] = [[] for _ in range(classes)]
    hits: list[list[Doubles]] = [[] for _ in range(classes)]
    for _, rows, objects, iou in walk_images(annotations, results, "segm", -np.inf):
        found, truth = results.labels[rows], annotations.labels[objects]
        fit = _bound(np.where(found[:, None] == truth, iou, 0), annotations, results, rows, objects)
        for label in np.unique(found).tolist():
            lines, columns = np.flatnonzero(found == label)[:MOST], np.flatnonzero(truth == label)
            scores[label].append(results.scores[rows[lines]])
            hits[label].append(_match(fit[np.ix_(lines, columns)], annotations.crowd[objects[columns]]))
    table = [_average(*columns) for columns in zip(scores, hits, annotations.count_objects(), strict=True)]
    there = np.array([row for row in table if row is not None])
    if not len(there):
        return BoundaryMetrics(None, None, None, (None,) * classes)
    means = there.mean(axis=0)
    by_class = tuple(None if row is None else float(row.mean()) for row in table)
    return BoundaryMetrics(float(means.mean()), float(means[IOU50]), float(means[IOU75]), by_class)


def _bound(iou: Doubles, annotations: AnnotationSet, results: Results, rows: Integers, objects: Integers) -> Doubles:
    """Lower mask IoU `[D G]` to boundary IoU where that is smaller. Pairs that cannot match are not looked at."""
    near = iou >= THRESHOLDS[0]
    lines, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if not len(lines):
        return iou
    size = annotations.sizes[annotations.image_index[objects[0]]].tolist()
    found = [encode_boundary({"size": size, "counts": results.runs[row]}) for row in rows[lines].tolist()]
    truth = [encode_boundary(encode_outline(annotations, row)) for row in objects[columns].tolist()]
    edges = hotcoco.mask.iou(found, truth, annotations.crowd[objects[columns]].tolist())
    place = np.ix_(lines, columns)
    iou[place] = np.minimum(iou[place], edges)
    return iou


def _match(iou: Doubles, crowd: Bools) -> Doubles:
    """Match detections, best first, by COCO's rule: `[T D]` is 1 if right at a threshold, 0 if wrong, NaN if in a crowd."""
    hits = np.zeros((len(THRESHOLDS), len(iou)))
    for level, threshold in enumerate(THRESHOLDS.tolist()):
        taken = np.zeros(len(crowd), np.bool_)
        for line in np.flatnonzero((iou >= threshold).any(axis=1)).tolist():
            fit = np.where(~crowd & ~taken & (iou[line] >= threshold), iou[line], -1)
            best = len(fit) - 1 - int(fit[::-1].argmax())  # of equal ones COCO takes the last
            if fit[best] >= 0:
                taken[best], hits[level, line] = True, 1
            elif (crowd & (iou[line] >= threshold)).any():
                hits[level, line] = np.nan
    return hits


def _average(scores: Sequence[Doubles], hits: Sequence[Doubles], objects: int) -> Doubles | None:
    """Return the AP of a class at each threshold, `[T]`, from its detections by image; None without an object."""
    if not objects:
        return None
    levels = np.zeros(len(THRESHOLDS))
    if not scores:
        return levels
    ranked = np.concatenate(hits, axis=1)[:, np.argsort(-np.concatenate(scores), kind="stable")]
    for level, row in enumerate(ranked):
        right = np.cumsum(row[~np.isnan(row)])
        precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
        place = np.searchsorted(right / objects, RECALLS, side="left")
        levels[level] = np.append(precision, 0)[place].mean()
    return levels
