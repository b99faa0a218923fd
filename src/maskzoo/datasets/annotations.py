"""A data set of images and annotated objects, packed into a few arrays, and which of it trains.

The arrays hold no Python object per annotation, so that worker processes share their pages after a fork: nothing
counts references in them. Boxes and outlines stay as the file has them; `boxes` are the published training's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.classes import ClassMap
from maskzoo.datasets.layout import SPLITS, name_split, tell_split
from maskzoo.errors import ConfigError, SourceError, list_some
from maskzoo.images.bounds import Bounds
from maskzoo.images.find import list_folder

__all__ = [
    "AnnotationSet",
    "Dropped",
    "Ragged",
    "bound_images",
    "find_image_folder",
    "find_trainable",
    "is_part",
    "list_places",
    "look_for_images",
    "select_for_training",
]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
SAMPLED = 200  # names by which the folder of many images is found
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


def find_image_folder(annotations: AnnotationSet, given: Path | None = None, split: str | None = None) -> Path:
    """Find the folder of the images: in a `given` one, or near the annotation file, by the usual layouts.

    A given folder holds them itself, in `images`, or in a folder for the split (by default the one that the annotation
    file's name says) in one of these; or the names of the files begin with its own. For
    `data/annotations/instances_val2017.json` the places near it are val2017, val, valid and validation, also in or above
    `images`; images, data and JPEGImages; each beside the file and one folder above; then these two folders themselves.

    Raises SourceError that lists them if none holds one of the images, or if one of the images lies outside of what
    `bound_images` allows; ConfigError if the given one is not a folder.
    """
    names = [annotations.file_name(image) for image in range(len(annotations))]
    folder, where = look_for_images(names, annotations.source, given, split)
    if folder is None:
        advice = f"give their folder with --images, or see which files fit with `maskzoo data check {annotations.source}`"
        raise SourceError(f"{annotations.source}: its images were not found; {where}; {advice}")
    named = [(name, folder / name) for name in names]
    bound_images(Path(annotations.source), folder, given).check(named, annotations.source, folder)
    return folder


def bound_images(source: Path, folder: Path | None, given: Path | None) -> Bounds:
    """Return where the images of an annotation file may lie: in a `given` folder, else in that of the data set.

    That is the annotation file's, or the one above it if this one is for annotations or a split, or if the images'
    `folder` is not in it. A home folder holds all kinds of things: then only the images' own.
    """
    if given is not None:
        return Bounds([given])
    own = source.absolute().parent
    near = folder is None or folder.absolute().is_relative_to(own)
    if near and not is_part(own):
        return Bounds([own])
    if own.parent not in (Path.home(), Path(own.anchor)):
        return Bounds([own.parent])
    return Bounds([own if near or folder is None else folder])


def is_part(folder: Path) -> bool:
    """Say whether a folder holds a part of a data set, by its name: annotations, or a split."""
    return (
        folder.name.lower() in ("annotations", "annotation", "labels", "json")
        or name_split(folder.name, whole=True) is not None
    )


def look_for_images(names: Sequence[str], source: str, given: Path | None, split: str | None) -> tuple[Path | None, str]:
    """Return what `find_image_folder` does for images of these names, or None, and which was looked for where."""
    if given is not None and not given.is_dir():
        raise ConfigError(f"{given}: no such folder; expected the folder of the images (--images)")
    folders = list_places(Path(source), given, split) + (_list_above(given, names) if given is not None else [])
    where = f"the first is {repr(names[0]) if names else 'no image at all'}, looked in {list_some(map(str, folders), 6)}"
    there = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112 - False without permission
    closed = [str(folder) for folder in there if not os.access(folder, os.R_OK | os.X_OK)]
    where += f"; no permission to look into {list_some(closed)}" if closed else ""
    samples = names[:: len(names) // SAMPLED + 1]
    for some in (samples, names):  # all of them only where none of the others is found
        counts = [sum(os.path.isfile(folder / name) for name in some) for folder in there]  # noqa: PTH113 - False for a name too long
        if any(counts):
            return there[counts.index(max(counts))], where
    return None, where


def list_places(file: Path, given: Path | None, split: str | None) -> list[Path]:
    """Return the usual folders of the images of an annotation file: in a `given` one for a split, or near the file.

    Those near the file that lie in the given one are the last there.
    """
    near = _list_near(file.absolute())
    if given is not None:
        whole = given.absolute()
        near = [
            *_list_inside(given, split or tell_split(file.absolute())),
            *(place for place in near if place.is_relative_to(whole)),
        ]
    return list(dict.fromkeys(near))


def _list_near(file: Path) -> list[Path]:
    split = name_split(file.name) or name_split(file.parent.name, whole=True)
    ends = [re.sub(words, "", file.stem) for words in ("^[a-z]+_", "^([a-z]+_)+")]  # instance_train, person_keypoints_train2017
    names = [file.stem, *ends, *(SPLITS[split] if split else ())]
    inner = [part for name in sorted(dict.fromkeys(names), key=len) for part in (name, f"images/{name}", f"{name}/images")]
    inner += ["images", "data", "JPEGImages", ""]  # data: FiftyOne's
    return [base / part for base in (file.parent, file.parent.parent) for part in inner]


def _list_above(given: Path, names: Sequence[str]) -> list[Path]:
    """Return the folders above `given` from which names start that begin with the last parts of its path."""
    folder = Path(os.path.normpath(given.absolute()))
    starts = {path.parts[:-1] for path in map(PurePosixPath, names) if not path.is_absolute()}
    counts = {count for parts in starts for count in range(1, len(parts) + 1) if folder.parts[-count:] == parts[:count]}
    return [folder.parents[count - 1] for count in sorted(counts)]


def _list_inside(given: Path, split: str) -> list[Path]:
    bases = [folder for folder in (given, given / "images", given / "data") if folder.is_dir()]
    inner = [
        entry for base in bases for entry in sorted(list_folder(base)) if name_split(entry.name) == split and entry.is_dir()
    ]
    return [*bases, *inner]
