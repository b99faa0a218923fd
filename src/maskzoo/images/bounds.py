"""Which files a data set or a list may name: those in the folders that the user named, wherever `..` and links lead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from maskzoo.errors import SourceError

__all__ = ["Bounds"]


class Bounds:
    """The folders that names may lead into; these themselves are the user's word, so they may be links."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Take the `folders`; each is followed to where it is."""
        self.folders = [Path(folder).resolve() for folder in folders]
        self._parents: dict[str, str] = {}  # where folders are that paths were in: a data set has few

    def hold(self, path: Path) -> bool:
        """Say whether a path leads into one of the folders, once its `..` are taken and its links followed."""
        if "\0" in str(path):  # no file's name has one
            return False
        real = Path(self._follow(path))
        return any(real.is_relative_to(folder) for folder in self.folders)

    def _follow(self, path: Path) -> str:
        """Return where a path leads; of most files one look says that they are no links."""
        if path.name == ".." or os.path.islink(path):  # noqa: PTH114 - False for a name too long
            return os.path.realpath(path)
        above = str(path.parent)
        if above not in self._parents:
            self._parents[above] = os.path.realpath(above)
        return os.path.join(self._parents[above], path.name)  # noqa: PTH118

    def check(self, named: Sequence[tuple[str, Path]], source: str, start: Path) -> None:
        """Raise SourceError if a path leads elsewhere; it says how to allow that.

        Args:
            named: what `source` calls its pictures, and the paths that this makes.
            source: names the data set or list in the message.
            start: the folder that relative names start from.
        """
        outside = [(name, path) for name, path in named if not self.hold(path)]
        if not outside:
            return
        starts = [start] if any(not Path(name).is_absolute() for name, _ in named) else []
        above = _find_common([*(path.parent for _, path in outside), *(path.resolve().parent for _, path in outside), *starts])
        name, path = outside[0]
        allow = f"name a folder that holds them all: --images {above}" if above else "bring them together on one drive"
        inside = " and ".join(map(str, self.folders))
        raise SourceError(
            f"{source}: {len(outside):,} of {len(named):,} pictures lie outside of {inside}, where '..', a link or an absolute "
            f"path leads; the first is {name!r}, at {path.resolve()}; expected pictures in that folder, because a file is not "
            f"trusted with paths; if you trust this one, {allow}"
        )


def _find_common(folders: Iterable[Path]) -> str | None:
    try:
        return os.path.commonpath([os.path.realpath(folder) for folder in folders])
    except ValueError:  # of two drives
        return None
