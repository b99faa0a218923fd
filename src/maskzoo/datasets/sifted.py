"""What is sound of a COCO file, how a fault names one of its rows, and the numbers of all rows checked at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet, Ragged
from maskzoo.datasets.classes import ClassMap
from maskzoo.faults import Fault, Words

__all__ = [
    "LARGEST_NUMBER",
    "LONGEST_OUTLINE",
    "Columns",
    "Sifted",
    "check_numbers",
    "find_order",
    "is_number",
    "pack_columns",
    "pack_rows",
]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
LARGEST_NUMBER = 1e15  # of a coordinate or area: anything above is not a length in pixels
POLYGONS_AT_ONCE = 8192  # keeps the arrays on the way small
LONGEST_OUTLINE = 2_000_000  # pixels along one polygon; native code makes room for five points a pixel


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """The content of a COCO file, every row looked at.

    `packed` has the rows without a fault that do not depend on one with a fault, `faults` all that is wrong with the
    others; `tables` are the three lists of the file, whatever they hold, empty where one is none. `image_places` int64
    `[I]` and `annotation_places` int64 `[N]` say where the rows of `packed` stand in these.
    """

    tables: dict[str, list[Any]]
    packed: AnnotationSet
    faults: list[Fault]
    image_places: Integers
    annotation_places: Integers
    split: str

    def select(self, images: Bools, annotations: Bools) -> Sifted:
        """Return the same with some rows of `packed` only."""
        kept = annotations & images[self.packed.image_index]
        return replace(
            self,
            packed=self.packed.select(images, annotations),
            image_places=self.image_places[images],
            annotation_places=self.annotation_places[kept],
        )

    def name_file(self, code: str, field: str, found: Any, expected: str | Words, **where: Any) -> Fault:
        """Return a fault of the file; `where` says of which row."""
        return Fault(code, self.packed.source, field, found, expected, split=self.split, **where)

    def name_image(self, image: int, *what: Any, **where: Any) -> Fault:
        """Return a fault of image `image` of `packed`; the rest is as for `name_file`."""
        number, place = int(self.packed.image_ids[image]), int(self.image_places[image])
        return self.name_file(*what, table="images", row=number, place=place, image=number, **where)

    def name_annotation(self, annotation: int, *what: Any, **where: Any) -> Fault:
        """Return a fault of annotation `annotation` of `packed`; the rest is as for `name_file`."""
        number, place = int(self.packed.ids[annotation]), int(self.annotation_places[annotation])
        image = int(self.packed.image_ids[self.packed.image_index[annotation]])
        return self.name_file(*what, table="annotations", row=number, place=place, image=image, **where)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """N annotations by image, checked: as in `AnnotationSet`, but for their outlines.

    `polygon_counts` say how many polygons each has, `polygon_lengths` how many numbers these; `numbers` are all of them.
    `runs` are the compressed run lengths of those that have them, by row.
    """

    ids: Integers
    labels: Integers
    crowd: Bools
    ignore: Bools
    area: NDArray[np.float64]
    bbox: NDArray[np.float64]
    polygon_counts: Sequence[int]
    polygon_lengths: Sequence[int]
    numbers: NDArray[np.float64]
    runs: Mapping[int, bytes]


def pack_rows(
    source: str,
    classes: ClassMap,
    images: Mapping[int, dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    places: Sequence[int],
    runs: Mapping[int, bytes],
) -> tuple[AnnotationSet, Integers]:
    """Pack rows whose types were checked; also return the place in the file of each annotation of what is packed.

    Args:
        source: what names the file in messages.
        classes: the classes, by which every annotation's category has a label.
        images: the rows of images by id. A name that is not text becomes an empty one.
        annotations: all rows of annotations, whatever they are.
        places: those that are packed; each is of one of the images.
        runs: the compressed run lengths of those that have them, by place.
    """
    image_ids = np.array(sorted(images), dtype=np.int64)
    order, index = find_order(image_ids, np.array([annotations[place]["image_id"] for place in places], dtype=np.int64))
    found = np.array(places, dtype=np.int64)[order]
    rows = [annotations[place] for place in found.tolist()]
    outlines = [[] if place in runs else annotations[place]["segmentation"] for place in found.tolist()]
    polygons = [*chain.from_iterable(outlines)]
    label = {number: label for label, number in enumerate(classes.ids)}
    columns = Columns(
        ids=np.array([row["id"] for row in rows], dtype=np.int64),
        labels=np.array([label[row["category_id"]] for row in rows], dtype=np.int64),
        crowd=np.array([row.get("iscrowd", 0) for row in rows], dtype=np.bool_),
        ignore=np.array([row.get("ignore", 0) for row in rows], dtype=np.bool_),
        area=np.array([row["area"] for row in rows], dtype=np.float64),
        bbox=np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4),
        polygon_counts=[*map(len, outlines)],
        polygon_lengths=[*map(len, polygons)],
        numbers=np.fromiter(chain.from_iterable(polygons), np.float64),
        runs={row: runs[place] for row, place in enumerate(found.tolist()) if place in runs},
    )
    entries = [images[number] for number in image_ids.tolist()]
    sizes = np.array([(row["height"], row["width"]) for row in entries], dtype=np.int64).reshape(-1, 2)
    names = [name if isinstance(name := row.get("file_name"), str) else "" for row in entries]
    return pack_columns(source, classes, image_ids, sizes, names, index, columns), found


def find_order(image_ids: Integers, owners: Integers) -> tuple[Integers, Integers]:
    """Return the order of annotations by image, else as they stand, and in that order the image's place of each.

    `image_ids` ascend; `owners` are the image ids of the annotations.
    """
    index = np.searchsorted(image_ids, owners)
    order = np.argsort(index, kind="stable")
    return order, index[order]


def pack_columns(
    source: str,
    classes: ClassMap,
    image_ids: Integers,
    sizes: Integers,
    names: Sequence[str],
    index: Integers,
    columns: Columns,
) -> AnnotationSet:
    """Return a data set from its columns: images by ascending id, annotations by image, of which `index` has the places."""
    return AnnotationSet(
        source=source,
        classes=classes,
        image_ids=image_ids,
        sizes=sizes.astype(np.int32),
        file_names=_pack_bytes([name.encode("utf-8", "replace") for name in names]),
        first=np.searchsorted(index, np.arange(len(image_ids) + 1)),
        ids=columns.ids,
        image_index=index.astype(np.int32),
        labels=columns.labels.astype(np.int32),
        crowd=columns.crowd,
        ignore=columns.ignore,
        area=columns.area,
        bbox=columns.bbox,
        boxes=_round_corners(columns.bbox),
        polygon_first=_to_first(columns.polygon_counts),
        polygons=Ragged(columns.numbers, _to_first(columns.polygon_lengths)),
        runs=_pack_bytes([columns.runs.get(row, b"") for row in range(len(columns.ids))]),
    )


def _to_first(lengths: Iterable[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))])


def _pack_bytes(rows: Sequence[bytes]) -> Ragged[np.uint8]:
    return Ragged(np.frombuffer(b"".join(rows), dtype=np.uint8), _to_first(map(len, rows)))


def _round_corners(bbox: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return corners rounded to 3 decimals as Python rounds them: what is near a tie it rounds itself."""
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
    thousandths = corners * 1000
    rounded = np.rint(thousandths) / 1000
    unsure = (np.abs(np.abs(thousandths - np.floor(thousandths)) - 0.5) < 1e-4) | (np.abs(corners) > 1e6)
    rounded[unsure] = [round(value, 3) for value in corners[unsure].tolist()]
    return np.asarray(rounded, np.float32)


