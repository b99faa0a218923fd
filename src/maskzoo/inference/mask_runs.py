"""Masks as runs of pixels of a large image: moved, cut, measured and joined without an array of its size.

The pixel x, y of an image of height H has the number x * H + y. Runs are their first numbers and ends, int64 `[R 2]`; they
ascend, and none leaves its column of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.inference.prediction import Index, Masks, choose_places

__all__ = ["RunMasks", "count_common", "count_pixels", "cut_runs", "join_runs", "shrink_runs"]

Runs = NDArray[np.int64]


class RunMasks(Masks):
    """The masks of N objects whose `runs` are known; they have no map of probabilities. `size` is the image's height, width."""

    def __init__(self, runs: Sequence[Runs], size: tuple[int, int]) -> None:
        nothing = np.zeros((len(runs), 0, 0), np.float32)
        super().__init__(nothing, np.zeros((len(runs), 4), np.float32), size)
        self._runs = [torch.from_numpy(one) for one in runs]

    def __getitem__(self, index: Index) -> RunMasks:
        runs = self.runs()
        return RunMasks([runs[place] for place in choose_places(index, len(self))], self.size)

    def shrink(self, factor: int) -> RunMasks:
        """Return the masks on an image whose sides are divided by `factor`, rounded up."""
        size = (-(-self.size[0] // factor), -(-self.size[1] // factor))
        return RunMasks([shrink_runs(one, self.size[0], factor) for one in self.runs()], size)


def cut_runs(runs: Runs, box: Sequence[int], height: int) -> Runs:
    """Return what lies in the rectangle `box` (x1 y1 x2 y2) of an image of this height."""
    x1, y1, x2, y2 = box
    inside = runs[np.searchsorted(runs[:, 0], x1 * height) : np.searchsorted(runs[:, 0], x2 * height)]
    top = inside[:, 0] // height * height
    cut = np.stack([np.maximum(inside[:, 0], top + y1), np.minimum(inside[:, 1], top + y2)], axis=1)
    return cut[cut[:, 1] > cut[:, 0]]


def count_pixels(runs: Runs) -> int:
    """Return how many pixels the runs have."""
    return int((runs[:, 1] - runs[:, 0]).sum())


def count_common(one: Runs, other: Runs) -> int:
    """Return how many pixels two masks have in common."""
    before = np.concatenate([[0], np.cumsum(one[:, 1] - one[:, 0])])  # pixels of the first runs of `one`

    def count_below(pixel: Runs) -> Runs:
        place = np.searchsorted(one[:, 0], pixel, side="right")
        last = np.maximum(place - 1, 0)
        return before[place] - np.where(place > 0, np.maximum(one[last, 1] - pixel, 0), 0)

    return int((count_below(other[:, 1]) - count_below(other[:, 0])).sum()) if len(one) and len(other) else 0


def join_runs(masks: Sequence[Runs]) -> Runs:
    """Return the pixels that any of the masks has."""
    if len(masks) == 1:
        return masks[0]
    runs = np.concatenate(masks)
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    if len(runs) == 0:
        return runs
    reach = np.maximum.accumulate(runs[:, 1])
    new = np.concatenate([[True], runs[1:, 0] >= reach[:-1]])  # the next column begins where one ends: not one run
    return np.stack([runs[new, 0], reach[np.append(np.flatnonzero(new)[1:], len(runs)) - 1]], axis=1)


def shrink_runs(runs: Runs, height: int, factor: int) -> Runs:
    """Return a mask of an image whose sides are divided by `factor`: each pixel says what its middle one said."""
    middle, small = factor // 2, -(-height // factor)
    column = runs[:, 0] // height
    some = runs[column % factor == middle]
    column = some[:, 0] // height
    rows = -((middle - (some - column[:, None] * height)) // factor)  # of those in a run: from the first middle on
    first = column // factor * small
    cut: Runs = np.minimum(rows, small) + first[:, None]
    return cut[cut[:, 1] > cut[:, 0]]
