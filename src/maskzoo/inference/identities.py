"""The same object in one frame after another: ByteTrack, which matches boxes by overlap and motion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np

from maskzoo.inference.prediction import Prediction
from maskzoo.system.packages import import_extra

__all__ = ["LEAST_SCORE", "IdentityTracker"]

LEAST_SCORE = 0.1  # ByteTrack's: objects from here on keep an identity, though none begins with them
REMEMBERED = 1.0  # seconds that an object may be out of sight: 30 frames at 30 a second, as published
NANOSECONDS = 1_000_000_000


class IdentityTracker:
    """Gives the objects of a video's frames identities, 1, 2 ... in the order in which they are first seen.

    Each class is followed by itself, so that nothing takes over the number of another thing that passes before it. An
    identity begins with a `score`; `interval` is the time in seconds from a frame to the next. Raises MissingPackageError with
    the command that installs the tracker, if that is missing.
    """

    def __init__(self, score: float, interval: float) -> None:
        make = import_extra("edgefirst.tracker").ByteTrack
        lifespan = round((REMEMBERED + interval) * NANOSECONDS)
        self._trackers: defaultdict[int, Any] = defaultdict(lambda: make(high_conf=score, lifespan_ns=lifespan))
        self._numbers: dict[str, int] = {}
        self._count = 0

    def follow(self, prediction: Prediction) -> Prediction:
        """Return the objects of the next frame that have an identity, with it."""
        identities = np.zeros(len(prediction), np.int64)
        moment = max(round((prediction.time or 0) * NANOSECONDS), 0)
        for label in sorted(self._trackers.keys() | set(prediction.labels.tolist())):
            (places,) = np.nonzero(prediction.labels == label)
            boxes, scores = prediction.boxes[places], prediction.scores[places]
            tracks = self._trackers[label].update(boxes, scores, np.zeros(len(places), np.uintp), moment)
            for place, track in zip(places, tracks, strict=True):
                if track is not None:
                    identities[place] = self._number(track.uuid)
        active = (track for tracker in self._trackers.values() for track in tracker.get_active_tracks())
        alive = {track.info.uuid for track in active}
        self._numbers = {uuid: number for uuid, number in self._numbers.items() if uuid in alive}
        known = identities > 0
        return replace(prediction[known], identities=identities[known])

    def _number(self, uuid: str) -> int:
        if uuid not in self._numbers:
            self._count += 1
            self._numbers[uuid] = self._count
        return self._numbers[uuid]
