"""Where the files of a data set's images are, also those whose names were written on another machine or by another tool."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from maskzoo.datasets.image_folders import NO_PHOTOS, bound_images, find_root, list_places
from maskzoo.datasets.layout import name_split
from maskzoo.datasets.picture_names import (
    drop_export,
    drop_upload,
    fold_name,
    is_address,
    mend_letters,
    plain_name,
    split_address,
)
from maskzoo.errors import SourceError
from maskzoo.images.bounds import Bounds
from maskzoo.images.find import IMAGE_SUFFIXES, find_pictures

__all__ = ["ImagePlaces", "Match", "find_places"]


@dataclass(frozen=True, slots=True)
class Match:
    """The one file that a name which leads to none may mean: its path from the images' folder, and what differs, in words."""

    path: str
    how: str


@dataclass(frozen=True, slots=True)
class ImagePlaces:
    """Where images are: their `folder`; of names that do not lead to a file from there `matches`, or several `candidates`.

    A name that leads to a file outside of the `bounds` does not count.
    """

    folder: Path
    bounds: Bounds
    matches: Mapping[str, Match] = field(default_factory=dict)
    candidates: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """Return where the file of this name is, or would be; None if that is outside."""
        match = self.matches.get(name)
        path = self.folder / (name if match is None else match.path)
        return path if self.bounds.hold(path) or not _is_file(path) else None


def find_places(
    names: Sequence[str], source: Path, given: Path | None, split: str, folder: Path | None, taken: Iterable[Path] = ()
) -> ImagePlaces | None:
    """Find the files of names that do not lead to one from `folder`, by the last parts of these names.

    Args:
        names: what the annotations call their images.
        source: the annotation file.
        given: the images' folder that the user named.
        split: the part of the data set; of two files that fit, one in a folder of this name is meant.
        folder: where some of the files are, as they are called; None if there is none.
        taken: files that other splits call by their right names: a name that leads nowhere does not mean these.

    Returns:
        The places, in `folder` or a usual folder that has all files; None if no file was found.
    """
    bounds = bound_images(source, folder, given)
    direct = {name for name in names if folder is not None and _is_file(folder / name) and bounds.hold(folder / name)}
    lost = [name for name in dict.fromkeys(names) if name and name not in direct]
    roots = [given] if given is not None else _list_roots(source)
    if not lost or not roots:
        return ImagePlaces(folder, bounds) if folder is not None else None
    tree = _Tree(roots, bounds, {*map(_real, taken), *(_real(folder / name) for name in direct if folder is not None)}, split)
    found = {name: tree.find(name) for name in lost}
    owners = Counter(path for paths, _ in found.values() if len(paths) == 1 for path in paths)
    single = {name: (paths[0], how) for name, (paths, how) in found.items() if len(paths) == 1 and owners[paths[0]] == 1}
    several = {name: list(map(str, paths)) for name, (paths, _) in found.items() if paths and name not in single}
    if folder is None and not single:
        return None
    top = _choose_top([path for path, _ in single.values()], folder, list_places(source, given, split), roots)
    matches = {
        name: Match(path.relative_to(top).as_posix(), how) for name, (path, how) in single.items() if path.is_relative_to(top)
    }
    if folder is not None and top != folder:
        matches |= {name: Match((folder / name).relative_to(top).as_posix(), "") for name in direct}
    return ImagePlaces(top, bounds, matches, several)


def _choose_top(paths: Sequence[Path], folder: Path | None, usual: Sequence[Path], roots: Sequence[Path]) -> Path:
    """Return the deepest usual folder that has all the files, and those of `folder`."""
    whole = [*paths, *([folder / "any"] if folder is not None else [])]
    known = [*usual, *roots, *([folder] if folder is not None else [])]
    fitting = [place for place in known if all(path.is_relative_to(place) for path in whole)]
    chosen = max(fitting, key=lambda place: len(place.parts), default=roots[0])
    return folder if folder is not None and len(folder.parts) == len(chosen.parts) else chosen


