"""The rule by which photos are picked: how doubtful a prediction is, and how unlike the photos are that were picked before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTED", "Step", "measure_doubt", "select", "to_directions"]

Floats = NDArray[np.float32]
COUNTED = 5  # objects of a photo whose doubt counts: with many small ones it would say how many there are
LEAST = 0.02  # doubt that every photo has: where nothing was found, something may have been missed


@dataclass(frozen=True, slots=True)
class Step:
    """One photo that was picked, by its place, how unlike the nearest one picked before is (0 to 2), and which that is."""

    place: int
    distance: float
    nearest: int | None


def measure_doubt(scores: NDArray[np.floating]) -> tuple[float, NDArray[np.intp]]:
    """Return how doubtful a photo's objects are, 0 to 1, and the places of the most doubtful ones.

    An object's doubt is 1 - |2 s - 1|: 1 at a score s of a half, 0 at 0 and 1. A photo's is the mean of its five most doubtful
    objects'; those that it lacks count as 0.
    """
    doubt = 1 - np.abs(2 * scores.astype(np.float64) - 1)
    most = np.argsort(-doubt, kind="stable")[:COUNTED]
    return float(doubt[most].sum() / COUNTED), most


def to_directions(features: Floats) -> Floats:
    """Return features `[N C]` of photos, each channel by its mean and deviation over all of them, at length 1."""
    deviation = features.std(axis=0)
    centred = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1), np.float32)


def select(doubts: Sequence[float], directions: Floats, count: int) -> list[Step]:
    """Return up to `count` photos: first the most doubtful, then always the one with the most doubt times distance.

    The distance is 1 - cosine to the nearest photo picked before: this is the greedy k-center rule, weighted by doubt.

    Args:
        doubts: Of each photo, 0 to 1.
        directions: Its features at length 1, `[N C]`.
        count: How many are wanted.
    """
    weight = np.maximum(np.asarray(doubts, np.float64), LEAST)
    nearest, owner = np.full(len(weight), 2.0), np.full(len(weight), -1)
    left = np.ones(len(weight), np.bool_)
    steps: list[Step] = []
    while left.any() and len(steps) < count:
        place = int(np.argmax(np.where(left, weight * nearest, -1)))
        steps.append(Step(place, float(nearest[place]), None if owner[place] < 0 else int(owner[place])))
        left[place] = False
        distance = 1 - directions @ directions[place]
        closer = distance < nearest
        nearest[closer], owner[closer] = np.maximum(distance[closer], 0), place
    return steps
