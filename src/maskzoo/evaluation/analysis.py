"""Where the AP comes from: precision over recall, the score that balances both, mixed-up classes, good and bad images.

Matches are COCO's (same class, the best score chooses first); only the confusion matrix matches across classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.boundary import BoundaryMetrics, score_boundaries
from maskzoo.evaluation.error_analysis import SUSPECT_SCORE, ErrorAnalysis, analyze_errors
from maskzoo.evaluation.metrics import IOU50, IOU75, Kind, match_objects
from maskzoo.evaluation.overlaps import walk_images
from maskzoo.evaluation.results import Results

__all__ = ["Analysis", "ImageScores", "ScoreSweep", "analyze"]

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
RECALLS = np.linspace(0, 1, 101)  # COCO's
SCORES = np.linspace(0, 1, 201)  # at which precision, recall and F1 are given for a curve
SAME = 0.5  # the IoU from which on a detection is an object
USUAL_SCORE = 0.5  # the threshold where no detection is right, so that none is best
UNMATCHED, IGNORED = -1, -2  # for a detection: no object; a crowd, or beyond COCO's 100 of an image and class


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSweep:
    """`precision`, `recall` and `f1` float64 `[201]` of the detections from each of `scores` on, at IoU 0.5, all classes.

    `best_score` has the highest F1, `best_f1`; both None where no detection is right. Precision is NaN where none is left.
    """

    scores: Doubles
    precision: Doubles
    recall: Doubles
    f1: Doubles
    best_score: float | None
    best_f1: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ImageScores:
    """How good each image is from the threshold on: objects `found` and `missed`, `false` detections, int64 `[I]`.

    `quality` float64 `[I]` is the panoptic quality: the sum of the IoU of the found, by found plus half of missed and
    false; 0 to 1, NaN where there is neither an object nor a detection.
    """

    found: Integers
    missed: Integers
    false: Integers
    quality: Doubles

    def rank(self) -> Integers:
        """Return the images that can be judged, best first; of two equal ones the one with more to find or to get wrong."""
        judged = np.flatnonzero(~np.isnan(self.quality))
        busy = self.found - self.missed - self.false
        return judged[np.lexsort((judged, -busy[judged], -self.quality[judged]))]


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What is behind the AP of masks, or of boxes where the results have no masks (`kind`).

    `precision50` and `precision75` float64 `[C 101]`: precision at COCO's 101 recalls, at IoU 0.5 and 0.75, NaN for a
    class without an object. `threshold` is the score from which on detections count in what follows. `matches` int64
    `[K]`: each result row's annotation at IoU 0.5, or UNMATCHED or IGNORED. `confusion` int64 `[C+1 C+1]`: rows are
    the truth, columns what was detected there, the last of both is background: missed objects and false detections.
    `best_scores` has each class's score with the best F1 and that F1, None where no detection of it is right. `boundary`
    is None for boxes, `errors` where the data set has no annotation.
    """

    kind: Literal["mask", "box"]
    precision50: Doubles
    precision75: Doubles
    sweep: ScoreSweep
    threshold: float
    matches: Integers
    confusion: Integers
    images: ImageScores
    best_scores: tuple[tuple[float, float] | None, ...]
    boundary: BoundaryMetrics | None
    errors: ErrorAnalysis | None

    def to_dict(self, annotations: AnnotationSet) -> dict[str, Any]:
        """Return what is wrong as plain values that `json.dumps` takes; `annotations` are those that were analyzed."""
        calibration, boundary = None if self.errors is None else self.errors.calibration, self.boundary
        rows = [
            {
                "name": name,
                "best_score": None if best is None else best[0],
                "best_f1": None if best is None else best[1],
                "calibration_error": None if calibration is None else calibration.by_class[label],
                "boundary_ap": None if boundary is None else boundary.classes[label],
            }
            for label, (name, best) in enumerate(zip(annotations.classes.names, self.best_scores, strict=True))
        ]
        return {
            "kind": self.kind,
            "threshold": self.threshold,
            "boundary": None if boundary is None else {"AP": boundary.ap, "AP50": boundary.ap50, "AP75": boundary.ap75},
            "classes": rows,
            "errors": None if self.errors is None else self.errors.to_dict(annotations),
        }


