"""The image files of a data set: there, whole, of the size that the annotations say, and each in one split only."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.dataset_checks.near_duplicates import SIDE, find_near_duplicates, make_thumbnail
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import ImageError, list_some
from maskzoo.faults import Fault, Words, quote
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.read import FORMATS, read_image
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["ImageFiles", "check_images"]

MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """A split's annotations and the folder of its images."""

    sifted: Sifted
    folder: Path

    def path(self, image: int) -> Path:
        return self.folder / self.name(image)

    def name(self, image: int) -> str:
        return self.sifted.packed.file_name(image)

    def number(self, image: int) -> int:
        return int(self.sifted.packed.image_ids[image])

    def name_pair(self, image: int, code: str, like: str, expected: str, others: ImageFiles, other: int) -> Fault:
        """Return a fault of an image that is like another."""
        split, number = others.sifted.split, others.number(other)
        found = Words("{}, {} image {} of {} ({})", self.name(image), Words(like), number, Words(split), others.name(other))
        return self.sifted.name_image(image, code, "file_name", found, expected, like=(split, number))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What reading one file gave: the fault's code, field, found, expected; a digest of its bytes, a thumbnail."""

    fault: tuple[str, str, Any, str | Words] | None
    digest: bytes = b""
    thumbnail: NDArray[np.uint8] | None = None


def check_images(splits: Mapping[str, ImageFiles], *, duplicates: bool, on_progress: OnProgress = say_nothing) -> list[Fault]:
    """Decode every image of all splits, in several threads, and return what is wrong with them.

    With `duplicates`, images that are in two splits, or twice in one, are found too.
    """
    compare = duplicates and len(splits) > 1
    images = [(files, image) for files in splits.values() for image in range(len(files.sifted.packed))]
    faults: list[Fault] = []
    seen: list[_Seen] = []
    for (files, image), one in zip(images, _look_at_all(images, duplicates, compare), strict=True):
        seen.append(one)
        if one.fault is not None:
            faults.append(files.sifted.name_image(image, *one.fault))
        on_progress(ProgressEvent("Reading images", len(seen), len(images)))
    if duplicates:
        same, repeated = _find_same(images, seen)
        faults += same
        if compare:
            faults += _find_near(images, seen, repeated, on_progress)
    return [*faults, *_find_unnamed(splits)]


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
            return _Seen(("missing-image", "file_name", Words("no file {}", str(path)), _expect_file(path)))
        return _Seen(("unreadable-image", "file_name", Words(str(error)), "an image that can be read"))
    fault = None
    (height, width), (true_height, true_width) = size, pixels.shape[:2]
    if (true_height, true_width) != size:
        turned = (true_width, true_height) == size and _read_stored_size(path) == (width, height)
        why = "which is its size once its EXIF orientation is applied, as maskzoo does" if turned else "as the file has"
        expected = Words("{} x {}, {}", true_width, true_height, Words(why))
        fault = ("size-rotated" if turned else "size-differs", "width x height", Words("{} x {}", width, height), expected)
    try:
        name = hashlib.blake2b(path.read_bytes(), digest_size=16).digest() if digest else b""
    except OSError:  # it went away since it was decoded; then it is the same as no other
        name = b""
    return _Seen(fault, name, make_thumbnail(pixels) if thumbnail else None)


def _expect_file(path: Path) -> str | Words:
    """Say what was expected, with the name of a file that differs in capital letters only, where there is one."""
    try:
        alike = [entry.name for entry in path.parent.iterdir() if entry.name.casefold() == path.name.casefold()]
    except (OSError, ValueError):
        alike = []
    return Words("an image; there is {}", alike[0]) if alike else "an image"


def _read_stored_size(path: Path) -> tuple[int, int] | None:
    """Return width and height as stored, before EXIF, of a file that could be decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception:  # Pillow's plugins raise what they like, and its own limit of pixels is not ours
        return None


def _find_same(images: list[tuple[ImageFiles, int]], seen: list[_Seen]) -> tuple[list[Fault], set[int]]:
    """Find files of the same bytes; also return the places of those that another split has."""
    first: dict[bytes, int] = {}
    faults, across = [], set()
    for place, ((files, image), one) in enumerate(zip(images, seen, strict=True)):
        before = first.setdefault(one.digest, place) if one.digest else place
        if before == place:
            continue
        others, other = images[before]
        inside = others is files
        if inside and others.path(other) == files.path(image):
            continue  # a file name given twice is told as such
        code = "same-image-twice" if inside else "same-image-across"
        faults.append(files.name_pair(image, code, "the same file as", "each image once", others, other))
        if not inside:
            across.add(place)
    return faults, across


def _find_near(
    images: list[tuple[ImageFiles, int]], seen: list[_Seen], told: set[int], on_progress: OnProgress
) -> Iterator[Fault]:
    """Compare each split with all before it."""
    earlier: list[int] = []
    places: dict[str, list[int]] = defaultdict(list)
    for place, (files, _) in enumerate(images):
        if seen[place].thumbnail is not None:
            places[files.sifted.split].append(place)
    for number, own in enumerate(places.values()):
        on_progress(ProgressEvent("Comparing splits", number, len(places), "splits"))
        rest = [place for place in own if place not in told]
        for first, second in find_near_duplicates(_stack(seen, earlier), _stack(seen, rest)):
            (others, other), (files, image) = images[earlier[first]], images[rest[second]]
            yield files.name_pair(image, "near-duplicate", "nearly", "pictures of its own", others, other)
        earlier += own


def _stack(seen: list[_Seen], places: list[int]) -> NDArray[np.uint8]:
    thumbnails = [thumbnail for place in places if (thumbnail := seen[place].thumbnail) is not None]
    return np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)


def _find_unnamed(splits: Mapping[str, ImageFiles]) -> Iterator[Fault]:
    """Look for images that no annotation file names, in the folders where those lie that are named."""
    named: set[str] = set()
    owner: dict[str, ImageFiles] = {}
    for files in splits.values():
        for image in range(len(files.sifted.packed)):
            path = os.path.abspath(files.path(image))  # noqa: PTH100 - also drops '..'
            named.add(path)
            owner.setdefault(os.path.dirname(path), files)  # noqa: PTH120
    for folder, files in owner.items():
        try:
            entries = sorted(entry.path for entry in os.scandir(folder) if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES)
        except OSError:  # there is no such folder: its images were reported as missing
            continue
        extra = [Path(entry).name for entry in entries if entry not in named and not Path(entry).name.startswith(".")]
        if extra:
            found = Words("{} in {}: {}", len(extra), folder, Words(list_some(map(quote, extra), 5)))
            yield files.sifted.name_file("unnamed-image", "images", found, "each image in a file")
