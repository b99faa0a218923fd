"""What the reader takes, and yet is wrong or suspicious in objects: each check goes from the arrays of all to faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import SMALLEST_SIDE, AnnotationSet
from maskzoo.datasets.rle import measure_runs
from maskzoo.datasets.sifted import Sifted
from maskzoo.faults import Fault, Words

__all__ = ["CHECKS", "NO_AREA", "SLIGHT_PART", "SLIGHT_PIXELS", "Objects", "measure_objects", "measure_outlines"]

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
ROUNDING = 0.1  # pixels: a coordinate rounded to one decimal is as good as at the edge
SLIGHT_PIXELS, SLIGHT_PART = 2.0, 0.02  # over the edge: what comes from rounding and from drawing by hand
NO_AREA = 1e-6  # square pixels: below is what doubles leave of a polygon without area
LEAST_OVERLAP, LEAST_DEVIATION = 0.8, 3.0  # IoU and pixels: a box that differs more from its outline's is named
LARGEST_RATIO, LEAST_DIFFERENCE = 2.0, 16.0  # of the noted area to the outline's; square pixels


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The sound annotations of a split, N with P polygons, measured once for all checks.

    `side` float64 `[N 2]` is the image's width and height, `boxes` and `extent` `[N 4]` the corners of the box and of
    the outline, `area` `[N]` the outline's, `polygon_area` `[P]` each polygon's.
    """

    sifted: Sifted
    side: Doubles
    boxes: Doubles
    extent: Doubles
    area: Doubles
    polygon_area: Doubles

    def expect_inside(self, row: int) -> str:
        """Say what is expected of what lies outside of its image."""
        width, height = self.side[row].astype(int).tolist()
        return f"inside the image of {width} x {height} pixels"

    def meet_image(self, corners: Doubles) -> Bools:
        """Say which boxes `[N 4]` have something of their image inside."""
        return _intersect(corners, np.concatenate([np.zeros_like(self.side), self.side], axis=1)) > 0


def measure_objects(sifted: Sifted) -> Objects:
    """Measure all sound annotations of a file."""
    packed = sifted.packed
    side = packed.sizes[packed.image_index][:, ::-1].astype(np.float64)
    boxes = np.concatenate([packed.bbox[:, :2], packed.bbox[:, :2] + packed.bbox[:, 2:]], axis=1)
    return Objects(sifted, side, boxes, *measure_outlines(packed))


def measure_outlines(packed: AnnotationSet) -> tuple[Doubles, Doubles, Doubles]:
    """Return each outline's extent float64 `[N 4]` x1 y1 x2 y2, its area `[N]`, and each polygon's area `[P]`.

    The area of run lengths is a count of pixels, that of polygons the sum of what each encloses.
    """
    extent, area = np.zeros((len(packed.ids), 4)), np.zeros(len(packed.ids))
    has_polygons = np.diff(packed.polygon_first) > 0
    points, first = packed.polygons.values.reshape(-1, 2), packed.polygons.first // 2
    polygon_area = np.zeros(0)
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
    places = np.flatnonzero(~has_polygons)
    if len(places):
        sizes = packed.sizes[packed.image_index[places]]
        texts = [packed.runs[place].tobytes() for place in places.tolist()]
        area[places] = measure_runs(texts, sizes.astype(np.int64).prod(axis=1))[0]
        masks = [{"size": size, "counts": text} for size, text in zip(sizes.tolist(), texts, strict=True)]
        boxes = np.asarray(hotcoco.mask.to_bbox(masks), dtype=np.float64).reshape(-1, 4)
        extent[places] = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return extent, area, polygon_area


def _check_boxes(objects: Objects) -> Iterator[Fault]:
    bbox, (outside, slight) = objects.sifted.packed.bbox, _compare_with_edges(objects.boxes, objects.side)
    empty = (objects.boxes[:, 2:] - objects.boxes[:, :2] <= SMALLEST_SIDE).any(axis=1)
    wrong = ~empty & (~objects.meet_image(objects.boxes) | (outside & ~slight))
    for code, chosen in (("box-empty", empty), ("box-outside", wrong), ("box-over-edge", ~empty & ~wrong & outside)):
        for row in np.flatnonzero(chosen).tolist():
            expected = "a width and a height above 0" if code == "box-empty" else objects.expect_inside(row)
            yield objects.sifted.name_annotation(row, code, "bbox", bbox[row].tolist(), expected)
    common, sides = _intersect(objects.boxes, objects.extent), (objects.boxes, objects.extent)
    own, outline = ((edges[:, 2:] - edges[:, :2]).clip(0).prod(axis=1) for edges in sides)
    overlap = common / np.maximum(own + outline - common, 1e-12)
    deviates = np.abs(objects.boxes - objects.extent).max(axis=1, initial=0) > LEAST_DEVIATION
    comparable = ~empty & ~wrong & (objects.area > NO_AREA) & (outline > 0)
    for row in np.flatnonzero(comparable & deviates & (overlap < LEAST_OVERLAP)).tolist():
        code = "box-differs" if common[row] > 0 else "box-elsewhere"
        x1, y1, x2, y2 = objects.extent[row].tolist()
        wanted = Words("its outline's, {}", [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)])
        yield objects.sifted.name_annotation(row, code, "bbox", bbox[row].tolist(), wanted)


