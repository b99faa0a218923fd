"""Where a picture lies that labels name with a path of another machine, a server or an earlier folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

from maskzoo.datasets.coco_writer import straighten
from maskzoo.datasets.importers.builder import is_within
from maskzoo.errors import list_some
from maskzoo.images.find import IMAGE_SUFFIXES, find_pictures

__all__ = ["FoundPicture", "PictureIndex", "split_address"]

# Label Studio puts eight digits before the name of an uploaded file.
_UPLOAD = re.compile(r"[0-9a-f]{6,36}-(?=.)")


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """Where a picture is: its `path`, None if nowhere, and what has to be told about that ("" if it is where it is said)."""

    path: Path | None
    told: str = ""


@dataclass
class PictureIndex:
    """The pictures in the folder `root`, looked up by what labels call them; the folder is walked when first needed."""

    root: Path
    obstacles: list[tuple[Path, str]] = field(default_factory=list)

    @cached_property
    def _pictures(self) -> dict[str, list[Path]]:
        """The pictures by name, by name without suffix, and by name as a server keeps it."""
        found: dict[str, list[Path]] = {}
        for path in find_pictures(self.root, on_obstacle=lambda *what: self.obstacles.append(what)):
            found.setdefault(_fold(path.name), []).append(path)
            found.setdefault(_fold(path.stem) + "/", []).append(path)
            found.setdefault(_plain(path.name) + "//", []).append(path)
        return found

    def find(self, named: str, near: Path) -> FoundPicture:
        """Find the picture that a file in the folder `near` calls `named`.

        It is where the path leads from `near` or from `root`, or in `near`. Else the one picture in the tree of that name
        (between several, the folders in the path decide, then those of the file), of that name without an upload's prefix,
        or with another suffix: these have something to be told.
        """
        parts = split_address(named)
        if not parts:
            return FoundPicture(None, f"found {named!r:.80}; expected the name of a picture")
        for candidate in (near.joinpath(*parts), self.root.joinpath(*parts), near / parts[-1]):
            right_kind = candidate.suffix.lower() in IMAGE_SUFFIXES and is_within(candidate, [self.root])
            with suppress(OSError):  # a name that is longer than any file's
                if right_kind and candidate.is_file():
                    return FoundPicture(straighten(candidate))
        name = parts[-1]
        uploaded = _UPLOAD.sub("", name, count=1)
        stem = Path(uploaded).stem if Path(uploaded).suffix.lower() in IMAGE_SUFFIXES else uploaded
        tries = [
            (_fold(name), "found in another folder or with other letters than the labels say"),
            (_fold(uploaded), "found without the prefix that an upload gave it"),
            (_plain(uploaded) + "//", "found without the prefix and the signs that an upload changed"),
            (_fold(stem) + "/", "found with another suffix than the labels say"),
        ]
        for key, told in tries:
            nearest = self._choose_nearest(self._pictures.get(key, []), parts, near)
            if len(nearest) == 1:
                return FoundPicture(straighten(nearest[0]), told)
            if nearest:
                places = list_some([str(path.relative_to(self.root)) for path in nearest], 4)
                return FoundPicture(None, f"found {named!r:.80}, which could be {places}; expected one picture of that name")
        return FoundPicture(None, f"found {named!r:.80}; expected a picture in the folder {self.root}")

    def _choose_nearest(self, found: Sequence[Path], parts: Sequence[str], near: Path) -> list[Path]:
        """Return the pictures that agree most with a path's last folders, then its file's folders, then in letters."""
        folders = [_fold(part) for part in reversed(parts[:-1])]
        label_folder, root = near.absolute(), self.root.absolute()  # which may lie elsewhere
        own = set(label_folder.relative_to(root).parts) if label_folder.is_relative_to(root) else set()

        def rate(path: Path) -> tuple[int, int, bool]:
            pairs = zip(folders, map(_fold, reversed(path.parts[:-1])), strict=False)
            agreeing = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            return agreeing, len(own & set(path.relative_to(self.root).parts)), path.name == parts[-1]

        best = max(map(rate, found), default=None)
        return [path for path in found if rate(path) == best]


def split_address(named: str) -> list[str]:
    """Return the parts of a path as any machine writes it: with `/` or `\\`, a drive, an address, `?d=` of Label Studio."""
    if "\0" in named or named.startswith("data:"):
        return []
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", named) or "?d=" in named:
        address = urlsplit(named)
        query = parse_qs(address.query)
        named = query["d"][0] if "d" in query else unquote(address.path)
    path = PureWindowsPath(named)  # splits at both kinds of slashes
    return [part for part in path.parts if part != path.anchor]


def _fold(name: str) -> str:
    """Letters composed or not, small or capital, are the same name."""
    return unicodedata.normalize("NFC", name).casefold()


def _plain(name: str) -> str:
    """A server that takes files writes `_` for spaces and drops other signs (Django's `get_valid_filename`)."""
    return re.sub(r"[^-\w.]", "", _fold(name).strip().replace(" ", "_"))
