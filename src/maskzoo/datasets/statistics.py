"""What a data set holds, in numbers: objects, sizes, classes, and hints about what will be hard to learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.layout import find_splits
from maskzoo.errors import list_some
from maskzoo.images.resize import find_factors
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["QUANTILES", "ClassCount", "SplitStatistics", "Statistics", "dataset_statistics", "find_hints", "measure_split"]

Doubles = NDArray[np.float64]
SMALL, LARGE = 32**2, 96**2  # pixels of area between which COCO's medium objects lie
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
TINY = 8  # pixels at the network's input: the side of a quarter of the smallest anchor, two cells of the finest level
FEW = 10  # objects of a class, from which little is learnt
MANY = 0.05  # share of boxes from which a hint is worth a line
THIN = 4.0  # long side by short side: twice that of the anchors 1:2 and 2:1
IMBALANCE = 100  # times that the commonest class has the rarest one's objects


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class: how many objects (without crowds), and in how many images."""

    id: int
    name: str
    objects: int
    images: int


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """The numbers of one split. Quantiles are those of `QUANTILES` in order, empty where there is no object or image.

    `objects` leaves crowds out, which `crowd` counts, and the rest is about objects: `size_shares` COCO's small, medium
    and large by area; `sides` the square root of the box's area in pixels, `input_sides` the same at the network's
    input; `aspects` width / height; `tiny`, `thin` the shares of boxes that anchors hardly fit. `sizes` are the five
    commonest widths, heights and how many images have them.
    """

    images: int
    empty_images: int
    objects: int
    crowd: int
    ignored: int
    polygons: int
    run_lengths: int
    classes: tuple[ClassCount, ...]
    size_shares: dict[str, float]
    sides: tuple[float, ...]
    input_sides: tuple[float, ...]
    aspects: tuple[float, ...]
    objects_per_image: tuple[float, ...]
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    sizes: tuple[tuple[int, int, int], ...]
    tiny: float
    thin: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes; quantiles by their names."""
        values = asdict(self)
        for name in ("sides", "input_sides", "aspects", "objects_per_image", "widths", "heights"):
            values[name] = dict(zip(QUANTILES, values[name], strict=True)) if values[name] else None
        values["sizes"] = [{"width": width, "height": height, "images": images} for width, height, images in self.sizes]
        return values | {"classes": list(values["classes"])}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a data set holds: the `files` and numbers of its `splits` by name, and `hints` of what will be hard to learn.

    `input_size` is the short and the longest side, in pixels, of the network's input that `input_sides` are about.
    """

    data: Path
    input_size: tuple[int, int]
    files: dict[str, Path]
    splits: dict[str, SplitStatistics]
    hints: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        splits = {name: {"file": str(self.files[name]), **numbers.to_dict()} for name, numbers in self.splits.items()}
        return {"data": str(self.data), "input": list(self.input_size), "splits": splits, "hints": list(self.hints)}


def dataset_statistics(
    data: str | Path, *, short_side: int = 800, long_side: int = 1333, on_progress: OnProgress = say_nothing
) -> Statistics:
    """Count and measure a data set: images, objects, classes and sizes of every split, crowds separately.

    Args:
        data: a COCO instances file (JSON), or a folder in one of the usual layouts.
        short_side: the network's input: pixels of the short side.
        long_side: the network's input: pixels that the long side has at most.
        on_progress: is called for each split.

    Returns:
        The numbers of each split, and hints.

    Raises:
        SourceError: no annotation file is found.
        AnnotationsError: a file has faults.
    """
    files = find_splits(data)
    splits = {}
    for name, path in files.items():
        splits[name] = measure_split(read_annotations(path), short_side, long_side)
        on_progress(ProgressEvent("Counting", len(splits), len(files), "splits"))
    return Statistics(Path(data), (short_side, long_side), files, splits, tuple(find_hints(splits)))