def _list_roots(source: Path) -> list[Path]:
    """Return the folder whose tree is looked through: the annotation file's, or the one above a folder for annotations."""
    root = find_root(source)
    return [] if root is None else [root]


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - False for a name too long


def _real(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - also drops '..'


def _read(part: str) -> str:
    return unicodedata.normalize("NFC", unquote(part)).strip()


def _drop_endings(name: str) -> str:
    stem, point, ending = name.rpartition(".")
    return _drop_endings(stem) if point + ending in IMAGE_SUFFIXES else name


# What a name and a file have in common, from the strictest on, and what differs then.
_KEYS: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda part: part, "it lies in another folder"),
    (unquote, "the name has escapes (%20)"),
    (_read, "the letters are composed otherwise (Unicode's forms NFC and NFD)"),
    (lambda part: fold_name(_read(part)), "the capitals differ"),
    (lambda part: drop_upload(fold_name(_read(part))), "one has the prefix of an upload"),
    (lambda part: plain_name(drop_upload(fold_name(_read(part)))), "an upload changed its signs"),
    (lambda part: fold_name(_read(part.replace("+", " "))), "the spaces are written as +"),
    (lambda part: fold_name(mend_letters(part)), "its letters were read in another encoding"),
    (lambda part: drop_export(fold_name(_read(part))), "Roboflow's export added to the name"),
    (lambda part: _drop_endings(fold_name(_read(part))), "the ending differs"),
    (
        lambda part: re.sub(r"(?<!\d)0+(?=\d)", "", _drop_endings(fold_name(_read(part)))),
        "the number has other zeros before it",
    ),
)


class _Tree:
    """All pictures under some folders, found by the last part of a name."""

    def __init__(self, roots: Sequence[Path], bounds: Bounds, taken: set[Path], split: str) -> None:
        self.split, self.roots = split, roots
        self.files = []
        for root in roots:
            try:
                files = find_pictures(root, on_obstacle=lambda *_: None, bounds=bounds)
                self.files += [path for path in files if _real(path) not in taken]
            except SourceError:  # told when the folder itself is looked at
                continue
        self.by_key: list[dict[str, list[Path]]] = []
        for key, _ in _KEYS:
            index = defaultdict(list)
            for path in self.files:
                index[key(path.name)].append(path)
            self.by_key.append(index)

    def find(self, name: str) -> tuple[list[Path], str]:
        """Return the files that a name may mean, and what differs; one if nothing else fits as well."""
        parts = split_address(name) or [name]
        for (key, how), index in zip(_KEYS, self.by_key, strict=True):
            fitting = index.get(key(parts[-1]), [])
            own = {part.casefold() for part in parts}
            fitting = [path for path in fitting if not self._lies_in(path, NO_PHOTOS - own)]
            if fitting:
                ranks = [(_count_common(parts, path), self._is_of_split(path)) for path in fitting]
                best = [path for path, rank in zip(fitting, ranks, strict=True) if rank == max(ranks)]
                return best, _tell_form(name) or how
        return [], ""

    def _lies_in(self, path: Path, names: Set[str]) -> bool:
        """Say whether one of the folders between a root and a file has one of the names."""
        inner = next(path.relative_to(root) for root in self.roots if path.is_relative_to(root))
        return not names.isdisjoint(part.casefold() for part in inner.parts[:-1])

    def _is_of_split(self, path: Path) -> bool:
        return any(name_split(part, whole=True) == self.split for part in path.parts[:-1])


def _tell_form(name: str) -> str:
    """Say what a name is that no path from the images' folder is."""
    if is_address(name):
        return "the name is an address"
    if "\\" in name:
        return "the name is a path of Windows"
    return "the path is that of another machine" if name.startswith("/") else ""


def _count_common(parts: Sequence[str], path: Path) -> int:
    """Count the last parts in which a name and a path agree, the file's own not among them."""
    count = 0
    for one, other in zip(reversed(parts[:-1]), reversed(path.parts[:-1]), strict=False):
        if fold_name(_read(one)) != fold_name(_read(other)):
            break
        count += 1
    return count
