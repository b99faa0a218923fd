"""A data set of images and annotated objects, packed into a few arrays, and which of it trains.

The arrays hold no Python object per annotation, so that worker processes share their pages after a fork: nothing
counts references in them. Boxes and outlines stay as the file has them; `boxes` are the published training's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.classes import ClassMap

__all__ = [
    "AnnotationSet",
    "Dropped",
    "Ragged",
    "find_trainable",
    "select_for_training",
]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
SMALLEST_SIDE = 1e-5  # of a box that trains, in pixels: the published loader's


@dataclass(frozen=True, slots=True, eq=False)
class Ragged(Generic[Scalar]):
    """Rows of unequal length in one array: row `i` is `values[first[i]:first[i + 1]]`, a view."""

    values: NDArray[Scalar]
    first: Integers

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, row: int) -> NDArray[Scalar]:
        return self.values[self.first[row] : self.first[row + 1]]

    def take(self, rows: Integers) -> Ragged[Scalar]:
        """Return some of the rows, in that order."""
        lengths = np.diff(self.first)[rows]
        first = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(first[-1]) + np.repeat(self.first[rows] - first[:-1], lengths)
        return Ragged(self.values[index], first)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationSet:
    """A data set of I images by ascending id and N annotations by image, then as in the file.

    `image_ids` int64 `[I]`, `sizes` int32 `[I 2]` height, width, `file_names` UTF-8 rows. Annotations of image `i` are
    `first[i]` to `first[i + 1]`, int64 `[I + 1]`. Per annotation: `ids` int64, `image_index` int32, `labels` int32,
    `crowd`, `ignore` bool, `area` float64 in pixels, `bbox` float64 `[N 4]` x y width height as in the file, `boxes`
    float32 `[N 4]` x1 y1 x2 y2 rounded to 3 decimals. The outline of `n` is either polygons, the rows
    `polygon_first[n]` to `polygon_first[n + 1]` of `polygons` (float64, x y x y ...), or the compressed run lengths
    `runs[n]` (uint8), which are empty for polygons.
    """

    source: str
    classes: ClassMap
    image_ids: Integers
    sizes: NDArray[np.int32]
    file_names: Ragged[np.uint8]
    first: Integers
    ids: Integers
    image_index: NDArray[np.int32]
    labels: NDArray[np.int32]
    crowd: Bools
    ignore: Bools
    area: Doubles
    bbox: Doubles
    boxes: NDArray[np.float32]
    polygon_first: Integers
    polygons: Ragged[np.float64]
    runs: Ragged[np.uint8]

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        return f"AnnotationSet({self.source}: {len(self)} images, {len(self.ids)} objects, {len(self.classes)} classes)"

    def file_name(self, image: int) -> str:
        """Return the file's name of image `image`, 0 to I-1, as the data set has it."""
        return self.file_names[image].tobytes().decode("utf-8")

    def outline(self, annotation: int) -> list[Doubles] | bytes:
        """Return annotation `n`'s polygons, views of the packed points, or its compressed run lengths."""
        runs = self.runs[annotation]
        if len(runs):
            return runs.tobytes()
        return [self.polygons[row] for row in range(*self.polygon_first[annotation : annotation + 2].tolist())]

    def find_owners(self) -> Integers:
        """Return the annotation of each polygon, int64 `[P]`."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.polygon_first))

    def segmentation(self, annotation: int) -> list[list[float]] | dict[str, Any]:
        """Return annotation `n`'s outline as COCO's JSON writes it."""
        outline = self.outline(annotation)
        if isinstance(outline, bytes):
            size = self.sizes[self.image_index[annotation]].tolist()
            return {"size": size, "counts": outline.decode("ascii")}
        return [polygon.tolist() for polygon in outline]

    def select(self, images: Bools, annotations: Bools | None = None) -> AnnotationSet:
        """Return the data set of some images, with all their annotations or some of them."""
        kept = images[self.image_index] & (True if annotations is None else annotations)
        rows, new_index = np.flatnonzero(kept), np.cumsum(images) - 1
        image_rows = np.flatnonzero(images)
        image_index = new_index[self.image_index[rows]].astype(np.int32)
        polygons = np.diff(self.polygon_first)[rows]
        some = {name: getattr(self, name)[rows] for name in ("ids", "labels", "crowd", "ignore", "area", "bbox", "boxes")}
        return replace(
            self,
            **some,
            image_ids=self.image_ids[image_rows],
            sizes=self.sizes[image_rows],
            file_names=self.file_names.take(image_rows),
            first=np.searchsorted(image_index, np.arange(len(image_rows) + 1)),
            image_index=image_index,
            polygon_first=np.concatenate([[0], np.cumsum(polygons)]),
            polygons=self.polygons.take(np.flatnonzero(kept[self.find_owners()])),
            runs=self.runs.take(rows),
        )

    def relabel(self, classes: ClassMap, labels: Integers) -> AnnotationSet:
        """Return the data set with other classes: `labels` int64 `[C]` has the new one of each, -1 where its objects go."""
        kept = self.select(np.ones(len(self), np.bool_), labels[self.labels] >= 0)
        return replace(kept, classes=classes, labels=labels[kept.labels].astype(np.int32))

    def count_objects(self) -> list[int]:
        """Return how many objects each class has, crowds left out."""
        counts: list[int] = np.bincount(self.labels[~self.crowd], minlength=len(self.classes)).tolist()
        return counts


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many annotations the published training leaves out, each counted under the first reason; and images."""

    crowd: int
    ignored: int
    without_area: int
    degenerate: int
    empty_images: int

    def __str__(self) -> str:
        reasons = {
            "crowd": self.crowd,
            "marked ignore": self.ignored,
            "with area 0 or less": self.without_area,
            f"with a box not above {SMALLEST_SIDE:g} pixels": self.degenerate,
        }
        parts = [f"{count} annotations {reason}" for reason, count in reasons.items() if count]
        parts += [f"{self.empty_images} images without an object"] if self.empty_images else []
        return "nothing left out" if not parts else "left out: " + ", ".join(parts)


def find_trainable(annotations: AnnotationSet) -> Bools:
    """Say for each annotation whether the published training uses it, bool `[N]`.

    Not used: crowds, those marked `ignore`, an area of 0 or less, a box with a side of 1e-5 pixels or less. An image
    without any that is used is not run in the published evaluation either.
    """
    return ~(annotations.crowd | annotations.ignore) & (annotations.area > 0) & ~_find_degenerate(annotations)


def select_for_training(annotations: AnnotationSet, *, empty_images: bool = False) -> tuple[AnnotationSet, Dropped]:
    """Return what the published training uses, and counts of what it leaves out; `empty_images` stay if asked."""
    kept = find_trainable(annotations)
    images = np.bincount(annotations.image_index[kept], minlength=len(annotations)) > 0
    crowd, ignored = annotations.crowd, annotations.ignore & ~annotations.crowd
    without_area = (annotations.area <= 0) & ~(crowd | ignored)
    degenerate = ~kept & ~(crowd | ignored | without_area)
    dropped = Dropped(
        crowd=int(crowd.sum()),
        ignored=int(ignored.sum()),
        without_area=int(without_area.sum()),
        degenerate=int(degenerate.sum()),
        empty_images=0 if empty_images else int((~images).sum()),
    )
    return annotations.select(images | empty_images, kept), dropped


def _find_degenerate(annotations: AnnotationSet) -> Bools:
    start, side = annotations.bbox[:, :2], annotations.bbox[:, 2:]
    # The side that is left after x + width - x in double is what the published loader looks at.
    return np.asarray(((start + side) - start <= SMALLEST_SIDE).any(axis=1))
