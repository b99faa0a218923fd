"""Read a COCO instances file: check all of it, name every fault, pack the rest into arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.data.annotations import AnnotationSet, Ragged
from maskzoo.data.classes import ClassMap
from maskzoo.data.images import MAX_PIXELS
from maskzoo.data.json_text import parse_json
from maskzoo.data.run_lengths import compress, find_bad_runs, measure
from maskzoo.errors import MaskzooError

__all__ = [
    "LARGEST_NUMBER",
    "AnnotationsError",
    "Fault",
    "is_number",
    "pack_annotations",
    "read_annotations",
    "read_json",
]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
LARGEST_ID = 2**63 - 1  # ids are kept in 64 bits
LARGEST_NUMBER = 1e15  # of a coordinate or area: what is above is no length in pixels
LONGEST_OUTLINE = 2_000_000  # pixels along one polygon; native code makes room for five points a pixel
SHOWN = 20  # faults in a message


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file: in which row (`annotation 7`), which field, what was found, what was expected."""

    file: str
    row: str
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        row = f"{self.row}: " if self.row else ""
        return f"{self.file}: {row}{self.field}: found {self.found}; expected {self.expected}"


class _Words(str):
    """What was found in words of ours; a text of the file stands in quotes."""

    __slots__ = ()


class AnnotationsError(MaskzooError):
    """A file of annotations or results holds what cannot be used. `faults` has all of it, the message the first 20."""

    def __init__(self, faults: Sequence[Fault], advice: str | None = None) -> None:
        self.faults = tuple(faults)
        more = [f"and {len(faults) - SHOWN} more faults"] if len(faults) > SHOWN else []
        more += [advice] if advice is not None else []
        super().__init__("\n".join([*map(str, faults[:SHOWN]), *more]))


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises AnnotationsError, with the place, if it is not there or `parse_json` refuses it."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise AnnotationsError([Fault(str(path), "", "file", reason, "a JSON file that can be read")]) from None
    try:
        return parse_json(content)
    except ValueError as error:
        expected = "a whole JSON file in UTF-8, each key of an object once"
        raise AnnotationsError([Fault(str(path), "", "file", f"no JSON: {error}", expected)]) from None


def read_annotations(path: str | Path) -> AnnotationSet:
    """Read a COCO instances file, check all of it, and pack it.

    Raises AnnotationsError with every fault of the file: wrong types, unknown or repeated ids, numbers that are not
    finite or absurd, outlines that no mask code should see. What training leaves out (crowds, empty boxes) is no fault.
    """
    return pack_annotations(read_json(path), str(path))


def pack_annotations(data: Any, source: str) -> AnnotationSet:
    """Check and pack the content of a COCO instances file; `source` names it in faults. Raises AnnotationsError."""
    packer = _Packer(source)
    packed = packer.pack(data)
    if packer.faults or packed is None:
        raise AnnotationsError(packer.faults, f"Look with `maskzoo data check {source}`; its --fix OUT writes a cleaned copy")
    return packed


