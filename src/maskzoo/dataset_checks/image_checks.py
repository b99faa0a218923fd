"""The image files of a data set: there, whole, of the size that the annotations say, and each in one split only."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.dataset_checks.near_duplicates import SIDE, find_near_duplicates, make_thumbnail
from maskzoo.dataset_checks.problems import Problem, quote
from maskzoo.dataset_checks.sound_rows import SoundRows
from maskzoo.datasets.annotations import AnnotationSet, find_image_folder
from maskzoo.errors import ImageError, SourceError
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.read import FORMATS, read_image

__all__ = ["ImageFiles", "check_images", "find_folder"]

MOST_THREADS = 8
SHOWN = 5  # files in a notice
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """A split's annotations and the folder of its images."""

    split: str
    sifted: SoundRows
    folder: Path

    def path(self, image: int) -> Path:
        return self.folder / self.sifted.packed.file_name(image)

    def number(self, image: int) -> int:
        return int(self.sifted.packed.image_ids[image])

    def describe(self, image: int) -> str:
        return f"image {self.number(image)} of {self.split} ({quote(self.sifted.packed.file_name(image))})"

    def problem(
        self, kind: str, image: int, field: str, found: str, expected: str, like: tuple[str, int] | None = None
    ) -> Problem:
        number = self.number(image)
        place = self.sifted.rows.places["images"][number]
        source = self.sifted.packed.source
        return Problem(kind, self.split, source, f"image {number}", field, found, expected, number, None, "images", place, like)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at one file gave: the fault (kind, field, found, expected), a digest of its bytes, a thumbnail."""

    fault: tuple[str, str, str, str] | None
    digest: bytes = b""
    thumbnail: NDArray[np.uint8] | None = None


def find_folder(packed: AnnotationSet, split: str, given: Path | None) -> Path:
    """Return the folder of a split's images; a given one without any of them too: then each is told as missing.

    Raises SourceError if there is none near the file, ConfigError if the given one is no folder.
    """
    try:
        return find_image_folder(packed, given, split)
    except SourceError:
        if given is None:
            raise
        return given


def check_images(splits: Mapping[str, ImageFiles], *, duplicates: bool, progress: Progress | None = None) -> list[Problem]:
    """Decode every image of all splits, in several threads, and return what is wrong with them.

    With `duplicates`, images that are in two splits, or twice in one, are found too. `progress` gets the stage, how
    many images are done, and how many there are.
    """
    compare = duplicates and len(splits) > 1
    images = [(files, image) for files in splits.values() for image in range(len(files.sifted.packed))]
    problems: list[Problem] = []
    seen: list[_Seen] = []
    for (files, image), one in zip(images, _look_at_all(images, duplicates, compare), strict=True):
        seen.append(one)
        if one.fault is not None:
            kind, field, found, expected = one.fault
            problems.append(files.problem(kind, image, field, found, expected))
        if progress is not None:
            progress("Reading images", len(seen), len(images))
    if duplicates:
        same, repeated = _find_same(images, seen)
        problems += same
        if compare:
            problems += _find_near(images, seen, repeated, progress)
    return problems + _find_unnamed(splits)


def _look_at_all(images: list[tuple[ImageFiles, int]], digest: bool, thumbnail: bool) -> Iterator[_Seen]:
    def look(item: tuple[ImageFiles, int]) -> _Seen:
        files, image = item
        height, width = files.sifted.packed.sizes[image].tolist()
        return _look_at(files.path(image), (height, width), digest, thumbnail)

    executor = ThreadPoolExecutor(max_workers=min(MOST_THREADS, os.cpu_count() or 1))
    try:
        yield from executor.map(look, images)
    finally:  # after Ctrl-C, too, nothing waits for the images that were not begun
        executor.shutdown(cancel_futures=True)


def _look_at(path: Path, size: tuple[int, int], digest: bool, thumbnail: bool) -> _Seen:
    try:
        pixels = read_image(path)
    except ImageError as error:
        if not os.path.lexists(path):
            return _Seen(("missing-image", "file_name", f"no file {quote(str(path))}", _expect_file(path)))
        found = quote(str(error).removeprefix(f"{path}: "))
        return _Seen(("unreadable-image", "file_name", f"{quote(str(path))}: {found}", "an image that can be read"))
    fault = None
    (height, width), (true_height, true_width) = size, pixels.shape[:2]
    if (true_height, true_width) != size:
        turned = (true_width, true_height) == size and _read_stored_size(path) == (width, height)
        kind = "size-rotated" if turned else "size-differs"
        why = ", which is its size once its EXIF orientation is applied, as maskzoo does" if turned else ", as the file has"
        fault = (kind, "width x height", f"{width} x {height}", f"{true_width} x {true_height}{why}")
    try:
        name = hashlib.blake2b(path.read_bytes(), digest_size=16).digest() if digest else b""
    except OSError:  # it went away since it was decoded; then it is the same as no other
        name = b""
    return _Seen(fault, name, make_thumbnail(pixels) if thumbnail else None)


def _expect_file(path: Path) -> str:
    """Say what was expected, with the name of a file that differs in capital letters only, where there is one."""
    try:
        alike = [entry.name for entry in path.parent.iterdir() if entry.name.casefold() == path.name.casefold()]
    except (OSError, ValueError):
        alike = []
    return f"an image; there is {quote(alike[0])}" if alike else "an image"


def _read_stored_size(path: Path) -> tuple[int, int] | None:
    """Return width and height as stored, before EXIF, of a file that could be decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception:  # Pillow's plugins raise what they like, and its own limit of pixels is not ours
        return None


