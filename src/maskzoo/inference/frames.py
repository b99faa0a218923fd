"""The frames of a video predicted in their order, with their times and, if wanted, the identities of their objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import ImageError
from maskzoo.inference.identities import LEAST_SCORE, IdentityTracker
from maskzoo.inference.prediction import Prediction
from maskzoo.system.take_ahead import take_ahead
from maskzoo.video.reader import Frame, VideoReader

__all__ = ["predict_frames"]

PredictEach = Callable[..., Iterator[tuple[Any, Prediction | ImageError]]]
AHEAD = 2  # frames that are decoded before they are needed


def predict_frames(
    predict_each: PredictEach,
    video: VideoReader,
    *,
    score: float,
    classes: str | Sequence[str] | None,
    batch_size: int,
    workers: int,
    track: bool,
) -> Generator[Prediction, None, None]:
    """Yield the prediction of each frame of an open video, by `Predictor.predict_each`; see `Predictor.stream`."""
    tracker = IdentityTracker(score, video.every / float(video.rate)) if track else None
    taken: deque[Frame] = deque()

    def take_pixels(frames: Iterable[Frame]) -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            taken.append(frame)
            yield frame.pixels

    with closing(take_ahead(video.frames(), AHEAD, newest=video.live)) as frames:
        least = score if tracker is None else min(score, LEAST_SCORE)
        results = predict_each(take_pixels(frames), score=least, classes=classes, batch_size=batch_size, workers=workers)
        for _, result in results:
            if isinstance(result, ImageError):
                raise result
            frame = taken.popleft()
            prediction = replace(result, source=video.name, frame=frame.number, time=float(frame.time))
            if tracker is not None:
                prediction = tracker.follow(prediction)
                prediction = prediction[prediction.scores >= score]
            yield prediction
