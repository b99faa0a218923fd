"""The files that `predict_folder` writes: their names, image ids and content."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from maskzoo.datasets.predictions import INDEX, RESULTS
from maskzoo.drawing.picture_file import MARK
from maskzoo.system.files import choose_name, explained, is_taken, write_file

__all__ = ["INDEX", "is_drawn", "join_json", "name_pictures", "number_images", "remove_drawn", "write_results"]

LARGEST_ID = 2**63 - 1  # COCO tools keep image ids in 64 bits


def number_images(names: Sequence[str]) -> list[int]:
    """Return each image's COCO id: the number in its file's name if all have one and no two the same, else 1..N."""
    stems = [Path(name).stem for name in names]
    if all(len(stem) < 100 and stem.isascii() and stem.isdecimal() for stem in stems):  # int() refuses thousands of digits
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers) and max(numbers, default=0) <= LARGEST_ID:
            return numbers
    return list(range(1, len(names) + 1))


def name_pictures(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the file in `folder` for the picture of each image: `stem.jpg`, or `stem-2.jpg` ... if that is taken.

    Taken is what another image of this call got, what is itself an image of this call, and whatever is there and was
    not drawn by an earlier call. A stem that is too long is cut. Raises MaskzooError if a name cannot be looked at.
    """
    inputs = {os.path.realpath(name) for name in names}
    given: set[str] = set()
    last: dict[str, int] = {}  # by stem; the numbers up to it stay taken

    def taken(picture: Path) -> bool:
        # some file systems do not tell A.jpg from a.jpg
        return picture.name.casefold() in given or os.path.realpath(picture) in inputs or is_taken(picture, MARK)

    pictures = []
    for name in names:
        stem = Path(name).stem
        picture, last[stem] = choose_name(folder, stem, ".jpg", taken, last.get(stem, 0) + 1)
        given.add(picture.name.casefold())
        pictures.append(picture)
    return pictures


def is_drawn(name: str, folder: Path) -> bool:
    """Return whether an image is a picture that an earlier call drew into `folder`: no photo, but a result."""
    path = Path(name)
    if os.path.realpath(path.parent) != os.path.realpath(folder):
        return False
    try:
        return path.is_file() and not is_taken(path, MARK)
    except OSError:  # it is reported when it is read
        return False


def remove_drawn(folder: Path, kept: Collection[Path]) -> int:
    """Delete the pictures that earlier calls drew in `folder`, but the `kept` ones; return how many.

    Raises MaskzooError if one cannot be deleted.
    """
    names = {path.name for path in kept}
    with explained(folder):
        others = [path for path in folder.iterdir() if path.suffix == ".jpg" and path.name not in names]
    old = [path for path in others if is_drawn(str(path), folder)]
    for path in old:
        with explained(path):
            path.unlink()
    return len(old)


def join_json(values: Iterable[Any]) -> Iterator[str]:
    """Yield the text of a JSON list, value by value; joined, it is what `json.dumps` makes of them all."""
    yield "["
    for number, value in enumerate(values):
        yield (", " if number else "") + json.dumps(value, allow_nan=False)
    yield "]"


def write_results(out: Path, rows: Iterable[str], index: Iterable[str]) -> tuple[Path, Path]:
    """Write and return a result file and, beside it, the names of its images and classes. Raises MaskzooError.

    The old names go first: at no moment do they stand beside results that they do not belong to.
    """
    with explained(out / INDEX):
        (out / INDEX).unlink(missing_ok=True)
    results = out / RESULTS
    write_file(results, map(str.encode, rows))
    write_file(out / INDEX, map(str.encode, index))
    return results, out / INDEX