def _find_same(images: list[tuple[ImageFiles, int]], seen: list[_Seen]) -> tuple[list[Problem], set[int]]:
    """Find files of the same bytes; also return the places of those that another split has."""
    first: dict[bytes, int] = {}
    problems, across = [], set()
    for place, ((files, image), one) in enumerate(zip(images, seen, strict=True)):
        before = first.setdefault(one.digest, place) if one.digest else place
        if before == place:
            continue
        others, other = images[before]
        inside = others is files
        if inside and others.path(other) == files.path(image):
            continue  # a file name given twice is told as such
        found = f"{quote(files.sifted.packed.file_name(image))}, the same file as {others.describe(other)}"
        kind = "same-image-twice" if inside else "same-image-across"
        problems.append(files.problem(kind, image, "file_name", found, "each image once", (others.split, others.number(other))))
        if not inside:
            across.add(place)
    return problems, across


def _find_near(
    images: list[tuple[ImageFiles, int]], seen: list[_Seen], told: set[int], progress: Progress | None
) -> list[Problem]:
    """Compare each split with all before it."""
    problems: list[Problem] = []
    earlier: list[int] = []
    places: dict[str, list[int]] = defaultdict(list)
    for place, (files, _) in enumerate(images):
        if seen[place].thumbnail is not None:
            places[files.split].append(place)
    for number, own in enumerate(places.values()):
        if progress is not None:
            progress("Comparing splits", number, len(places))
        rest = [place for place in own if place not in told]
        for first, second in find_near_duplicates(_stack(seen, earlier), _stack(seen, rest)):
            (others, other), (files, image) = images[earlier[first]], images[rest[second]]
            found = f"{quote(files.sifted.packed.file_name(image))}, nearly {others.describe(other)}"
            like = (others.split, others.number(other))
            problems.append(files.problem("near-duplicate", image, "file_name", found, "pictures of its own", like))
        earlier += own
    return problems


def _stack(seen: list[_Seen], places: list[int]) -> NDArray[np.uint8]:
    thumbnails = [thumbnail for place in places if (thumbnail := seen[place].thumbnail) is not None]
    return np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)


def _find_unnamed(splits: Mapping[str, ImageFiles]) -> list[Problem]:
    """Look for images that no annotation file names, in the folders where those lie that are named."""
    named: set[str] = set()
    owner: dict[str, ImageFiles] = {}
    for files in splits.values():
        for image in range(len(files.sifted.packed)):
            path = os.path.abspath(files.path(image))  # noqa: PTH100 - also drops '..'
            named.add(path)
            owner.setdefault(os.path.dirname(path), files)  # noqa: PTH120
    problems = []
    for folder, files in owner.items():
        try:
            entries = sorted(entry.path for entry in os.scandir(folder) if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES)
        except OSError:  # there is no such folder: its images were told as missing
            continue
        extra = [Path(entry).name for entry in entries if entry not in named and not Path(entry).name.startswith(".")]
        if extra:
            some = ", ".join(quote(name) for name in extra[:SHOWN]) + (", ..." if len(extra) > SHOWN else "")
            found = f"{len(extra)} in {quote(folder)}: {some}"
            source = files.sifted.packed.source
            problems.append(Problem("unnamed-image", files.split, source, "", "images", found, "each image in a file"))
    return problems
