"""Predictions as supervision's `Detections`, for its annotators, zones, counters and trackers."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskzoo.integrations.found import Found
from maskzoo.system.packages import import_extra

__all__ = ["to_detections"]


def to_detections(prediction: Found) -> Any:
    """Return `supervision.Detections`: boxes, dense masks, scores, labels 0 to C-1, and the names as `class_name`.

    Raises MissingPackageError if supervision is not installed.
    """
    supervision = import_extra("supervision")
    return supervision.Detections(
        xyxy=prediction.boxes.copy(),
        mask=prediction.masks.dense(),
        confidence=prediction.scores.copy(),
        class_id=prediction.labels.astype(int),
        data={"class_name": np.array(prediction.names, dtype=str)},
    )
