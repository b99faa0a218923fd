"""What a recipe wants to know of the images and objects to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet

__all__ = ["DataFacts", "measure_data"]


@dataclass(frozen=True, slots=True, eq=False)
class DataFacts:
    """Of `images` images: the middle `short_side` in pixels, `aspect` (long by short side, that 95 % stay below).

    `boxes` float64 `[N 2]` are widths and heights in short sides of their image; `small` and `middle` the roots of their areas
    that 10 % and 50 % stay below; `most` the objects of the fullest image. `class_shares` has the share of images that
    each class with an object is in.
    """

    images: int
    short_side: float
    aspect: float
    boxes: NDArray[np.float64]
    small: float
    middle: float
    most: int
    class_shares: dict[str, float]


def measure_data(annotations: AnnotationSet) -> DataFacts:
    """Measure what `select_for_training` left: one image and one object or more."""
    short, long = annotations.sizes.min(axis=1).astype(np.float64), annotations.sizes.max(axis=1)
    boxes = annotations.bbox[:, 2:] / short[annotations.image_index][:, None]
    small, middle = np.quantile(np.sqrt(boxes.prod(axis=1)), (0.1, 0.5)).tolist()
    count = len(annotations.classes)
    pairs = np.unique(annotations.image_index.astype(np.int64) * count + annotations.labels)
    shares = np.bincount(pairs % count, minlength=count) / len(annotations)
    names = zip(annotations.classes.names, shares.tolist(), strict=True)
    return DataFacts(
        images=len(annotations),
        short_side=float(np.median(short)),
        aspect=float(np.quantile(long / short, 0.95)),
        boxes=boxes,
        small=small,
        middle=middle,
        most=int(np.bincount(annotations.image_index).max()),
        class_shares={name: share for name, share in names if share},
    )
