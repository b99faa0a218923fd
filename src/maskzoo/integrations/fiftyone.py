"""Predictions as FiftyOne's `Detections`, to look at them in its app beside the labels of people."""

from __future__ import annotations

from typing import Any

from maskzoo.integrations.found import Found
from maskzoo.system.packages import import_extra

__all__ = ["to_detections"]

NUDGE = 1e-6  # pixels: FiftyOne cuts the products of parts and sides down to whole numbers


def to_detections(prediction: Found) -> Any:
    """Return `fiftyone.Detections`, a field of a sample: boxes in parts of the photo, each mask inside its box.

    FiftyOne stretches a mask to its box, so that the box is the mask's own, in whole pixels; an object without a pixel keeps
    the predicted box and has no mask. FiftyOne reports nothing from this process on, unless it was imported before.
    Raises MissingPackageError if it is not installed.
    """
    fiftyone = import_extra("fiftyone")
    return fiftyone.Detections(
        detections=[fiftyone.Detection(**_describe(prediction, place)) for place in range(len(prediction))]
    )


def _describe(prediction: Found, place: int) -> dict[str, Any]:
    height, width = prediction.size
    mask, (x, y) = prediction.masks.crop(place)
    left, top, right, bottom = map(float, prediction.boxes[place])
    shape: dict[str, Any] = {}
    if mask.size:
        left, top, right, bottom = x, y, x + mask.shape[1], y + mask.shape[0]
        shape = {"mask": mask.copy()}
    box = [(left + NUDGE) / width, (top + NUDGE) / height, (right - left) / width, (bottom - top) / height]
    score = float(prediction.scores[place])
    return {"label": prediction.names[place], "bounding_box": box, "confidence": score} | shape
