"""What the strict reader takes, and yet is wrong or suspicious: boxes, outlines, areas, names, repeated rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.dataset_checks.problems import Problem, quote
from maskzoo.dataset_checks.sound_rows import SoundRows
from maskzoo.datasets.annotations import SMALLEST_SIDE, AnnotationSet
from maskzoo.datasets.classes import ClassMap
from maskzoo.datasets.rle import measure_runs

__all__ = ["check_classes", "check_rows", "measure_outlines"]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
ROUNDING = 0.1  # pixels: a coordinate rounded to one decimal is as good as at the edge
SLIGHT_PIXELS, SLIGHT_PART = 2.0, 0.02  # over the edge: what comes from rounding and from drawing by hand
NO_AREA = 1e-6  # square pixels: below is what doubles leave of a polygon without area
LEAST_OVERLAP, LEAST_DEVIATION = 0.8, 3.0  # IoU and pixels: a box that differs more from its outline's is named
LARGEST_RATIO, LEAST_DIFFERENCE = 2.0, 16.0  # of the noted area to the outline's; square pixels


def check_rows(sifted: SoundRows, split: str) -> list[Problem]:
    """Return what is suspicious in the sound rows of a file, and what only all rows together show."""
    return [*_Checker(sifted, split).check(), *_check_tables(sifted, split)]


def measure_outlines(packed: AnnotationSet) -> tuple[Doubles, Doubles, Doubles]:
    """Return each outline's extent float64 `[N 4]` x1 y1 x2 y2, its area `[N]`, and each polygon's area `[P]`.

    The area of run lengths is a count of pixels, that of polygons the sum of what each encloses.
    """
    extent, area = np.zeros((len(packed.ids), 4)), np.zeros(len(packed.ids))
    has_polygons = np.diff(packed.polygon_first) > 0
    points, first = packed.polygons.values.reshape(-1, 2), packed.polygons.first // 2
    if len(points):
        following = np.arange(1, len(points) + 1)
        following[first[1:] - 1] = first[:-1]
        # From the first point on: products of large coordinates would leave no digits for a small area.
        local = points - np.repeat(points[first[:-1]], np.diff(first), axis=0)
        cross = local[:, 0] * local[following, 1] - local[:, 1] * local[following, 0]
        polygon_area = np.abs(np.add.reduceat(cross, first[:-1])) / 2
        begin = packed.polygon_first[:-1][has_polygons]
        extent[has_polygons, :2] = np.minimum.reduceat(np.minimum.reduceat(points, first[:-1]), begin)
        extent[has_polygons, 2:] = np.maximum.reduceat(np.maximum.reduceat(points, first[:-1]), begin)
        area[has_polygons] = np.add.reduceat(polygon_area, begin)
    else:
        polygon_area = np.zeros(0)
    places = np.flatnonzero(~has_polygons)
    if len(places):
        sizes = packed.sizes[packed.image_index[places]]
        texts = [packed.runs[place].tobytes() for place in places.tolist()]
        area[places] = measure_runs(texts, sizes.astype(np.int64).prod(axis=1))[0]
        masks = [{"size": size, "counts": text} for size, text in zip(sizes.tolist(), texts, strict=True)]
        boxes = np.asarray(hotcoco.mask.to_bbox(masks), dtype=np.float64).reshape(-1, 4)
        extent[places] = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return extent, area, polygon_area


class _Checker:
    """The numbers of all sound annotations at once."""

    def __init__(self, sifted: SoundRows, split: str) -> None:
        self.packed, self.rows, self.split = sifted.packed, sifted.rows, split
        self.side = self.packed.sizes[self.packed.image_index][:, ::-1].astype(np.float64)  # width, height
        self.extent, self.area, self.polygon_area = measure_outlines(self.packed)
        self.boxes = np.concatenate([self.packed.bbox[:, :2], self.packed.bbox[:, :2] + self.packed.bbox[:, 2:]], axis=1)

    def check(self) -> Iterator[Problem]:
        yield from self._check_boxes()
        yield from self._check_outlines()
        yield from self._check_areas()
        yield from self._check_repeats()
        packed = self.packed
        polygons = np.diff(packed.polygon_first) > 0
        for kind, field, found, chosen in (
            ("crowd", "iscrowd", "1", packed.crowd),
            ("crowd-polygons", "segmentation", "polygons of a crowd", packed.crowd & polygons),
            ("ignored", "ignore", "1", packed.ignore),
        ):
            expected = "run lengths" if kind == "crowd-polygons" else "0, for an object that trains"
            yield from (self._name(kind, place, field, found, expected) for place in np.flatnonzero(chosen).tolist())

    def _name(self, kind: str, place: int, field: str, found: object, expected: str) -> Problem:
        number = int(self.packed.ids[place])
        return Problem(
            kind=kind,
            split=self.split,
            file=self.packed.source,
            row=f"annotation {number}",
            field=field,
            found=quote(found),
            expected=expected,
            image_id=int(self.packed.image_ids[self.packed.image_index[place]]),
            annotation_id=number,
            table="annotations",
            place=self.rows.places["annotations"][number],
        )

    def _size(self, place: int) -> str:
        width, height = self.side[place].astype(int).tolist()
        return f"{width} x {height} pixels"

    def _check_boxes(self) -> Iterator[Problem]:
        bbox, (outside, slight) = self.packed.bbox, _compare_with_edges(self.boxes, self.side)
        empty = (self.boxes[:, 2:] - self.boxes[:, :2] <= SMALLEST_SIDE).any(axis=1)
        meets = _intersect(self.boxes, np.concatenate([np.zeros_like(self.side), self.side], axis=1)) > 0
        for place in np.flatnonzero(empty).tolist():
            yield self._name("box-empty", place, "bbox", bbox[place].tolist(), "a width and a height above 0")
        wrong = ~empty & (~meets | (outside & ~slight))
        for place in np.flatnonzero(wrong).tolist():
            yield self._name("box-outside", place, "bbox", bbox[place].tolist(), f"inside the image of {self._size(place)}")
        for place in np.flatnonzero(~empty & ~wrong & outside).tolist():
            yield self._name("box-over-edge", place, "bbox", bbox[place].tolist(), f"inside the image of {self._size(place)}")
        common, sides = _intersect(self.boxes, self.extent), (self.boxes, self.extent)
        own, outline = ((edges[:, 2:] - edges[:, :2]).clip(0).prod(axis=1) for edges in sides)
        overlap = common / np.maximum(own + outline - common, 1e-12)
        deviates = np.abs(self.boxes - self.extent).max(axis=1, initial=0) > LEAST_DEVIATION
        comparable = ~empty & ~wrong & (self.area > NO_AREA) & (outline > 0)
        for place in np.flatnonzero(comparable & deviates & (overlap < LEAST_OVERLAP)).tolist():
            kind = "box-differs" if common[place] > 0 else "box-elsewhere"
            yield self._name(kind, place, "bbox", bbox[place].tolist(), f"its outline's, {_to_bbox(self.extent[place])}")

    def _check_outlines(self) -> Iterator[Problem]:
        packed, field = self.packed, "segmentation"
        empty = self.area <= NO_AREA
        for place in np.flatnonzero(empty).tolist():
            yield self._name("outline-without-area", place, field, "an area of 0", "an outline that encloses some pixels")
        owner = np.repeat(np.arange(len(packed.ids)), np.diff(packed.polygon_first))
        for row in np.flatnonzero((self.polygon_area <= NO_AREA) & ~empty[owner]).tolist():
            place = int(owner[row])
            name = f"{field}[{row - int(packed.polygon_first[place])}]"
            yield self._name("polygon-without-area", place, name, packed.polygons[row].tolist(), "a polygon with an area")
        outside, slight = _compare_with_edges(self.extent, self.side)
        meets = _intersect(self.extent, np.concatenate([np.zeros_like(self.side), self.side], axis=1)) > 0
        for place in np.flatnonzero(~empty & outside & ~(slight & meets)).tolist():
            kind = "vertices-outside" if meets[place] else "outline-outside"
            x1, y1, x2, y2 = self.extent[place].tolist()
            found = f"x {x1:g} to {x2:g}, y {y1:g} to {y2:g}"
            yield self._name(kind, place, field, found, f"inside the image of {self._size(place)}")

    def _check_areas(self) -> Iterator[Problem]:
        area = self.packed.area
        for place in np.flatnonzero(area <= 0).tolist():
            yield self._name("no-area", place, "area", area[place].item(), f"its outline's, {self.area[place]:g}")
        larger, smaller = np.maximum(area, self.area), np.minimum(area, self.area)
        differs = (smaller > NO_AREA) & (larger > LARGEST_RATIO * smaller) & (larger - smaller > LEAST_DIFFERENCE)
        for place in np.flatnonzero(differs).tolist():
            yield self._name("area-differs", place, "area", area[place].item(), f"its outline's, {self.area[place]:g}")

    def _check_repeats(self) -> Iterator[Problem]:
        """Look at what agrees in image, class and box, and compare outlines among these."""
        packed = self.packed
        if not len(packed.ids):
            return
        numbers = np.column_stack([packed.image_index, packed.labels, packed.crowd, packed.bbox])
        order = np.lexsort(numbers.T[::-1])
        same = (numbers[order][1:] == numbers[order][:-1]).all(axis=1)
        candidates = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        seen: dict[Any, int] = {}
        for place in sorted(order[candidates].tolist()):
            outline = packed.outline(place)
            shape = outline if isinstance(outline, bytes) else tuple(polygon.tobytes() for polygon in outline)
            first = seen.setdefault((numbers[place].tobytes(), shape), place)
            if first != place:
                found = f"all of annotation {packed.ids[first]} again"
                yield self._name("duplicate-annotation", place, "", found, "each object once")


def _intersect(boxes: Doubles, others: Doubles) -> Doubles:
    start, end = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    return np.asarray((end - start).clip(0).prod(axis=1))


def _compare_with_edges(boxes: Doubles, side: Doubles) -> tuple[Bools, Bools]:
    """Say which boxes pass an edge of their image by more than rounding, and which by no more than a little."""
    over = np.maximum(-boxes[:, :2], boxes[:, 2:] - side)
    slight = np.maximum(SLIGHT_PIXELS, SLIGHT_PART * side)
    return np.asarray((over > ROUNDING).any(axis=1)), np.asarray((over <= slight).all(axis=1))


def _to_bbox(extent: Doubles) -> list[float]:
    x1, y1, x2, y2 = extent.tolist()
    return [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]


def _check_tables(sifted: SoundRows, split: str) -> Iterator[Problem]:
    rows, file = sifted.rows, sifted.packed.source

    def name(kind: str, table: str, place: int, field: str, found: str, expected: str) -> Problem:
        number = rows.value(table, place, "id")
        image = number if table == "images" and type(number) is int else None
        word = "image" if table == "images" else "category"
        return Problem(kind, split, file, f"{word} {quote(number)}", field, found, expected, image, None, table, place)

    annotations = [row for row in rows.tables["annotations"] if isinstance(row, dict)]
    used = {field: Counter(_whole(row.get(field)) for row in annotations) for field in ("image_id", "category_id")}
    files: dict[str, int] = {}
    for number, place in rows.places["images"].items():
        file_name = rows.value("images", place, "file_name")
        if not used["image_id"][number]:
            yield name("image-without-objects", "images", place, "", "no object", "one at least")
        if not isinstance(file_name, str):
            continue
        if _leaves_folder(file_name):
            expected = "a path inside the folder of the images, with / between folders"
            yield name("unsafe-file-name", "images", place, "file_name", quote(file_name), expected)
        first = files.setdefault(file_name, number)
        if first != number:
            found = f"{quote(file_name)}, as in image {first}"
            yield name("duplicate-file-name", "images", place, "file_name", found, "each file once")
    names: dict[str, int] = {}
    for number, place in rows.places["categories"].items():
        if not used["category_id"][number]:
            yield name("category-without-objects", "categories", place, "", "no object", "one at least")
        category = rows.value("categories", place, "name")
        first = names.setdefault(category, number) if isinstance(category, str) else number
        if first != number:
            found = f"{quote(category)}, as of category {first}"
            yield name("duplicate-category-name", "categories", place, "name", found, "each name once")


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _leaves_folder(name: str) -> bool:
    """Say whether a name is absolute or goes up, on any system: a backslash is part of a name or parts folders."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths) or "\\" in name


