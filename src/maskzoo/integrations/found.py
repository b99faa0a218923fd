"""What these files take of a prediction and of a predictor; `maskzoo.Prediction` and `maskzoo.Predictor` are such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finder", "Found", "FoundMasks"]


class FoundMasks(Protocol):
    """N masks on one photo, whole or each as its smallest rectangle of pixels and the x, y of its first one."""

    def crop(self, index: int) -> tuple[NDArray[np.bool_], tuple[int, int]]: ...
    def dense(self) -> NDArray[np.bool_]: ...


class Found(Protocol):
    """N objects on one photo of height, width `size`: boxes x1 y1 x2 y2 `[N 4]` in its pixels, scores, labels, ids, names."""

    @property
    def boxes(self) -> NDArray[np.float32]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def labels(self) -> NDArray[np.int64]: ...
    @property
    def category_ids(self) -> NDArray[np.int64]: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def masks(self) -> FoundMasks: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...


class Settings(Protocol):
    """A model's classes: the data set's category id to its name."""

    @property
    def classes(self) -> Mapping[int, str]: ...


class Finder(Protocol):
    """What finds the objects on a photo uint8 RGB `[H W 3]`."""

    @property
    def config(self) -> Settings: ...
    def predict(self, source: Any, *, score: float = 0.5) -> Any: ...
