"""An exported file compared with the network: the same photos through both, alone and three at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.config import BoxLimits
from maskzoo.exporting.onnx_preprocessing import PreprocessingBackend
from maskzoo.images.read import read_image
from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import PhotoPredictor, Predictor, Source
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["Verification", "find_limit", "match_masks", "match_objects", "measure_overlap", "verify"]

BOX_PIXELS = 1e-3  # of the photo; float32 sums of another order move a box by less
MASK_IOU = 0.999
MEAN_MASK_IOU = {"bfloat16": 0.98, "int8": 0.95}  # of matched objects, on average: what a reduced type may cost
MATCH_IOU = 0.5  # boxes of one object in both
NEAR = 1e-3  # of a score: objects this near to the limit, or to the last one that found room, may come and go


@dataclass
class Verification:
    """What `verify` found. `faults` says where the file and the network differ by more than they may; none is good."""

    dtype: str
    photos: int = 0
    objects: int = 0
    matched: int = 0
    largest_box_error: float = 0.0
    least_mask_iou: float = 1.0
    mean_mask_iou: float = 1.0
    faults: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self) | {"passed": not self.faults}


def verify(
    network: Predictor, exported: Predictor, photos: Sequence[Path], on_progress: OnProgress = say_nothing
) -> Verification:
    """Compare both on each photo alone, then on batches of three of its kind: itself, mirrored, and black.

    The black one has few objects or none, beside others that have many. In float32 every object must have its equal,
    within a thousandth of a pixel and a mask IoU of 0.999; a reduced type is judged by the mean mask IoU of objects that
    both found. A file that prepares photos is held in two steps: its preparation, then the network on what that gives.
    Raises ImageError for a photo that cannot be read.
    """
    report, overlaps = Verification(exported.backend.dtype), []
    prepared = PreprocessingBackend(network.backend, network.config.input) if isinstance(exported, PhotoPredictor) else None
    if prepared is not None:
        network = PhotoPredictor(prepared, network.config)
    for path in photos:
        pixels = read_image(path)
        if prepared is not None and (fault := prepared.find_fault(pixels)):
            report.faults.append(f"{path}: {fault}")
        kinds: list[Source] = [pixels, np.ascontiguousarray(pixels[:, ::-1]), np.zeros_like(pixels)]
        expected, found = (
            [one.predict(pixels, score=0), *one.predict(kinds, score=0, batch_size=3)] for one in (network, exported)
        )
        for name, ours, theirs in zip(("alone", "in a batch", "mirrored", "blackened"), expected, found, strict=True):
            overlaps += _compare(f"{path}, {name}", ours, theirs, network, report)
        report.photos += 1
        on_progress(ProgressEvent("Verifying", report.photos, len(photos)))
    report.matched = len(overlaps)
    if overlaps:
        report.least_mask_iou, report.mean_mask_iou = float(min(overlaps)), float(np.mean(overlaps))
    _judge_mean(report)
    return report


def match_masks(expected: Prediction, found: Prediction) -> list[tuple[int, int, float]]:
    """Return where the objects that both predictions of a photo tell stand in each, with the IoU of their masks.

    Such a pair has one label, and boxes that overlap by half or more.
    """
    masks, theirs = expected.masks.dense(), found.masks.dense()
    return [(first, second, measure_overlap(masks[first], theirs[second])) for first, second in match_objects(expected, found)]


def _compare(where: str, expected: Prediction, found: Prediction, network: Predictor, report: Verification) -> list[float]:
    """Note the differences of one photo in the report; returns the mask IoU of each object that both found."""
    pairs = match_masks(expected, found)
    report.objects += len(expected)
    overlaps = []
    for first, second, overlap in pairs:
        error = float(np.abs(expected.boxes[first] - found.boxes[second]).max())
        report.largest_box_error = max(report.largest_box_error, error)
        overlaps.append(overlap)
        if report.dtype == "float32" and (error > BOX_PIXELS or overlap < MASK_IOU):
            report.faults.append(
                f"{where}: {expected.names[first]} of score {expected.scores[first]:.3f}: box off by {error:.2g} pixels "
                f"(at most {BOX_PIXELS:g}), mask IoU {overlap:.5f} (at least {MASK_IOU})"
            )
    if report.dtype == "float32":
        report.faults += _list_single(f"{where}: the file misses", expected, {first for first, _, _ in pairs}, network)
        report.faults += _list_single(f"{where}: only the file finds", found, {second for _, second, _ in pairs}, network)
    return overlaps


def _list_single(text: str, prediction: Prediction, known: set[int], network: Predictor) -> list[str]:
    """The objects that have no equal, but for those that are told or not by a hair's breadth."""
    limit = find_limit(prediction, network.config.limits.detections) + NEAR
    names, scores = prediction.names, prediction.scores
    return [
        f"{text} {names[place]} of score {scores[place]:.3f}"
        for place in range(len(prediction))
        if place not in known and scores[place] > limit
    ]


def match_objects(expected: Prediction, found: Prediction) -> list[tuple[int, int]]:
    """Return pairs of objects of one label whose boxes overlap by half or more, best score first, each used once."""
    same = expected.labels[:, None] == found.labels[None, :]
    overlap = np.where(same, _box_overlaps(expected.boxes, found.boxes), 0)
    pairs, used = [], set()
    for first in np.argsort(-expected.scores, kind="stable").tolist():
        for second in np.argsort(-overlap[first], kind="stable").tolist():
            if overlap[first, second] < MATCH_IOU:
                break
            if second not in used:
                used.add(second)
                pairs.append((first, second))
                break
    return pairs


def _box_overlaps(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """IoU `[N M]` of boxes `[N 4]` and `[M 4]`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2]).astype(np.float64)
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    overlaps: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def measure_overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the IoU of two masks; two empty ones are equal."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def find_limit(prediction: Prediction, limits: BoxLimits) -> float:
    """Return the score below which an object is not told: the limit, or the lowest one where no room is left."""
    return limits.score if len(prediction) < limits.total else float(prediction.scores.min())


def _judge_mean(report: Verification) -> None:
    least = MEAN_MASK_IOU.get(report.dtype)
    if least is not None and report.mean_mask_iou < least:
        report.faults.append(f"masks overlap by {report.mean_mask_iou:.4f} on average; {report.dtype} requires {least}")