def is_number(value: object) -> bool:
    """Say whether a value of a JSON file is a finite number of a size that can be a length or an area in pixels."""
    return isinstance(value, int | float) and type(value) is not bool and -LARGEST_NUMBER < value < LARGEST_NUMBER


def check_numbers(sifted: Sifted) -> Iterator[Fault]:
    """Find coordinates that no mask code should see: not finite, or more than the image's side outside of it."""
    packed = sifted.packed
    for row in np.flatnonzero(_find_far_boxes(packed)).tolist():
        yield sifted.name_annotation(row, "far-box", "bbox", packed.bbox[row].tolist(), _near(packed, row))
    owner = packed.find_owners()
    far, long = _find_far_polygons(packed, owner)
    for polygon in np.flatnonzero(far | long).tolist():
        row, values = int(owner[polygon]), packed.polygons[polygon]
        code, expected, x, y = "far-polygon", _near(packed, row), values[::2], values[1::2]
        found = Words("x {:g} to {:g}, y {:g} to {:g}", x.min(), x.max(), y.min(), y.max())
        if not far[polygon]:
            found, expected = Words("a longer one"), f"an outline of at most {LONGEST_OUTLINE:,} pixels"
        elif not (np.abs(values) < LARGEST_NUMBER).all():
            code = "bad-coordinates"
        part = polygon - int(packed.polygon_first[row])
        yield sifted.name_annotation(row, code, "segmentation", found, expected, part=part)


