"""Read a COCO instances file without a fault by its schema, straight into arrays: a fifth of the time and memory.

Whatever is unusual is left to the reader that looks at each row and names what is wrong (`coco_reader.py`).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMap
from maskzoo.datasets.rle import measure_runs, read_runs
from maskzoo.datasets.sifted import LARGEST_NUMBER, Columns, Sifted, check_numbers, find_order, pack_columns
from maskzoo.images.read import MAX_PIXELS
from maskzoo.system.collecting import without_collecting
from maskzoo.system.files import read_regular
from maskzoo.system.json_text import UNUSUAL, has_keys

__all__ = ["read_sound"]

Integers = NDArray[np.int64]
ABSENT = -(2**62)  # stands for a flag that is not there
_COMPRESSED = re.compile(rb'"counts"\s*:\s*"')
ROWS_AT_ONCE = 4096  # of outlines that are Python's lists at a time


class _Image(Struct, gc=False):
    id: int
    height: int
    width: int
    file_name: str


class _Category(Struct, gc=False):
    id: int
    name: str


class _Annotation(Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    area: float
    bbox: Raw
    segmentation: Raw
    iscrowd: int = ABSENT
    ignore: int = ABSENT


class _File(Struct, gc=False):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


_FILE = msgspec.json.Decoder(_File)
_POLYGONS = msgspec.json.Decoder(list[list[list[float]]])
_BOXES = msgspec.json.Decoder(list[tuple[float, float, float, float]])


def read_sound(path: Path, source: str) -> AnnotationSet | None:
    """Return the data set that a COCO instances file holds, or None unless every value of it is sound.

    Args:
        path: the file.
        source: what names it in messages.
    """
    try:
        with without_collecting():
            packed = _pack(_read_file(path), source)
        everywhere = np.arange(len(packed.ids))
        _require(next(check_numbers(Sifted({}, packed, [], everywhere, everywhere, "")), None) is None)
        return packed
    except (ValueError, OverflowError, OSError, *UNUSUAL):
        return None


def _require(sound: object) -> None:
    if not sound:
        raise ValueError("something is wrong, or written in a way that only the other reader knows")


def _read_file(path: Path) -> _File:
    """Refuse a key that may stand twice in one object: each stands as often as there are rows that have it."""
    content = read_regular(path)
    file = _FILE.decode(content)
    rows = file.annotations
    counts = {field: len(rows) for field in ("image_id", "category_id", "area", "bbox", "segmentation")}
    counts |= {field: sum(getattr(row, field) != ABSENT for row in rows) for field in ("iscrowd", "ignore")}
    counts |= {field: len(file.images) for field in ("height", "width", "file_name")}
    counts |= {"id": len(rows) + len(file.images) + len(file.categories), "name": len(file.categories)}
    counts |= dict.fromkeys(("images", "annotations", "categories"), 1)
    part = content.find(b'"annotations"'), content.rfind(b'"image_id"')
    runs = content.count(b'"size"', *part) + content.count(b'"counts"', *part) + len(_COMPRESSED.findall(content, *part))
    _require(has_keys(content, counts, slice(*part), runs))
    return file


def _pack(file: _File, source: str) -> AnnotationSet:
    names = [image.file_name for image in file.images]
    _require(all(name and "\0" not in name for name in names) and all(row.name for row in file.categories))
    image_ids = _take_ids(file.images)
    sizes = np.array([(image.height, image.width) for image in file.images], dtype=np.int64).reshape(-1, 2)
    _require((sizes >= 1).all() and (sizes <= MAX_PIXELS).all() and (sizes.prod(axis=1) <= MAX_PIXELS).all())
    _require(file.categories)
    _take_ids(file.categories)
    classes = ClassMap(tuple(row.id for row in file.categories), tuple(row.name for row in file.categories))
    places = np.argsort(image_ids)
    image_ids, sizes, names = image_ids[places], sizes[places], [names[place] for place in places.tolist()]
    rows = file.annotations
    owners = _take(rows, "image_id", np.int64)
    order, index = find_order(image_ids, owners)
    _require(len(image_ids) and (index < len(image_ids)).all() and (image_ids[index] == owners[order]).all())
    columns = _read_columns(rows, order, classes, sizes[index])
    return pack_columns(source, classes, image_ids, sizes, names, index, columns)


def _take_ids(rows: Sequence[Struct]) -> Integers:
    """Return the rows' ids as int64; each has to stand once."""
    ids = _take(rows, "id", np.int64)
    _require((ids >= 0).all() and (np.diff(np.sort(ids)) > 0).all())
    return ids


def _take(rows: Sequence[Struct], field: str, kind: type) -> NDArray[Any]:
    return np.fromiter(map(attrgetter(field), rows), kind, len(rows))


def _read_columns(rows: Sequence[_Annotation], order: Integers, classes: ClassMap, sizes: Integers) -> Columns:
    """Read the rows as they stand in the file, where they are side by side in memory, and put the columns into `order`."""
    label = {number: place for place, number in enumerate(classes.ids)}
    labels = np.fromiter((label.get(row.category_id, -1) for row in rows), np.int64, len(rows))
    flags = [_take(rows, field, np.int64) for field in ("iscrowd", "ignore")]
    area = _take(rows, "area", np.float64)
    bbox = np.empty((len(rows), 4))
    _require((labels >= 0).all() and all(((flag == 1) | (flag == 0) | (flag == ABSENT)).all() for flag in flags))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        bbox[part] = _BOXES.decode(_join(row.bbox for row in rows[part]))
    _require((np.abs(area) < LARGEST_NUMBER).all() and (np.abs(bbox) < LARGEST_NUMBER).all())
    counts, lengths, values, runs = array("q"), array("q"), array("d"), dict[int, bytes]()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        texts = [bytes(rows[place].segmentation) for place in order[start : start + ROWS_AT_ONCE].tolist()]
        _read_outlines(texts, start, sizes, (counts, lengths, values, runs))
    sound = measure_runs([*runs.values()], sizes[[*runs]].prod(axis=1))[1]
    _require(sound.all())
    numbers = np.frombuffer(values, np.float64)
    ids, crowd, ignore = _take_ids(rows)[order], (flags[0] == 1)[order], (flags[1] == 1)[order]
    return Columns(ids, labels[order], crowd, ignore, area[order], bbox[order], counts, lengths, numbers, runs)


def _join(texts: Iterable[Raw | bytes]) -> bytes:
    return b"[" + b",".join(texts) + b"]"


def _read_outlines(texts: Sequence[bytes], start: int, sizes: Integers, out: tuple[Any, Any, Any, dict[int, bytes]]) -> None:
    """Add the outlines of some rows: how many polygons each has, how long these are, their numbers; or its run lengths."""
    counts, lengths, values, runs = out
    polygons = iter(_POLYGONS.decode(_join(text for text in texts if text[:1] != b"{")))
    for place, text in enumerate(texts, start):
        if text[:1] == b"{":
            found = read_runs(msgspec.json.decode(text), sizes[place].tolist())
            _require(isinstance(found, bytes))
            runs[place] = found  # type: ignore[assignment]
            counts.append(0)
            continue
        outline = next(polygons)
        _require(outline)
        counts.append(len(outline))
        for polygon in outline:
            _require(len(polygon) >= 6 and len(polygon) % 2 == 0)
            lengths.append(len(polygon))
            values.fromlist(polygon)
