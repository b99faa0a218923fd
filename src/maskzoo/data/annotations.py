"""Read COCO instance annotations once: every fault named, everything packed into a few arrays.

The arrays hold no Python object per annotation, so that worker processes share their pages after a fork: nothing
counts references in them. Boxes and outlines stay as the file has them; `boxes` are the published training's.
"""

from __future__ import annotations

import gc
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskzoo.data.classes import ClassMap
from maskzoo.data.images import MAX_PIXELS
from maskzoo.data.run_lengths import compress, find_bad_runs, measure
from maskzoo.errors import MaskzooError, SourceError

__all__ = [
    "AnnotationSet",
    "AnnotationsError",
    "Dropped",
    "Fault",
    "Ragged",
    "find_image_folder",
    "find_trainable",
    "read_annotations",
    "read_json",
    "select_for_training",
]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
LARGEST_ID = 2**63 - 1  # ids are kept in 64 bits
LONGEST_OUTLINE = 2_000_000  # pixels along one polygon; native code makes room for five points a pixel
SMALLEST_SIDE = 1e-5  # of a box that trains, in pixels: the published loader's
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


class AnnotationsError(MaskzooError):
    """A file of annotations or results holds what cannot be used. `faults` has all of it, the message the first 20."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        more = [f"and {len(faults) - SHOWN} more faults"] if len(faults) > SHOWN else []
        super().__init__("\n".join([*map(str, faults[:SHOWN]), *more]))


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
        owner = np.repeat(np.arange(len(self.ids)), np.diff(self.polygon_first))
        polygons = np.diff(self.polygon_first)[rows]
        some = {
            name: getattr(self, name)[rows]
            for name in ("ids", "labels", "crowd", "ignore", "area", "bbox", "boxes")
        }
        return replace(
            self,
            **some,
            image_ids=self.image_ids[image_rows],
            sizes=self.sizes[image_rows],
            file_names=self.file_names.take(image_rows),
            first=np.searchsorted(image_index, np.arange(len(image_rows) + 1)),
            image_index=image_index,
            polygon_first=np.concatenate([[0], np.cumsum(polygons)]),
            polygons=self.polygons.take(np.flatnonzero(kept[owner])),
            runs=self.runs.take(rows),
        )


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
    found: Bools = ((start + side) - start <= SMALLEST_SIDE).any(axis=1)
    return found


def find_image_folder(annotations: AnnotationSet) -> Path:
    """Find the folder of the images near the annotation file, by the usual layouts.

    For `data/annotations/instances_val2017.json` these are val2017, images/val2017 and images, beside the file and one
    folder above, then these two folders themselves. Raises SourceError that lists them if none holds one of the images.
    """
    file = Path(annotations.source).absolute()
    names = {file.stem, *(file.stem.removeprefix(prefix) for prefix in ("instances_", "annotations_"))}
    inner = [part for name in sorted(names, key=len) for part in (name, f"images/{name}")] + ["images", ""]
    folders = [base / part for part in inner for base in (file.parent, file.parent.parent)]
    samples = [annotations.file_name(image) for image in range(min(len(annotations), 20))]
    for folder in folders:
        if any((folder / sample).is_file() for sample in samples):
            return folder
    tried = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    sample = repr(samples[0]) if samples else "no image at all"
    raise SourceError(
        f"{annotations.source}: its images were not found; the first is {sample}, looked in {tried}; "
        "give their folder with --images"
    )


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises AnnotationsError if it is not there, no JSON, or not text."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise AnnotationsError([Fault(str(path), "", "file", reason, "a JSON file that can be read")]) from None
    collecting = gc.isenabled()
    gc.disable()  # a large file is millions of objects, none of them garbage: twice as fast without looking
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a JSONDecodeError and a UnicodeDecodeError are ValueErrors
        raise AnnotationsError([Fault(str(path), "", "file", f"no JSON: {error}", "a whole JSON file")]) from None
    finally:
        if collecting:
            gc.enable()


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
        raise AnnotationsError(packer.faults)
    return packed


class _Packer:
    """Walks a data set once, keeps flat columns, and notes faults instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.sizes: dict[int, tuple[int, int]] = {}
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
        if self.faults or classes is None:
            return None
        packed = self._build(classes)
        self._check_numbers(packed)
        return packed

    def _open(self, data: Any) -> dict[str, list[Any]] | None:
        if not isinstance(data, dict):
            self._add("", "file", data, "an object with images, annotations and categories")
            return None
        for name in ("images", "annotations", "categories"):
            if not isinstance(data.get(name), list):
                self._add("", name, data.get(name, "nothing"), "a list")
        if not self.faults and not data["categories"]:
            self._add("", "categories", "none", "at least one")
        return None if self.faults else data

    def _add(self, row: str, field: str, found: object, expected: str) -> None:
        text = found if isinstance(found, str) else repr(found)
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
            self._add(where, "id", f"{number} again", "each id once")
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
            self._add(where, "width x height", f"{width} x {height}", f"at most {MAX_PIXELS:,} pixels")
        if not isinstance(name, str) or not name or "\0" in name or not _is_text(name):
            self._add(where, "file_name", name, "the name of a file")
            name = ""
        sound = type(height) is int and type(width) is int and 0 < height * width <= MAX_PIXELS
        self.sizes[number] = (height, width) if sound else (1, 1)  # known, so that its annotations are no further faults
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
        if not _is_finite(row.get("area")):
            self._add(where, "area", row.get("area"), "a number of pixels")
        bbox = row.get("bbox")
        if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(_is_finite, bbox))):
            self._add(where, "bbox", bbox, "four finite numbers: x, y, width, height")
        if type(image) is int and image in self.sizes:
            self._read_outline(where, row.get("segmentation"), self.sizes[image])
        if len(self.faults) == before:
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
            found = f"{len(polygon)} numbers" if isinstance(polygon, list) else polygon
            self._add(where, field, found, "x and y of at least 3 points, an even count of numbers from 6 on")
            return
        try:
            self.polygons.extend(polygon)
        except (TypeError, OverflowError):  # some points may be in: nothing is built once there is a fault
            self._add(where, field, next(value for value in polygon if not _is_finite(value)), "finite numbers")
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
            self._add(where, "segmentation.counts", wrong, f"whole numbers from 0 on that sum to {pixels}")
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
        image_ids = np.array(sorted(self.sizes), dtype=np.int64)
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
            sizes=np.array([self.sizes[number] for number in image_ids.tolist()], dtype=np.int32).reshape(-1, 2),
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
                self._add(f"annotation {packed.ids[annotation]}", field, extent, _near(height, width))
            else:
                expected = f"an outline of at most {LONGEST_OUTLINE:,} pixels"
                self._add(f"annotation {packed.ids[annotation]}", field, "a longer one", expected)


def _near(height: int, width: int) -> str:
    return f"finite numbers in or near the image of {width} x {height} pixels, at most its size outside"


def _find_far_boxes(packed: AnnotationSet) -> Bools:
    side = packed.sizes[packed.image_index][:, ::-1].astype(np.float64)
    start, end = packed.bbox[:, :2], packed.bbox[:, :2] + packed.bbox[:, 2:]
    far: Bools = ((start < -side) | (start > 2 * side) | (end < -side) | (end > 2 * side)).any(axis=1)
    return far


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


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e15  # type: ignore[arg-type,operator]


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