def measure_split(annotations: AnnotationSet, short_side: int = 800, long_side: int = 1333) -> SplitStatistics:
    """Count and measure a data set; `short_side` and `long_side` are those of the network's input."""
    some = ~annotations.crowd
    width, height = np.maximum(annotations.bbox[some, 2:], 0).T
    side = np.sqrt(width * height)
    scale = _scale(annotations, short_side, long_side)[annotations.image_index[some]]
    solid = (width > 0) & (height > 0)
    thin = np.maximum(width[solid], height[solid]) > THIN * np.minimum(width[solid], height[solid])
    each_image = np.bincount(annotations.image_index[some], minlength=len(annotations))
    outlines = np.diff(annotations.runs.first) > 0
    area = annotations.area[some]
    shares = {"small": area < SMALL, "medium": (area >= SMALL) & (area < LARGE), "large": area >= LARGE}
    sizes, times = np.unique(annotations.sizes, axis=0, return_counts=True)
    common = np.argsort(-times, kind="stable")
    return SplitStatistics(
        images=len(annotations),
        empty_images=int((each_image == 0).sum()),
        objects=int(some.sum()),
        crowd=int(annotations.crowd.sum()),
        ignored=int(annotations.ignore.sum()),
        polygons=int((~outlines[some]).sum()),
        run_lengths=int(outlines[some].sum()),
        classes=_count_classes(annotations),
        size_shares={name: _share(kind) for name, kind in shares.items()},
        sides=_quantiles(side),
        input_sides=_quantiles(side * scale),
        aspects=_quantiles(width[solid] / height[solid]),
        objects_per_image=_quantiles(each_image.astype(np.float64)),
        widths=_quantiles(annotations.sizes[:, 1].astype(np.float64)),
        heights=_quantiles(annotations.sizes[:, 0].astype(np.float64)),
        sizes=tuple((int(sizes[n, 1]), int(sizes[n, 0]), int(times[n])) for n in common[:5].tolist()),
        tiny=_share(side * scale < TINY),
        thin=_share(thin),
    )


def _scale(annotations: AnnotationSet, short_side: int, long_side: int) -> Doubles:
    """Return how much each image grows on its way to the network, float64 `[I]`."""
    scales = {
        (height, width): find_factors(height, width, short_side, long_side, "one_factor")[0]
        for height, width in set(map(tuple, annotations.sizes.tolist()))
    }
    return np.array([scales[height, width] for height, width in annotations.sizes.tolist()], dtype=np.float64)


def _count_classes(annotations: AnnotationSet) -> tuple[ClassCount, ...]:
    some = ~annotations.crowd
    labels, count = annotations.labels[some].astype(np.int64), len(annotations.classes)
    objects = np.bincount(labels, minlength=count).tolist()
    pairs = np.unique(annotations.image_index[some].astype(np.int64) * count + labels)
    images = np.bincount(pairs % count, minlength=count).tolist()
    rows = zip(annotations.classes.ids, annotations.classes.names, objects, images, strict=True)
    return tuple(ClassCount(*row) for row in rows)


def _quantiles(values: Doubles) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in np.quantile(values, list(QUANTILES.values())).tolist()) if len(values) else ()


def _share(chosen: NDArray[np.bool_]) -> float:
    return round(float(chosen.mean()), 6) if len(chosen) else 0.0


def find_hints(splits: Mapping[str, SplitStatistics]) -> list[str]:
    """Return what is likely to be hard to learn or to judge, a sentence each; `splits` by their names."""
    hints = []
    for split, numbers in splits.items():
        hints += [f"{split}: {hint}" for hint in _find_size_hints(numbers)]
    train = splits.get("train") or next(iter(splits.values()))
    hints += _find_class_hints(train)
    known = {one.name for one in train.classes if one.objects}
    for split, numbers in splits.items():
        strangers = [one.name for one in numbers.classes if one.objects and one.name not in known]
        if strangers:
            hints.append(f"{split}: {list_some(strangers)} in it, but not in train: nothing of it can be learnt")
    return hints


def _find_size_hints(numbers: SplitStatistics) -> list[str]:
    if not numbers.objects:
        return ["has no object"]
    hints = []
    if numbers.tiny > MANY:
        hints.append(f"{numbers.tiny:.0%} of boxes are below {TINY} pixels at the network's input; enlarge it or cut tiles")
    if numbers.thin > 4 * MANY:
        hints.append(f"{numbers.thin:.0%} of boxes are over {THIN:g} times as long as wide, anchors only 2; add anchor ratios")
    if numbers.empty_images > numbers.images / 2:
        hints.append(f"{numbers.empty_images} of {numbers.images} images have no object; they are left out unless asked for")
    return hints


def _find_class_hints(train: SplitStatistics) -> list[str]:
    present = sorted((one.objects, one.name) for one in train.classes if one.objects)
    few = [f"{name} ({objects})" for objects, name in present if objects < FEW]
    absent = [one.name for one in train.classes if not one.objects]
    hints = [f"fewer than {FEW} objects to learn from: {list_some(few)}"] if few else []
    hints += [f"classes without an object: {list_some(absent)}"] if absent else []
    if present and present[-1][0] >= IMBALANCE * present[0][0]:
        most, least = present[-1], present[0]
        hints.append(f"classes are uneven: {most[1]} has {most[0]:,} objects, {least[1]} has {least[0]:,}")
    return hints
