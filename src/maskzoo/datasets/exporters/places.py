"""Where exported files go: names that no two pictures share, and links to pictures or copies of them."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from maskzoo.datasets.exporters.content import LabelledPicture, PictureMode
from maskzoo.errors import MaskzooError, count_words
from maskzoo.system.files import explained

__all__ = ["Names", "advise_on_pictures", "place_picture", "write_label"]


@dataclass(slots=True)
class Names:
    """Gives every picture a name for its labels that no other has, whatever the endings and capitals.

    Of a path its folders stay, from the last `..` or drive on, or are taken off if `flat`. `changed` counts the names
    that had to change because another picture has them.
    """

    flat: bool = False
    changed: int = 0
    _given: set[str] = field(default_factory=set)

    def name(self, picture: LabelledPicture) -> PurePosixPath:
        """Return the name, with the picture's own ending."""
        parts = [part for part in re.split(r"[/\\]|^[A-Za-z]:", picture.name) if part not in ("", ".")]
        while ".." in parts:
            parts = parts[parts.index("..") + 1 :]
        path = PurePosixPath(*(parts[-1:] if self.flat or _is_absolute(picture.name) else parts or [f"{picture.number}.jpg"]))
        chosen, number = path, 1
        while chosen.with_suffix("").as_posix().casefold() in self._given:
            number += 1
            chosen = path.with_name(f"{path.stem}-{number}{path.suffix}")
        self._given.add(chosen.with_suffix("").as_posix().casefold())
        self.changed += number > 1
        return chosen


def _is_absolute(name: str) -> bool:
    return bool(re.match(r"[/\\]|[A-Za-z]:", name))


def write_label(path: Path, content: bytes) -> None:
    """Write one file of many; what stood there goes, and a link's target stays as it is. Raises MaskzooError."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def place_picture(picture: Path | None, target: Path, mode: PictureMode) -> bool:
    """Link or copy a picture to `target`; whether it is there afterwards.

    Raises MaskzooError if another file has the name, or it cannot be written.
    """
    if mode == "none" or picture is None:
        return target.is_file()
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink() and not (target.exists() and target.samefile(picture)):
            target.unlink()
        if target.exists():
            if target.samefile(picture) or filecmp.cmp(picture, target, shallow=False):
                return True
            raise MaskzooError(f"{target}: another picture has this name already; expected none; choose another OUT")
        if mode == "copy":
            shutil.copyfile(picture, target)
        else:
            _link(picture, target)
    return True


def _link(picture: Path, target: Path) -> None:
    try:
        target.symlink_to(picture.resolve())
    except OSError as error:
        raise MaskzooError(
            f"{target}: no link can be made there ({error.strerror or error}); copy the pictures: --pictures copy"
        ) from error


def advise_on_pictures(missing: int, names: Names, where: str, tell: Callable[[str], None]) -> None:
    """Tell how many pictures are not beside the labels, and how many have another name than before."""
    if missing:
        tell(f"{count_words(missing, 'picture')} {'is' if missing == 1 else 'are'} not there: put them into {where}")
    if names.changed:
        was = "was" if names.changed == 1 else "were"
        tell(f"{count_words(names.changed, 'name')} {was} changed, because two pictures would have shared it")
