"""Find the image files that a user's words name."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from maskzoo.errors import SourceError
from maskzoo.images.bounds import Bounds
from maskzoo.system.files import describe_address, expand_home

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "describe_video",
    "explain_link",
    "find_images",
    "find_pictures",
    "is_hidden",
    "list_folder",
]

VIDEO_SUFFIXES = frozenset({".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"})
_VIDEO_BYTES = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"\x30\x26\xb2\x75\x8e\x66")  # Matroska, FLV, MPEG, WMV
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"jxl ", b"crx ")  # what the same container holds
ALONE = "it goes alone: maskzoo predict MODEL VIDEO, predictor.stream(VIDEO)"
IMAGE_SUFFIXES = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".j2k", ".ppm",
    ".pgm", ".pbm", ".pnm", ".avif",
])  # fmt: skip


def find_images(sources: Sequence[str]) -> list[Path]:
    """Return the image files that `sources` name, in order, each file once.

    Args:
        sources: each a file (whatever its extension; it may have pattern characters in its name), a folder (its images
            by extension, in natural order, hidden ones and subfolders left out) or a pattern with `*`, `?`, `[...]` or
            `**` for any depth (its images by extension, in natural order).

    Raises:
        SourceError: a source names no image.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in _expand(source):
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - also drops '..'
    return list(found.values())


def is_hidden(name: str) -> bool:
    """Say whether a file or folder is some program's own by its name: `._a.jpg`, `.ipynb_checkpoints`, `__MACOSX`."""
    return name.startswith(".") or name == "__MACOSX"


def find_pictures(
    folder: Path,
    suffixes: Collection[str] = IMAGE_SUFFIXES,
    on_obstacle: Callable[[Path, str], None] | None = None,
    bounds: Bounds | None = None,
) -> list[Path]:
    """Return the files of some kinds (pictures, by default) in a folder and the folders in it, by path.

    Hidden files and folders are passed over. Links to folders are followed; a folder that several links lead to is
    walked once, so that none leads in a circle.

    Args:
        folder: where to begin.
        suffixes: the endings of the files' names, in small letters; capitals in a name do not matter.
        on_obstacle: is told what cannot be looked at, and why: a folder without permission, a link that leads nowhere or
            in a circle. Without it the first one is an error.
        bounds: links that lead out of these are such obstacles, too.

    Raises:
        SourceError: `folder` itself cannot be listed; or anything in it, if `on_obstacle` is not given.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = [entry for entry in list_folder(place) if not is_hidden(entry.name)]
        except (SourceError, OSError) as error:
            if place == folder or on_obstacle is None:
                raise SourceError(str(error)) from error
            on_obstacle(place, str(error).removeprefix(f"{place}: "))
            continue
        for entry in entries:
            wanted = entry.suffix.lower() in suffixes
            outside = bounds is not None and not bounds.hold(entry)
            reason = "a link that leads outside" if outside else explain_link(entry)
            if reason is None and os.path.isdir(entry):  # noqa: PTH112 - False without permission
                waiting.append(entry)
            elif reason is None and wanted and os.path.isfile(entry):  # noqa: PTH113
                found.append(entry)
            elif wanted or (reason is not None and not entry.suffix):
                reason = reason or "no file, or no permission to see what it is; change the rights of its folder"
                if on_obstacle is None:
                    raise SourceError(f"{entry}: {reason}")
                on_obstacle(entry, reason)
    return sorted(found)


def list_folder(folder: Path) -> list[Path]:
    """Return what is in a folder. Raises SourceError if that cannot be seen."""
    try:
        return list(folder.iterdir())
    except PermissionError:
        raise SourceError(f"{folder}: no permission to look into this folder; change its rights, or move it away") from None
    except OSError as error:
        raise SourceError(f"{folder}: cannot be looked into ({error.strerror or error}); expected a folder") from None


def explain_link(link: Path) -> str | None:
    """Return why a path is a link to nothing; None if it leads to something, or is no link."""
    if not os.path.islink(link):  # noqa: PTH114 - False for a name too long
        return None
    try:
        link.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads in a circle; delete or correct it"
        reason = "nowhere" if isinstance(error, FileNotFoundError) else f"where nothing can be read ({error.strerror})"
        return f"a link that leads {reason}, to {str(link.readlink())!r}; delete or correct it"
    return None


def _expand(source: str) -> list[Path]:
    if address := describe_address(source):
        raise SourceError(address)
    path = expand_home(Path(source))
    source = source if path == Path(source) else str(path)
    if source and path.is_dir():
        images = _select_images(entry for entry in list_folder(path) if not is_hidden(entry.name))
        if not images:
            raise SourceError(
                f"{source}: the folder holds no image; expected files that end in {_list_suffixes()}. "
                f"Subfolders are not searched: for these give the pattern '{(path / '**/*').as_posix()}'"
            )
        return images
    if video := describe_video(path):
        raise SourceError(video)
    if source and path.exists():
        return [path]
    if source.isdecimal():
        raise SourceError(f"{source}: no such file; a camera is no image: {ALONE}")
    if not glob.has_magic(source):
        raise SourceError(
            f"{source!r}: no such file or folder; expected an image, a folder of images or a pattern such as "
            "'photos/*.jpg'; check the spelling and the current folder"
        )
    images = _select_images(Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 - keeps relative names
    if not images:
        raise SourceError(f"{source}: no image matches the pattern; expected files that end in {_list_suffixes()}")
    return images


def describe_video(path: Path, prefix: bytes = b"") -> str | None:
    """Say what to do with a video, by its name or the first bytes of its file; None for what is none."""
    looks = prefix[4:8] == b"ftyp" and prefix[8:12] not in _PICTURES
    looks |= prefix.startswith(_VIDEO_BYTES) or (prefix.startswith(b"RIFF") and prefix[8:12] == b"AVI ")
    if not looks and path.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    return f"{path}: is a video; expected pictures: {ALONE}"


def _select_images(paths: Iterable[Path]) -> list[Path]:
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> tuple[Any, ...]:
    """Order digits by their number: img2 before img10."""
    parts = [re.split(r"([0-9]+)", part.casefold()) for part in path.parts]  # every second piece is a number
    return [[int(piece) if i % 2 else piece for i, piece in enumerate(part)] for part in parts], path.parts


def _list_suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
