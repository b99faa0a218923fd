"""A COCO data set in the making: what every importer fills, and what it leaves out by name."""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.coco_writer import straighten
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import encode_polygons
from maskzoo.datasets.sifted import LONGEST_OUTLINE
from maskzoo.errors import ImageError, SourceError
from maskzoo.images.find import find_pictures
from maskzoo.images.read import read_image
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.encodings import describe_encoding
from maskzoo.system.files import read_regular

__all__ = [
    "BOXES",
    "PARTS",
    "SPLITS",
    "Boxes",
    "DatasetBuilder",
    "ImportOptions",
    "Parts",
    "Skipped",
    "find_pictures",
    "is_within",
    "measure_pictures",
    "read_text",
]

Points = NDArray[np.float64]
Origin = tuple[Path, str]  # the file and the row that an object is from
Boxes = Literal["masks", "crowds", "skip"]
BOXES: tuple[Boxes, ...] = ("masks", "crowds", "skip")
Parts = Literal["one", "each"]
PARTS: tuple[Parts, ...] = ("one", "each")
SPLITS = ("train", "val", "test")
LARGEST_TEXT = 1 << 28  # bytes of one text file: labels of one picture, or a list of pictures
FLAGS = ("iscrowd", "is_crowd", "ignore")
WORKERS = 4  # threads that read pictures, outside Python's lock; a picture may take 2 GB


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a reader is told beside its source.

    `classes` are the names in order, None for those that the source has. `boxes` says what a box without an outline is:
    a rectangular object (`masks`), a region that training leaves out (`crowds`), or nothing (`skip`); None refuses it.
    `parts` says whether the separate parts of one number in a mask are `one` object or `each` an object; None refuses masks
    where both may be meant. `threshold` is the grey above which a mask holds objects.
    `class_attribute` names which of an object's attributes is its class, where a format has no word for it. `images` is the
    folder in which pictures are looked for, that of the labels if None; `pictures` the one for pictures that lie inside
    label files. `on_progress` is called for each picture.
    """

    classes: Sequence[str] | None = None
    boxes: Boxes | None = None
    parts: Parts | None = None
    threshold: int | None = None
    class_attribute: str | None = None
    images: Path | None = None
    pictures: Path | None = None
    on_progress: OnProgress = say_nothing


@dataclass(frozen=True, slots=True)
class Skipped:
    """One input row that did not become an object or image: its file, which row (`line 3`, or none), and why."""

    file: str
    row: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.row + ': ' if self.row else ''}{self.reason}"


@dataclass(slots=True)
class DatasetBuilder:
    """One split: `names` of the classes by label, its pictures with their sizes, objects, and what was skipped.

    A reader fills it: `measure` the pictures, `add_image` each one that can be used, `add_object`, `add_mask` or `add_box`
    to it, `skip` the rest. `boxes` is the option of that name; `refused` are the rows of boxes that it does not allow.
    `notes` are what a user has to know though nothing is left out. `embedded` are pictures that are to be written yet,
    with what returns their bytes.
    """

    names: Sequence[str]
    boxes: Boxes | None = None
    pictures: list[Path] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    embedded: dict[Path, Callable[[], bytes]] = field(default_factory=dict)

    def add_image(self, path: Path, size: tuple[int, int]) -> int:
        """Add a picture of height, width `size`; return its place, by which its objects are added."""
        self.pictures.append(path)
        self.sizes.append(size)
        return len(self.pictures) - 1

    def skip(self, file: Path, row: str, reason: str | Exception) -> None:
        """Note a row of the input that is left out; an error's message may begin with the file."""
        self.skipped.append(Skipped(str(file), row, str(reason).removeprefix(f"{file}: ")))

    def measure(self, pictures: Sequence[Path], on_progress: OnProgress) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Read each picture and yield it with its height, width; those that cannot be read are skipped by name."""
        for path, size in measure_pictures(pictures, on_progress):
            if isinstance(size, ImageError):
                self.skip(path, "", size)
            else:
                yield path, size

    def add_object(
        self,
        image: int,
        label: int,
        polygons: Sequence[Points],
        origin: Origin,
        *,
        area: float | None = None,
        crowd: bool = False,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an object with its polygons (flat x y x y ..., pixels), or skip it: `origin` is its file and row.

        The area is that inside the polygons unless given. The box is that of the polygons inside the picture. A crowd is
        kept as run lengths, as COCO has it; `attributes` are JSON values that the source says about the object. Those called
        `iscrowd`, `is_crowd` and `ignore` are COCO's flags: tools without such a flag have them so.
        """
        attributes, flags = _split_flags(attributes or {})
        crowd |= "iscrowd" in flags or "is_crowd" in flags
        height, width = self.sizes[image]
        if not polygons:
            self.skip(*origin, "has no outline")
            return
        fault = next((fault for fault in (_find_fault(polygon, height, width) for polygon in polygons) if fault), None)
        if fault is not None:
            self.skip(*origin, fault)
            return
        points = np.concatenate(polygons).reshape(-1, 2)
        x1, y1 = points.min(axis=0).clip(0, (width, height)).tolist()
        x2, y2 = points.max(axis=0).clip(0, (width, height)).tolist()
        if not (x1 < x2 and y1 < y2):
            self.skip(*origin, f"lies outside of the picture of {width} x {height} pixels, or has no width or height")
            return
        area = sum(map(_measure, polygons)) if area is None else area
        if area <= 0:
            self.skip(*origin, "encloses no area")
            return
        outline: Any = [_to_numbers(polygon) for polygon in polygons]
        if crowd:
            runs = encode_polygons(polygons, (height, width)).decode("ascii")
            outline = {"size": [height, width], "counts": runs}
        row = {
            "id": len(self.annotations) + 1,
            "image_id": image + 1,
            "category_id": label + 1,
            "segmentation": outline,
            "area": _to_number(area),
            "bbox": _to_numbers(np.array([x1, y1, x2 - x1, y2 - y1])),
            "iscrowd": int(crowd),
        }
        row |= {"ignore": 1} if "ignore" in flags else {}
        self.annotations.append(row | {"attributes": attributes} if attributes else row)

    def add_mask(
        self,
        image: int,
        label: int,
        mask: NDArray[Any],
        origin: Origin,
        *,
        start: tuple[float, float] = (0, 0),
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an object with a mask `[h w]` (what is not 0 is inside) whose first pixel is at x, y `start`, or skip it."""
        polygons = [polygon + np.tile(start, len(polygon) // 2) for polygon in trace(mask)]
        if not polygons:
            self.skip(*origin, "its mask is empty")
            return
        self.add_object(image, label, polygons, origin, area=int(np.count_nonzero(mask)), attributes=attributes)

    def add_box(
        self, image: int, label: int, box: Points, origin: Origin, *, attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Add an object of which only a box is known, as `boxes` says; refused ones are noted.

        The box is x1 y1 x2 y2 in pixels, or its four corners in turn, where it is not upright.
        """
        if self.boxes is None:
            self.refused.append(": ".join(map(str, origin)))
        elif self.boxes == "skip":
            self.skip(*origin, "a box without an outline")
        else:
            rectangle = box[[0, 1, 2, 1, 2, 3, 0, 3]] if box.size == 4 else box
            self.add_object(image, label, [rectangle], origin, crowd=self.boxes == "crowds", attributes=attributes)

    def count_empty(self) -> int:
        """Count the pictures without an object."""
        return len(self.pictures) - len({row["image_id"] for row in self.annotations})

    def to_coco(self, root: Path) -> dict[str, Any]:
        """Return the content of a COCO instances file; file names are relative to `root`, a folder of all pictures."""
        rows = enumerate(zip(self.pictures, self.sizes, strict=True), 1)
        return {
            "images": [
                {"id": number, "file_name": straighten(path).relative_to(root).as_posix(), "height": size[0], "width": size[1]}
                for number, (path, size) in rows
            ],
            "categories": [{"id": number, "name": name} for number, name in enumerate(self.names, 1)],
            "annotations": self.annotations,
        }


def _split_flags(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the attributes that are no flags of COCO's, and those of its flags that are set."""
    rest = {name: value for name, value in attributes.items() if name not in FLAGS}
    return rest, {name for name in FLAGS if str(attributes.get(name)).lower() in ("1", "true")}


def _find_fault(polygon: Points, height: int, width: int) -> str | None:
    if polygon.size < 6 or polygon.size % 2:
        return f"has {polygon.size // 2} points; expected 3 or more"
    side = np.array([width, height], np.float64)
    points = polygon.reshape(-1, 2)
    if not ((points >= -side) & (points <= 2 * side)).all():  # a NaN is not in it either
        return f"has a point that is not in or near the picture of {width} x {height} pixels"
    if np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > LONGEST_OUTLINE:
        return f"has an outline of more than {LONGEST_OUTLINE:,} pixels"
    return None


def _measure(polygon: Points) -> float:
    """Return the area inside, by the shoelace formula, about the first point so that the sums stay small."""
    x, y = (polygon.reshape(-1, 2) - polygon[:2]).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _to_numbers(values: Points) -> list[float]:
    return [int(value) if value.is_integer() else value for value in np.round(values, 3).tolist()]


def _to_number(value: float) -> float:
    """Thousandths of a pixel are finer than any annotation; whole numbers are written as such."""
    value = round(float(value), 3)
    return int(value) if value.is_integer() else value


def measure_pictures(
    paths: Sequence[Path], on_progress: OnProgress = say_nothing
) -> Iterator[tuple[Path, tuple[int, int] | ImageError]]:
    """Read each picture and yield its height, width as maskzoo sees it (EXIF applied), or why it cannot be read."""

    def measure(path: Path) -> tuple[int, int] | ImageError:
        try:
            height, width = read_image(path).shape[:2]
        except ImageError as error:
            return error
        return height, width

    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        for done, (path, size) in enumerate(zip(paths, pool.map(measure, paths), strict=True), 1):
            yield path, size
            on_progress(ProgressEvent("Reading pictures", done, len(paths)))


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, or one of UTF-16 that says so. Raises SourceError if it cannot be, or is absurdly large."""
    try:
        size = path.stat().st_size
        if size > LARGEST_TEXT:
            raise SourceError(f"{path}: {size:,} bytes; expected a text file of at most {LARGEST_TEXT:,}")
        content = read_regular(path)
        return content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: cannot be read as text: {describe_encoding(content, error)}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as text: {error}; expected a UTF-8 text file") from error


def is_within(path: Path, folders: Iterable[Path]) -> bool:
    """Say whether a path lies in one of the folders once its `..` are taken."""
    return any(straighten(path).is_relative_to(straighten(folder)) for folder in folders)
