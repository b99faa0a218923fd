"""Find the image files that a user's words name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from maskzoo.errors import SourceError
from maskzoo.system.files import describe_address

__all__ = ["IMAGE_SUFFIXES", "find_images"]

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


def _expand(source: str) -> list[Path]:
    if address := describe_address(source):
        raise SourceError(address)
    path = Path(source)
    if source and path.is_dir():
        images = _select_images(entry for entry in path.iterdir() if not entry.name.startswith("."))
        if not images:
            raise SourceError(
                f"{source}: the folder holds no image; expected files that end in {_list_suffixes()}. "
                f"Subfolders are not searched: for these give the pattern '{path.as_posix()}/**/*'"
            )
        return images
    if source and path.exists():
        return [path]
    if not glob.has_magic(source):
        raise SourceError(
            f"{source!r}: no such file or folder; expected an image, a folder of images or a pattern such as "
            "'photos/*.jpg'; check the spelling and the current folder"
        )
    images = _select_images(Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 - keeps relative names
    if not images:
        raise SourceError(f"{source}: no image matches the pattern; expected files that end in {_list_suffixes()}")
    return images


def _select_images(paths: Iterable[Path]) -> list[Path]:
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> tuple[Any, ...]:
    """Order digits by their number: img2 before img10."""
    parts = [re.split(r"([0-9]+)", part.casefold()) for part in path.parts]  # every second piece is a number
    return [[int(piece) if i % 2 else piece for i, piece in enumerate(part)] for part in parts], path.parts


def _list_suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
