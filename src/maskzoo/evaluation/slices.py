"""Where a model is weak: AP of parts of the images, and the share of objects that are found of parts of the objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from hotcoco import COCOeval
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.attributes import read_attributes

__all__ = ["Slice", "make_slices"]

Integers = NDArray[np.int64]
SMALL, LARGE = 32**2, 96**2  # COCO's areas, in pixels
CROWDING = {"1 to 3 objects": (1, 3), "4 to 10 objects": (4, 10), "more than 10 objects": (11, np.inf)}


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the data: of images (`by` crowding, tag) with its own `ap`, or of objects, whose `ap` is None.

    `found` is the share of its `objects` that are found at IoU 0.5 from the analysis' threshold on.
    """

    by: Literal["crowding", "tag", "size", "position", "attribute"]
    name: str
    images: int
    objects: int
    found: float | None
    ap: float | None = None


def make_slices(evaluator: COCOeval, annotations: AnnotationSet, found: NDArray[np.bool_]) -> tuple[Slice, ...]:
    """Slice a data set that the evaluator has matched; `found` bool `[N]` says which annotations were detected.

    Parts without an object are left out. Tags and attributes are those of the annotation file.
    """
    given = read_attributes(annotations)
    number = np.bincount(annotations.image_index[~annotations.crowd], minlength=len(annotations))
    crowding = {name: np.flatnonzero((low <= number) & (number <= high)) for name, (low, high) in CROWDING.items()}
    slices = []
    for by, parts in (("crowding", crowding), ("tag", given.images)):
        ap = _score(evaluator, parts)
        for name, images in parts.items():
            objects = np.flatnonzero(np.isin(annotations.image_index, images))
            slices.append(_describe(by, name, annotations, found, objects, len(images), ap[name]))
    area = annotations.area
    size = {"small": area < SMALL, "medium": (area >= SMALL) & (area <= LARGE), "large": area > LARGE}
    places = {name: np.flatnonzero(rows) for name, rows in size.items()}
    for by, parts in (("size", places), ("position", _find_positions(annotations)), ("attribute", given.objects)):
        slices += [_describe(by, name, annotations, found, objects) for name, objects in parts.items()]
    return tuple(one for one in slices if one.objects)


def _describe(
    by: str,
    name: str,
    annotations: AnnotationSet,
    found: NDArray[np.bool_],
    objects: Integers,
    images: int | None = None,
    ap: float | None = None,
) -> Slice:
    objects = objects[~annotations.crowd[objects]]
    share = float(found[objects].mean()) if len(objects) else None
    held = len(np.unique(annotations.image_index[objects])) if images is None else images
    return Slice(by, name, held, len(objects), share, ap)  # type: ignore[arg-type]


def _score(evaluator: COCOeval, parts: Mapping[str, Integers]) -> dict[str, float | None]:
    """Return the AP of each part of the images."""
    there = {name: (images + 1).tolist() for name, images in parts.items() if len(images)}
    scored = evaluator.slice_by(there) if there else {}
    return {name: scored[name]["AP"] if name in there and scored[name]["AP"] >= 0 else None for name in parts}


def _find_positions(annotations: AnnotationSet) -> dict[str, Integers]:
    """Return which boxes reach the frame of their image (within a pixel), and the others by where their centre lies."""
    corner, side = annotations.bbox[:, :2], annotations.bbox[:, 2:]
    size = annotations.sizes[annotations.image_index][:, ::-1]
    cut = (corner <= 1).any(axis=1) | (corner + side >= size - 1).any(axis=1)
    middle = (np.abs((corner + side / 2) / size - 0.5) <= 1 / 6).all(axis=1)  # the middle third of both sides
    parts = {"at the frame": cut, "in the middle": ~cut & middle, "between": ~cut & ~middle}
    return {name: np.flatnonzero(rows) for name, rows in parts.items()}
