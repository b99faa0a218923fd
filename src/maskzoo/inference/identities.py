"""The same object in one frame after another: ByteTrack, which matches boxes by overlap and motion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from maskzoo.errors import MaskzooError
from maskzoo.inference.prediction import Prediction

__all__ = ["LEAST_SCORE", "IdentityTracker"]

LEAST_SCORE = 0.1  # ByteTrack's: objects from here on keep an identity, though none begins with them
REMEMBERED = 1.0  # seconds that an object may be out of sight: 30 frames at 30 a second, as published
NANOSECONDS = 1_000_000_000


class IdentityTracker:
    """Gives the objects of a video's frames identities, 1, 2 ... in the order in which they are first seen.

    An identity begins with a `score`; `interval` is the time in seconds from a frame to the next. Raises MaskzooError with
    the command that installs the tracker, if that is missing.
    """

    def __init__(self, score: float, interval: float) -> None:
        try:
            from edgefirst.tracker import ByteTrack
        except ImportError as error:
            raise MaskzooError(
                "edgefirst-tracker is not installed, and --track needs it: pip install 'maskzoo[video]'"
            ) from error
        self._tracker: Any = ByteTrack(high_conf=score, lifespan_ns=round((REMEMBERED + interval) * NANOSECONDS))
        self._numbers: dict[str, int] = {}
        self.count = 0

    def follow(self, prediction: Prediction) -> Prediction:
        """Return the objects of the next frame that have an identity, with it."""
        moment = round((prediction.time or 0) * NANOSECONDS)
        boxes, scores = prediction.boxes.astype(np.float32), prediction.scores.astype(np.float32)
        found = self._tracker.update(boxes, scores, prediction.labels.astype(np.uintp), max(moment, 0))
        chosen = [place for place, track in enumerate(found) if track is not None]
        for place in chosen:
            if found[place].uuid not in self._numbers:
                self.count += 1
                self._numbers[found[place].uuid] = self.count
        identities = np.array([self._numbers[found[place].uuid] for place in chosen], np.int64)
        alive = {track.info.uuid for track in self._tracker.get_active_tracks()}
        self._numbers = {uuid: number for uuid, number in self._numbers.items() if uuid in alive}
        return replace(prediction[chosen], identities=identities)