def _near(packed: AnnotationSet, annotation: int) -> str:
    height, width = packed.sizes[packed.image_index[annotation]].tolist()
    return f"finite numbers in or near the image of {width} x {height} pixels, at most its size outside"


def _find_far_boxes(packed: AnnotationSet) -> Bools:
    side = packed.sizes[packed.image_index][:, ::-1].astype(np.float64)
    start, end = packed.bbox[:, :2], packed.bbox[:, :2] + packed.bbox[:, 2:]
    return np.asarray(((start < -side) | (start > 2 * side) | (end < -side) | (end > 2 * side)).any(axis=1))


def _find_far_polygons(packed: AnnotationSet, owner: Integers) -> tuple[Bools, Bools]:
    """Which polygons have a number that is far or not finite, and which have a long way round, bool `[P]` each."""
    far, long = np.zeros(len(owner), np.bool_), np.zeros(len(owner), np.bool_)
    for start in range(0, len(owner), POLYGONS_AT_ONCE):
        part = slice(start, start + POLYGONS_AT_ONCE)
        first = packed.polygons.first[start : start + POLYGONS_AT_ONCE + 1]
        points = packed.polygons.values[first[0] : first[-1]].reshape(-1, 2)
        side = packed.sizes[packed.image_index[owner[part]]][:, ::-1].astype(np.float64)
        far[part], long[part] = _measure_polygons(points, (first - first[0]) // 2, side)
    return far, long


def _measure_polygons(points: NDArray[np.float64], first: Integers, side: NDArray[np.float64]) -> tuple[Bools, Bools]:
    """See `_find_far_polygons`; `side` float64 `[P 2]` are the width and height of each polygon's image."""
    start, stop = (extreme.reduceat(points, first[:-1], axis=0) for extreme in (np.minimum, np.maximum))
    far: Bools = ~np.all((start >= -side) & (stop <= 2 * side), axis=1)  # a NaN is far: it is not near
    with np.errstate(invalid="ignore"):
        widest = (stop - start).max(axis=1)
        long = ~(np.diff(first) * widest <= LONGEST_OUTLINE)  # no step is longer than the polygon is wide
    for polygon in np.flatnonzero(long).tolist():
        outline = points[first[polygon] : first[polygon + 1]]
        with np.errstate(invalid="ignore"):
            steps = np.abs(np.roll(outline, -1, axis=0) - outline).max(axis=1)
        long[polygon] = steps.sum() > LONGEST_OUTLINE
    return far, long
