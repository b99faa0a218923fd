"""The image files of a data set: there, whole, of the size that the annotations say, and each in one split only."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.dataset_checks.near_duplicates import SIDE, find_near_duplicates, make_thumbnail
from maskzoo.datasets.image_places import ImagePlaces
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import ImageError, list_some
from maskzoo.faults import Fault, Words, quote
from maskzoo.images.find import IMAGE_SUFFIXES, explain_link, is_hidden
from maskzoo.images.read import FORMATS, read_image
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["ImageFiles", "Look", "Looks", "check_images", "look_at_all"]

MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """A split's annotations and where its images are."""

    sifted: Sifted
    places: ImagePlaces

    def path(self, image: int) -> Path | None:
        return self.places.path(self.name(image))

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
class Look:
    """What reading one file gave: height, width as maskzoo sees it and as stored; or why not, in words; digest, thumbnail.

    What lies `outside` of the images' folder was not read.
    """

    size: tuple[int, int] | None = None
    stored: tuple[int, int] | None = None
    missing: bool = False
    reason: str = ""
    digest: bytes = b""
    thumbnail: NDArray[np.uint8] | None = None
    outside: bool = False

    def compare(self, size: tuple[int, int]) -> str | None:
        """Return the code of the fault of an image that is said to have a size; None if it is sound."""
        if self.outside:
            return "outside-image"
        if self.size is None:
            return "missing-image" if self.missing else "unreadable-image"
        if self.size == size:
            return None
        return "size-rotated" if self.size == size[::-1] and self.stored == size else "size-differs"


Looks = dict[Path, Look]  # what was read already, by path


def check_images(
    splits: Mapping[str, ImageFiles], *, duplicates: bool, looks: Looks, on_progress: OnProgress = say_nothing
) -> list[Fault]:
    """Decode every image of all splits, in several threads, and return what is wrong with them.

    With `duplicates`, images that are in two splits, or twice in one, are found too. `looks` has what was read of some
    already, and then of all.
    """
    compare = duplicates and len(splits) > 1
    images = [(files, image) for files in splits.values() for image in range(len(files.sifted.packed))]
    faults: list[Fault] = []
    seen: list[Look] = []
    found = look_at_all([files.path(image) for files, image in images], looks, digest=duplicates, thumbnail=compare)
    for (files, image), one in zip(images, found, strict=True):
        seen.append(one)
        faults += _judge_file(files, image, one)
        on_progress(ProgressEvent("Reading images", len(seen), len(images)))
    if duplicates:
        same, repeated = _find_same(images, seen)
        faults += same
        if compare:
            faults += _find_near(images, seen, repeated, on_progress)
    return [*faults, *_find_unnamed(splits)]


def look_at_all(paths: Sequence[Path | None], looks: Looks, *, digest: bool = True, thumbnail: bool = True) -> Iterator[Look]:
    """Read image files in several threads, those that `looks` has not; it has all of them then. None lies outside."""

    def look(path: Path | None) -> Look:
        if path is None:
            return Look(outside=True)
        return looks[path] if path in looks else _look_at(path, digest, thumbnail)

    executor = ThreadPoolExecutor(max_workers=min(MOST_THREADS, os.cpu_count() or 1))
    try:
        for path, one in zip(paths, executor.map(look, paths), strict=True):
            if path is not None:
                looks[path] = one
            yield one
    finally:  # after Ctrl-C, too, nothing waits for the images that were not begun
        executor.shutdown(cancel_futures=True)


def _look_at(path: Path, digest: bool, thumbnail: bool) -> Look:
    """Read one image file."""
    try:
        pixels = read_image(path)
    except ImageError as error:
        return Look(missing=_is_missing(path), reason=explain_link(path) or str(error))
    try:
        name = hashlib.blake2b(path.read_bytes(), digest_size=16).digest() if digest else b""
    except OSError:  # it went away since it was decoded; then it is the same as no other
        name = b""
    height, width = pixels.shape[:2]
    return Look((height, width), _read_stored_size(path), digest=name, thumbnail=make_thumbnail(pixels) if thumbnail else None)


def _is_missing(path: Path) -> bool:
    """Say whether there is no such file, as far as that can be seen: a folder without permission may hold it."""
    try:
        path.lstat()
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _judge_file(files: ImageFiles, image: int, look: Look) -> Iterator[Fault]:
    name, path = files.name(image), files.path(image)
    match = files.places.matches.get(name)
    if match is not None and match.how:
        expected = Words("{}, the one file that fits: {}", match.path, Words(match.how))
        yield files.sifted.name_image(image, "misnamed-image", "file_name", name, expected)
    height, width = files.sifted.packed.sizes[image].tolist()
    code, found, wanted = look.compare((height, width)), Words(look.reason), Words("an image that can be read")
    if code is None:
        return
    if code == "missing-image":
        several = files.places.candidates.get(name, [])
        found = Words("no file {}", str(path))
        wanted = (
            Words("an image; {} fit the name alike", Words(list_some(map(quote, several), 3))) if several else Words("an image")
        )
    if look.size is not None:
        why = (
            "which is its size once its EXIF orientation is applied, as maskzoo does"
            if code == "size-rotated"
            else "as the file has"
        )
        found, wanted = Words("{} x {}", width, height), Words("{} x {}, {}", *look.size[::-1], Words(why))
    if code == "outside-image":
        found = Words("{}, which leads to {}", name, str((files.places.folder / name).resolve()))
        wanted = Words(
            "an image in {}, or one in the folder of --images", Words(list_some(map(str, files.places.bounds.folders)))
        )
    field = "file_name" if look.size is None else "width x height"
    yield files.sifted.name_image(image, code, field, found, wanted)


def _read_stored_size(path: Path) -> tuple[int, int] | None:
    """Return height and width as stored, before EXIF, of a file that could be decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except Exception:  # Pillow's plugins raise what they like, and its own limit of pixels is not ours
        return None


def _find_same(images: list[tuple[ImageFiles, int]], seen: list[Look]) -> tuple[list[Fault], set[int]]:
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
    images: list[tuple[ImageFiles, int]], seen: list[Look], told: set[int], on_progress: OnProgress
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


def _stack(seen: list[Look], places: list[int]) -> NDArray[np.uint8]:
    thumbnails = [thumbnail for place in places if (thumbnail := seen[place].thumbnail) is not None]
    return np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)


def _find_unnamed(splits: Mapping[str, ImageFiles]) -> Iterator[Fault]:
    """Look for images that no annotation file names, in the folders where those lie that are named."""
    named: set[str] = set()
    owner: dict[str, ImageFiles] = {}
    for files in splits.values():
        for row in files.sifted.tables["images"]:  # also those with another fault
            name = row.get("file_name") if isinstance(row, dict) else None
            if not isinstance(name, str) or not name:
                continue
            place = files.places.path(name)
            if place is None or not files.places.bounds.hold(place.parent):
                continue
            path = os.path.abspath(place)  # noqa: PTH100 - also drops '..'
            named.add(path)
            owner.setdefault(os.path.dirname(path), files)  # noqa: PTH120
    for folder, files in owner.items():
        try:
            entries = sorted(entry.path for entry in os.scandir(folder) if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES)
        except OSError:  # there is no such folder: its images were reported as missing
            continue
        extra = [Path(entry).name for entry in entries if entry not in named and not is_hidden(Path(entry).name)]
        if extra:
            found = Words("{} in {}: {}", len(extra), folder, Words(list_some(map(quote, extra), 5)))
            yield files.sifted.name_file("unnamed-image", "images", found, "each image in a file")