class _Packer:
    """Walks a data set once, keeps flat columns, and notes faults instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.sizes: dict[int, tuple[int, int] | None] = {}  # None: unsound, so nothing can be held against it
        self.names: dict[int, bytes] = {}
        self.label: dict[int, int] = {}
        self.seen: set[int] = set()
        self.columns: dict[str, list[Any]] = {
            name: [] for name in ("ids", "image_ids", "labels", "crowd", "ignore", "area", "bbox")
        }
        self.polygons = array("d")
        self.polygon_lengths = array("q")
        self.polygon_counts = array("q")
        self.runs: list[bytes] = []

    def pack(self, data: Any) -> AnnotationSet | None:
        tables = self._open(data)
        if tables is None:
            return None
        classes = self._read_categories(tables["categories"])
        for place, row in enumerate(tables["images"]):
            self._read_image(place, row)
        for place, row in enumerate(tables["annotations"]):
            self._read_annotation(place, row)
        if classes is None:
            return None
        packed = self._build(classes)  # of the rows without a fault, so that their numbers are checked as well
        self._check_numbers(packed)
        return packed

    def _open(self, data: Any) -> dict[str, list[Any]] | None:
        if not isinstance(data, dict):
            self._add("", "file", data, "an object with images, annotations and categories")
            return None
        for name in ("images", "annotations", "categories"):
            if not isinstance(data.get(name), list):
                self._add("", name, data.get(name, _Words("nothing")), "a list")
        if not self.faults and not data["categories"]:
            self._add("", "categories", _Words("none"), "at least one")
        return None if self.faults else data

    def _add(self, row: str, field: str, found: object, expected: str) -> None:
        """Note a fault; `found` is a value of the file, or `_Words` about it."""
        text = str(found) if isinstance(found, _Words) else repr(found)
        self.faults.append(Fault(self.source, row, field, text if len(text) <= 80 else text[:77] + "...", expected))

    def _read_categories(self, rows: list[Any]) -> ClassMap | None:
        before = len(self.faults)
        names: dict[int, str] = {}
        for place, row in enumerate(rows):
            number = self._read_id(f"category at place {place}", row, names)
            if number is not None:
                name = row.get("name")
                if not isinstance(name, str) or not name:
                    self._add(f"category {number}", "name", name, "a text")
                names[number] = str(name)
        self.label = {number: label for label, number in enumerate(names)}
        return ClassMap.from_classes(names) if len(self.faults) == before else None

    def _read_id(self, where: str, row: Any, seen: Iterable[int]) -> int | None:
        """Return the row's own id, or note why there is none."""
        if not isinstance(row, dict):
            self._add(where, "row", row, "an object")
            return None
        number = row.get("id")
        if type(number) is not int or not 0 <= number <= LARGEST_ID:
            self._add(where, "id", number, "a whole number from 0 on")
            return None
        if number in seen:
            self._add(where, "id", _Words(f"{number} again"), "each id once")
            return None
        return number

    def _read_image(self, place: int, row: Any) -> None:
        number = self._read_id(f"image at place {place}", row, self.sizes)
        if number is None:
            return
        where = f"image {number}"
        height, width, name = row.get("height"), row.get("width"), row.get("file_name")
        for field, side in (("height", height), ("width", width)):
            if type(side) is not int or side < 1:
                self._add(where, field, side, "a whole number of pixels from 1 on")
        if type(height) is int and type(width) is int and height * width > MAX_PIXELS:
            self._add(where, "width x height", _Words(f"{width} x {height}"), f"at most {MAX_PIXELS:,} pixels")
        if not isinstance(name, str) or not name or "\0" in name or not _is_text(name):
            self._add(where, "file_name", name, "the name of a file")
            name = ""
        sound = type(height) is int and type(width) is int and 0 < height * width <= MAX_PIXELS
        self.sizes[number] = (height, width) if sound else None
        self.names[number] = name.encode("utf-8")

    def _read_annotation(self, place: int, row: Any) -> None:
        number = self._read_id(f"annotation at place {place}", row, self.seen)
        if number is None:
            return
        self.seen.add(number)
        where, before = f"annotation {number}", len(self.faults)
        image, category = row.get("image_id"), row.get("category_id")
        if type(image) is not int or image not in self.sizes:
            self._add(where, "image_id", image, "the id of one of the images")
        if type(category) is not int or category not in self.label:
            self._add(where, "category_id", category, "the id of one of the categories")
        for field in ("iscrowd", "ignore"):
            if row.get(field, 0) not in (0, 1):
                self._add(where, field, row[field], "0 or 1")
        if not is_number(row.get("area")):
            self._add(where, "area", row.get("area"), "a number of pixels")
        bbox = row.get("bbox")
        if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox))):
            self._add(where, "bbox", bbox, "four finite numbers: x, y, width, height")
        size = self.sizes.get(image) if type(image) is int else None
        if size is None:
            return
        marks = len(self.polygons), len(self.polygon_lengths), len(self.polygon_counts)
        self._read_outline(where, row.get("segmentation"), size)
        if len(self.faults) > before:
            del self.polygons[marks[0] :], self.polygon_lengths[marks[1] :], self.polygon_counts[marks[2] :]
            del self.runs[marks[2] :]
        else:
            values = (number, image, self.label[category], row.get("iscrowd", 0), row.get("ignore", 0), row["area"], bbox)
            for column, value in zip(self.columns.values(), values, strict=True):
                column.append(value)

    def _read_outline(self, where: str, outline: Any, size: tuple[int, int]) -> None:
        if isinstance(outline, dict):
            self.polygon_counts.append(0)
            self.runs.append(self._read_runs(where, outline, size))
        elif isinstance(outline, list) and outline:
            self.polygon_counts.append(len(outline))
            self.runs.append(b"")
            for place, polygon in enumerate(outline):
                self._read_polygon(where, f"segmentation[{place}]", polygon)
        else:
            self._add(where, "segmentation", outline, "a list of polygons, or run lengths with size and counts")

    def _read_polygon(self, where: str, field: str, polygon: Any) -> None:
        if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6:
            found = _Words(f"{len(polygon)} numbers") if isinstance(polygon, list) else polygon
            self._add(where, field, found, "x and y of at least 3 points, an even count of numbers from 6 on")
            return
        try:
            self.polygons.extend(polygon)
        except (TypeError, OverflowError):
            self._add(where, field, next(value for value in polygon if not is_number(value)), "finite numbers")
            return
        self.polygon_lengths.append(len(polygon))

    def _read_runs(self, where: str, runs: dict[str, Any], size: tuple[int, int]) -> bytes:
        counts, pixels = runs.get("counts"), size[0] * size[1]
        if runs.get("size") != list(size):
            self._add(where, "segmentation.size", runs.get("size"), f"its image's height and width {list(size)}")
        elif isinstance(counts, list) and counts:
            wrong = find_bad_runs(counts, pixels)
            if wrong is None:
                return compress(counts)
            self._add(where, "segmentation.counts", _Words(wrong), f"whole numbers from 0 on that sum to {pixels}")
        elif isinstance(counts, str) and counts.isascii():
            text = counts.encode("ascii")
            if measure([text], [pixels])[1][0]:
                return text
            self._add(where, "segmentation.counts", counts, f"compressed run lengths that sum to {pixels}")
        else:
            self._add(where, "segmentation.counts", counts, "a list of whole numbers, or compressed run lengths")
        return b""

    def _build(self, classes: ClassMap) -> AnnotationSet:
        columns = self.columns
        sizes = {number: size for number, size in self.sizes.items() if size is not None}
        image_ids = np.array(sorted(sizes), dtype=np.int64)
        index = np.searchsorted(image_ids, np.array(columns["image_ids"], dtype=np.int64))
        order = np.argsort(index, kind="stable")
        bbox = np.array(columns["bbox"], dtype=np.float64).reshape(-1, 4)
        polygon_first = _to_first(self.polygon_counts)
        unsorted = Ragged(np.array(self.polygons, dtype=np.float64), _to_first(self.polygon_lengths))
        counts = np.diff(polygon_first)[order]
        rows = Ragged(np.arange(len(unsorted)), polygon_first).take(order).values
        image_index = index[order].astype(np.int32)
        return AnnotationSet(
            source=self.source,
            classes=classes,
            image_ids=image_ids,
            sizes=np.array([sizes[number] for number in image_ids.tolist()], dtype=np.int32).reshape(-1, 2),
            file_names=_pack_bytes([self.names[number] for number in image_ids.tolist()]),
            first=np.searchsorted(image_index, np.arange(len(image_ids) + 1)),
            ids=np.array(columns["ids"], dtype=np.int64)[order],
            image_index=image_index,
            labels=np.array(columns["labels"], dtype=np.int32)[order],
            crowd=np.array(columns["crowd"], dtype=np.bool_)[order],
            ignore=np.array(columns["ignore"], dtype=np.bool_)[order],
            area=np.array(columns["area"], dtype=np.float64)[order],
            bbox=bbox[order],
            boxes=_to_boxes(bbox)[order],
            polygon_first=_to_first(counts),
            polygons=unsorted.take(rows),
            runs=_pack_bytes([self.runs[place] for place in order.tolist()]),
        )

    def _check_numbers(self, packed: AnnotationSet) -> None:
        """Find coordinates that are not finite or far away, all at once. Far is more than the image's side outside."""
        for annotation in np.flatnonzero(_find_far_boxes(packed)).tolist():
            height, width = packed.sizes[packed.image_index[annotation]].tolist()
            found = packed.bbox[annotation].tolist()
            self._add(f"annotation {packed.ids[annotation]}", "bbox", found, _near(height, width))
        owner = np.repeat(np.arange(len(packed.ids)), np.diff(packed.polygon_first))
        far, long = _find_far_polygons(packed, owner)
        for row in np.flatnonzero(far | long).tolist():
            annotation = int(owner[row])
            height, width = packed.sizes[packed.image_index[annotation]].tolist()
            field = f"segmentation[{row - int(packed.polygon_first[annotation])}]"
            values = packed.polygons[row]
            if far[row]:
                extent = f"x {values[::2].min():g} to {values[::2].max():g}, y {values[1::2].min():g} to {values[1::2].max():g}"
                self._add(f"annotation {packed.ids[annotation]}", field, _Words(extent), _near(height, width))
            else:
                expected = f"an outline of at most {LONGEST_OUTLINE:,} pixels"
                self._add(f"annotation {packed.ids[annotation]}", field, _Words("a longer one"), expected)


def _near(height: int, width: int) -> str:
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


def is_number(value: object) -> bool:
    """Say whether a value of a JSON file is a finite number of a size that can be a length or an area in pixels."""
    return isinstance(value, int | float) and type(value) is not bool and -LARGEST_NUMBER < value < LARGEST_NUMBER


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)  # JSON can hold half a character


def _to_first(lengths: Iterable[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])


def _pack_bytes(rows: Sequence[bytes]) -> Ragged[np.uint8]:
    return Ragged(np.frombuffer(b"".join(rows), dtype=np.uint8), _to_first([len(row) for row in rows]))


def _to_boxes(bbox: Doubles) -> NDArray[np.float32]:
    """Corners rounded to 3 decimals as Python rounds them; numpy's own rounding differs at ties."""
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
    rounded = [round(value, 3) for value in corners.ravel().tolist()]
    return np.array(rounded, dtype=np.float32).reshape(-1, 4)
