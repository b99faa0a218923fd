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

__all__ = ["LARGEST_NUMBER", "LONGEST_OUTLINE", "Sifted", "check_numbers", "is_number", "pack_rows"]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
LARGEST_NUMBER = 1e15  # of a coordinate or area: anything above is not a length in pixels
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


def pack_rows(
    source: str,
    classes: ClassMap,
    images: Mapping[int, dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    places: Sequence[int],
    runs: Mapping[int, bytes],
) -> tuple[AnnotationSet, Integers]:
    """Pack rows whose types were checked; also return the place in the file of each annotation of what is packed.

    It is as long as a data set has columns.

    Args:
        source: what names the file in messages.
        classes: the classes, by which every annotation's category has a label.
        images: the rows of images by id. A name that is not text becomes an empty one.
        annotations: all rows of annotations, whatever they are.
        places: those that are packed; each is of one of the images.
        runs: the compressed run lengths of those that have them, by place.
    """
    image_ids = np.array(sorted(images), dtype=np.int64)
    index = np.searchsorted(image_ids, np.array([annotations[place]["image_id"] for place in places], dtype=np.int64))
    order = np.argsort(index, kind="stable")
    found = np.array(places, dtype=np.int64)[order]
    rows = [annotations[place] for place in found.tolist()]
    outlines = [[] if place in runs else annotations[place]["segmentation"] for place in found.tolist()]
    polygons = [*chain.from_iterable(outlines)]
    label = {number: label for label, number in enumerate(classes.ids)}
    bbox = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    entries = [images[number] for number in image_ids.tolist()]
    names = [row.get("file_name") for row in entries]
    packed = AnnotationSet(
        source=source,
        classes=classes,
        image_ids=image_ids,
        sizes=np.array([(row["height"], row["width"]) for row in entries], dtype=np.int32).reshape(-1, 2),
        file_names=_pack_bytes([name.encode("utf-8", "replace") if isinstance(name, str) else b"" for name in names]),
        first=np.searchsorted(index[order], np.arange(len(image_ids) + 1)),
        ids=np.array([row["id"] for row in rows], dtype=np.int64),
        image_index=index[order].astype(np.int32),
        labels=np.array([label[row["category_id"]] for row in rows], dtype=np.int32),
        crowd=np.array([row.get("iscrowd", 0) for row in rows], dtype=np.bool_),
        ignore=np.array([row.get("ignore", 0) for row in rows], dtype=np.bool_),
        area=np.array([row["area"] for row in rows], dtype=np.float64),
        bbox=bbox,
        boxes=_round_corners(bbox),
        polygon_first=_to_first(map(len, outlines)),
        polygons=Ragged(np.fromiter(chain.from_iterable(polygons), np.float64), _to_first(map(len, polygons))),
        runs=_pack_bytes([runs.get(place, b"") for place in found.tolist()]),
    )
    return packed, found


def _to_first(lengths: Iterable[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))])


def _pack_bytes(rows: Sequence[bytes]) -> Ragged[np.uint8]:
    return Ragged(np.frombuffer(b"".join(rows), dtype=np.uint8), _to_first(map(len, rows)))


def _round_corners(bbox: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return corners rounded to 3 decimals as Python rounds them; numpy's own rounding differs at ties."""
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
    rounded = [round(value, 3) for value in corners.ravel().tolist()]
    return np.array(rounded, dtype=np.float32).reshape(-1, 4)


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
    points = packed.polygons.values.reshape(-1, 2)
    first = packed.polygons.first // 2
    row = np.repeat(np.arange(len(packed.polygons)), np.diff(first))
    side = packed.sizes[packed.image_index[owner]][:, ::-1].astype(np.float64)[row]
    with np.errstate(invalid="ignore"):  # a NaN is far: it is not near
        bad = ~((points >= -side) & (points <= 2 * side)).all(axis=1)
    far = np.bincount(row[bad], minlength=len(packed.polygons)) > 0
    following = np.arange(1, len(points) + 1)
    following[first[1:] - 1] = first[:-1]  # the last point joins the first
    with np.errstate(invalid="ignore"):
        steps = np.abs(points[following] - points).max(axis=1, initial=0)
    return far, np.bincount(row, weights=steps, minlength=len(packed.polygons)) > LONGEST_OUTLINE