def check_classes(classes: Mapping[str, tuple[str, ClassMap]]) -> Iterator[Problem]:
    """Compare the classes of each split (its file and classes) with those of the first."""
    (first, (first_file, expected)), *others = classes.items()
    for split, (file, found) in others:
        ours, theirs = expected.to_classes(), found.to_classes()
        if ours == theirs:
            continue
        unique = len(set(expected.names)) == len(expected.names)
        if unique and sorted(expected.names) == sorted(found.names):
            moved = _list_names({number: name for number, name in theirs.items() if ours.get(number) != name})
            wanted = f"the ids of {first} ({first_file})"
            yield Problem("classes-renumbered", split, file, "", "categories", moved, wanted)
            continue
        for number in sorted(ours.keys() | theirs.keys()):
            if ours.get(number) != theirs.get(number):
                here, there = (_describe(names.get(number)) for names in (theirs, ours))
                row = f"category {number}"
                yield Problem("classes-differ", split, file, row, "name", here, f"{there}, as in {first} ({first_file})")


def _describe(name: str | None) -> str:
    return "no such category" if name is None else quote(name)


def _list_names(classes: Mapping[int, str], shown: int = 8) -> str:
    texts: Sequence[str] = [f"{number} {quote(name)}" for number, name in classes.items()]
    return ", ".join(texts[:shown]) + (f" and {len(texts) - shown} more" if len(texts) > shown else "")