def _check_outlines(objects: Objects) -> Iterator[Fault]:
    packed, field, name = objects.sifted.packed, "segmentation", objects.sifted.name_annotation
    empty = objects.area <= NO_AREA
    for row in np.flatnonzero(empty).tolist():
        found, expected = Words("an area of 0"), "an outline that encloses some pixels"
        yield name(row, "outline-without-area", field, found, expected)
    owner = packed.find_owners()
    for polygon in np.flatnonzero((objects.polygon_area <= NO_AREA) & ~empty[owner]).tolist():
        row, found = int(owner[polygon]), packed.polygons[polygon].tolist()
        part = polygon - int(packed.polygon_first[row])
        yield name(row, "polygon-without-area", field, found, "a polygon with an area", part=part)
    (outside, slight), meets = _compare_with_edges(objects.extent, objects.side), objects.meet_image(objects.extent)
    for row in np.flatnonzero(~empty & outside & ~(slight & meets)).tolist():
        x1, y1, x2, y2 = objects.extent[row].tolist()
        found, code = Words("x {:g} to {:g}, y {:g} to {:g}", x1, x2, y1, y2), "outline-outside"
        yield name(row, "vertices-outside" if meets[row] else code, field, found, objects.expect_inside(row))


def _check_areas(objects: Objects) -> Iterator[Fault]:
    area = objects.sifted.packed.area
    larger, smaller = np.maximum(area, objects.area), np.minimum(area, objects.area)
    differs = (smaller > NO_AREA) & (larger > LARGEST_RATIO * smaller) & (larger - smaller > LEAST_DIFFERENCE)
    for code, chosen in (("no-area", area <= 0), ("area-differs", differs)):
        for row in np.flatnonzero(chosen).tolist():
            expected = Words("its outline's, {:g}", objects.area[row].item())
            yield objects.sifted.name_annotation(row, code, "area", area[row].item(), expected)


def _check_repeats(objects: Objects) -> Iterator[Fault]:
    """Look at what agrees in image, class and box, and compare outlines among these."""
    packed = objects.sifted.packed
    if not len(packed.ids):
        return
    numbers = np.column_stack([packed.image_index, packed.labels, packed.crowd, packed.bbox])
    order = np.lexsort(numbers.T[::-1])
    same = (numbers[order][1:] == numbers[order][:-1]).all(axis=1)
    candidates = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    seen: dict[Any, int] = {}
    for row in sorted(order[candidates].tolist()):
        outline = packed.outline(row)
        shape = outline if isinstance(outline, bytes) else tuple(polygon.tobytes() for polygon in outline)
        first = seen.setdefault((numbers[row].tobytes(), shape), row)
        if first != row:
            found = Words("all of annotation {} again", int(packed.ids[first]))
            yield objects.sifted.name_annotation(row, "duplicate-annotation", "", found, "each object once")


def _check_flags(objects: Objects) -> Iterator[Fault]:
    packed = objects.sifted.packed
    polygons, trains = np.diff(packed.polygon_first) > 0, "0, for an object that trains"
    for code, field, found, expected, chosen in (
        ("crowd", "iscrowd", 1, trains, packed.crowd),
        ("crowd-polygons", "segmentation", Words("polygons of a crowd"), "run lengths", packed.crowd & polygons),
        ("ignored", "ignore", 1, trains, packed.ignore),
    ):
        for row in np.flatnonzero(chosen).tolist():
            yield objects.sifted.name_annotation(row, code, field, found, expected)


CHECKS: tuple[Callable[[Objects], Iterator[Fault]], ...] = (
    _check_boxes,
    _check_outlines,
    _check_areas,
    _check_repeats,
    _check_flags,
)


def _intersect(boxes: Doubles, others: Doubles) -> Doubles:
    start, end = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    return np.asarray((end - start).clip(0).prod(axis=1))


def _compare_with_edges(boxes: Doubles, side: Doubles) -> tuple[Bools, Bools]:
    """Say which boxes pass an edge of their image by more than rounding, and which by no more than a little."""
    over = np.maximum(-boxes[:, :2], boxes[:, 2:] - side)
    slight = np.maximum(SLIGHT_PIXELS, SLIGHT_PART * side)
    return np.asarray((over > ROUNDING).any(axis=1)), np.asarray((over <= slight).all(axis=1))
