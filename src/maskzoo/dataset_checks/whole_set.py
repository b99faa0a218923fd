"""All objects of a data set or of a split in arrays: sound rows as they were measured, others as they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.dataset_checks.annotation_checks import Objects
from maskzoo.dataset_checks.repairs import measure_sound
from maskzoo.datasets.coco_reader import find_first
from maskzoo.datasets.sifted import is_number
from maskzoo.faults import Fault

__all__ = ["WholeSet", "gather", "list_subjects"]

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
EXAMPLES = 3  # rows that a judgement shows


@dataclass(frozen=True, slots=True, eq=False)
class WholeSet:
    """N objects of some splits; what is not known of a row at fault is NaN.

    `split` is the split's name, empty for all together, `parts` the splits by name. Of each object: `part` and `place`
    int64 `[N]` say which row it is, `side` float64 `[N 2]` the image's width and height, `bbox` `[N 4]` the four numbers
    as they are, `extent` `[N 4]` the outline's corners, `area` `[N]` the outline's and `noted` `[N]` that of the row;
    `crowd` and `runs` bool `[N]`: a crowd, with run lengths.
    """

    split: str
    parts: tuple[Objects, ...]
    part: Integers
    place: Integers
    side: Doubles
    bbox: Doubles
    extent: Doubles
    area: Doubles
    noted: Doubles
    crowd: Bools
    runs: Bools

    def __len__(self) -> int:
        return len(self.part)

    def show(self, chosen: Bools, field: str, expected: Any = "") -> tuple[Fault, ...]:
        """Return the first few of some objects as faults that name their rows; their code is empty."""
        return tuple(self._name(row, field, expected) for row in np.flatnonzero(chosen)[:EXAMPLES].tolist())

    def _name(self, row: int, field: str, expected: Any) -> Fault:
        sifted, place = self.parts[int(self.part[row])].sifted, int(self.place[row])
        rows = sifted.tables["annotations"]
        one = rows[place] if place < len(rows) and isinstance(rows[place], dict) else {}
        number, image = one.get("id"), one.get("image_id")
        numbers = {name: value if type(value) is int else None for name, value in (("row", number), ("image", image))}
        return sifted.name_file("", field, one.get(field), expected, table="annotations", place=place, **numbers)


def list_subjects(parts: Mapping[str, Objects]) -> Iterator[WholeSet]:
    """Yield what is judged: all splits together first, then each, unless there is one only."""
    whole = [gather(split if len(parts) > 1 else "", objects) for split, objects in parts.items()]
    if len(whole) > 1:
        fields = ("place", "side", "bbox", "extent", "area", "noted", "crowd", "runs")
        joined = {name: np.concatenate([getattr(one, name) for one in whole]) for name in fields}
        part = np.repeat(np.arange(len(whole)), [len(one) for one in whole])
        yield WholeSet("", tuple(parts.values()), part=part, **joined)
    yield from whole


def gather(split: str, objects: Objects) -> WholeSet:
    """Put the objects of a split into arrays: sound ones from what was packed, the others from their rows."""
    sifted, packed = objects.sifted, objects.sifted.packed
    rows = sifted.tables["annotations"]
    unsound = np.ones(len(rows), np.bool_)
    if rows:  # of annotations that were read as sound, no row is kept
        unsound[sifted.annotation_places] = False
    others = np.flatnonzero(unsound)
    raw = _read_rows(sifted.tables["images"], {place: rows[place] for place in others.tolist()})
    place = np.concatenate([sifted.annotation_places, others])
    runs = np.concatenate([np.diff(packed.runs.first) > 0, raw[:, 13] > 0])
    return WholeSet(
        split,
        (objects,),
        part=np.zeros(len(place), np.int64),
        place=place,
        side=np.concatenate([objects.side, raw[:, :2]]),
        bbox=np.concatenate([packed.bbox, raw[:, 2:6]]),
        extent=np.concatenate([np.where(objects.area[:, None] > 0, objects.extent, np.nan), raw[:, 6:10]]),
        area=np.concatenate([objects.area, raw[:, 10]]),
        noted=np.concatenate([packed.area, raw[:, 11]]),
        crowd=np.concatenate([packed.crowd, raw[:, 12] > 0]),
        runs=runs,
    )


def _read_rows(images: list[Any], rows: Mapping[int, Any]) -> Doubles:
    """Return for each row width, height, box (4), extent (4), the outline's area, area, crowd, runs, float64 `[N 14]`."""
    places, masks = find_first(images) if rows else {}, dict[int, tuple[Any, Any]]()
    found = np.full((len(rows), 14), np.nan)
    for number, (line, row) in enumerate(zip(found, rows.values(), strict=True)):
        if not isinstance(row, dict):
            continue
        key, bbox, outline = row.get("image_id"), row.get("bbox"), row.get("segmentation")
        image = images[places[key]] if type(key) is int and key in places else {}
        line[:2] = [_to_number(image.get(name)) for name in ("width", "height")]
        if isinstance(bbox, list) and len(bbox) == 4:
            line[2:6] = [_to_number(value) for value in bbox]
        if isinstance(outline, list):
            line[6:10] = _measure_extent(outline)
        elif isinstance(outline, dict) and image:
            masks[number] = outline, image
        line[11:] = _to_number(row.get("area")), row.get("iscrowd") in (1, "1", "true", True), isinstance(outline, dict)
    for number, mask in measure_sound(masks).items():
        found[number, 6:11] = [*mask.extent, mask.area]
    return found


def _to_number(value: Any) -> float:
    return float(value) if is_number(value) else np.nan


def _measure_extent(outline: list[Any]) -> Doubles:
    """Return the corners of what can be read of an outline's polygons, NaN if that is nothing."""
    polygons = [polygon for polygon in outline if isinstance(polygon, list) and len(polygon) % 2 == 0]
    values = [*chain.from_iterable(polygons)]
    if not values or not all(map(is_number, values)):
        return np.full(4, np.nan)
    points = np.array(values, dtype=np.float64).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
