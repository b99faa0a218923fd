"""Where a picture lies that labels name with a path of another machine, a server or an earlier folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from maskzoo.datasets.coco_writer import straighten
from maskzoo.datasets.importers.builder import is_within
from maskzoo.datasets.picture_names import drop_upload, fold_name, plain_name, split_address
from maskzoo.errors import list_some
from maskzoo.images.find import IMAGE_SUFFIXES, find_pictures

__all__ = ["FoundPicture", "PictureIndex"]


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
            found.setdefault(fold_name(path.name), []).append(path)
            found.setdefault(fold_name(path.stem) + "/", []).append(path)
            found.setdefault(plain_name(path.name) + "//", []).append(path)
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
        uploaded = drop_upload(name)
        stem = Path(uploaded).stem if Path(uploaded).suffix.lower() in IMAGE_SUFFIXES else uploaded
        tries = [
            (fold_name(name), "found in another folder or with other letters than the labels say"),
            (fold_name(uploaded), "found without the prefix that an upload gave it"),
            (plain_name(uploaded) + "//", "found without the prefix and the signs that an upload changed"),
            (fold_name(stem) + "/", "found with another suffix than the labels say"),
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
        folders = [fold_name(part) for part in reversed(parts[:-1])]
        label_folder, root = near.absolute(), self.root.absolute()  # which may lie elsewhere
        own = set(label_folder.relative_to(root).parts) if label_folder.is_relative_to(root) else set()

        def rate(path: Path) -> tuple[int, int, bool]:
            pairs = zip(folders, map(fold_name, reversed(path.parts[:-1])), strict=False)
            agreeing = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            return agreeing, len(own & set(path.relative_to(self.root).parts)), path.name == parts[-1]

        best = max(map(rate, found), default=None)
        return [path for path in found if rate(path) == best]