def analyze(annotations: AnnotationSet, results: Results, *, threshold: float | None = None) -> Analysis:
    """Look into the results on a data set. `threshold` is the score with the best F1 unless given."""
    kind: Kind = "segm" if results.has_masks else "bbox"
    classes = len(annotations.classes)
    precision = np.full((2, classes, len(RECALLS)), np.nan)
    matches = np.full(len(results), UNMATCHED)
    if len(annotations.ids):
        evaluator, tables = match_objects(annotations, results, kind)
        table = np.asarray(tables["precision"])[[IOU50, IOU75], :, :, 0, 2].transpose(0, 2, 1)  # 100 detections, all areas
        precision = np.where(table > -1, table, np.nan)
        diagnostics = evaluator.image_diagnostics(iou_thr=SAME, score_thr=SUSPECT_SCORE)
        matches = _read_matches(diagnostics, len(results))
    sweep = _sweep(results.scores, matches, int((~annotations.crowd).sum()))
    if threshold is None:
        threshold = USUAL_SCORE if sweep.best_score is None else sweep.best_score
    confusion = np.zeros((classes + 1, classes + 1), np.int64)
    overlap = np.zeros(len(annotations))
    for image, rows, objects, iou in walk_images(annotations, results, kind, threshold):
        _count(confusion, results.labels[rows], annotations.labels[objects], annotations.crowd[objects], iou)
        place = {row: column for column, row in enumerate(objects.tolist())}
        pairs = [(line, place[found]) for line, found in enumerate(matches[rows].tolist()) if found >= 0]
        overlap[image] = sum(iou[pair] for pair in pairs)
    images = _judge(annotations, results, matches, threshold, overlap)
    errors = None
    if len(annotations.ids):
        detected = np.zeros(len(annotations.ids), np.bool_)
        detected[matches[(matches >= 0) & (results.scores >= threshold)]] = True
        errors = analyze_errors(evaluator, annotations, diagnostics, detected)
    best = _find_best_scores(annotations, results, matches)
    boundary = score_boundaries(annotations, results) if results.has_masks else None
    name: Literal["mask", "box"] = "mask" if kind == "segm" else "box"
    return Analysis(name, precision[0], precision[1], sweep, threshold, matches, confusion, images, best, boundary, errors)


def _find_best_scores(
    annotations: AnnotationSet, results: Results, matches: Integers
) -> tuple[tuple[float, float] | None, ...]:
    best: list[tuple[float, float] | None] = []
    for label, objects in enumerate(annotations.count_objects()):
        rows = results.labels == label
        sweep = _sweep(results.scores[rows], matches[rows], objects)
        best.append(None if sweep.best_score is None or sweep.best_f1 is None else (sweep.best_score, sweep.best_f1))
    return tuple(best)


def _read_matches(found: Mapping[str, Any], count: int) -> Integers:
    """Return each result row's annotation at IoU 0.5. A match does not depend on detections with a lower score."""
    matches = np.full(count, IGNORED)
    matches[np.array(list(found["dt_status"]), dtype=np.int64) - 1] = UNMATCHED
    pairs = np.array(list(found["dt_match"].items()), dtype=np.int64).reshape(-1, 2)
    counted = pairs[matches[pairs[:, 0] - 1] != IGNORED]
    matches[counted[:, 0] - 1] = counted[:, 1] - 1
    return matches


def _sweep(scores: Doubles, matches: Integers, objects: int) -> ScoreSweep:
    counted = matches != IGNORED
    order = np.argsort(-scores[counted], kind="stable")
    falling = scores[counted][order]
    right = np.concatenate([[0], np.cumsum(matches[counted][order] >= 0)])  # of the first n
    number = len(falling) - np.searchsorted(falling[::-1], SCORES, side="left")
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(number > 0, right[number] / number, np.nan)
        recall = right[number] / objects if objects else np.full(len(SCORES), np.nan)
        f1 = 2 * right[number] / (number + objects) if objects else np.full(len(SCORES), np.nan)
    if not objects or not right[-1]:
        return ScoreSweep(SCORES, precision, recall, f1, None, None)
    last = np.flatnonzero(np.diff(falling, append=-np.inf)) + 1  # equal scores come together
    each = 2 * right[last] / (last + objects)
    best = int(each.argmax())
    return ScoreSweep(SCORES, precision, recall, f1, float(falling[last[best] - 1]), float(each[best]))


def _count(confusion: Integers, detected: Integers, truth: NDArray[np.int32], crowd: NDArray[np.bool_], iou: Doubles) -> None:
    """Match the detections of one image to objects of any class, the best score first, and count the pairs."""
    background = len(confusion) - 1
    free = ~crowd
    for label, overlaps in zip(detected.tolist(), iou, strict=True):
        open_overlaps = np.where(free, overlaps, 0)
        best = int(open_overlaps.argmax()) if len(overlaps) else 0
        if len(overlaps) and open_overlaps[best] >= SAME:
            confusion[truth[best], label] += 1
            free[best] = False
        elif not (crowd & (truth == label) & (overlaps >= SAME)).any():  # part of a crowd is neither right nor wrong
            confusion[background, label] += 1
    np.add.at(confusion[:, background], truth[free], 1)


def _judge(annotations: AnnotationSet, results: Results, matches: Integers, threshold: float, overlap: Doubles) -> ImageScores:
    counted, number = results.scores >= threshold, len(annotations)
    found = np.bincount(results.images[counted & (matches >= 0)], minlength=number)
    false = np.bincount(results.images[counted & (matches == UNMATCHED)], minlength=number)
    missed = np.bincount(annotations.image_index[~annotations.crowd], minlength=number) - found
    with np.errstate(invalid="ignore"):
        quality = overlap / (found + (missed + false) / 2)
    return ImageScores(found, missed, false, quality)
