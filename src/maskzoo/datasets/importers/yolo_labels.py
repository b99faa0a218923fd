"""Where the labels of YOLO's pictures are: in folders and under names that tools and people changed, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from maskzoo.datasets.importers.yolo_data import CLASS_LISTS
from maskzoo.datasets.picture_names import drop_upload, fold_name
from maskzoo.images.find import IMAGE_SUFFIXES, is_hidden, list_folder

__all__ = ["NO_LABELS", "LabelFiles", "has_picture"]

NO_LABELS = (*CLASS_LISTS, "train.txt", "val.txt", "valid.txt", "test.txt", "README.dataset.txt", "README.roboflow.txt")


def has_picture(text: Path) -> bool:
    return any(text.with_suffix(suffix).is_file() for suffix in IMAGE_SUFFIXES)


@dataclass
class LabelFiles:
    """Where the labels of pictures are; `told` has those that were found under another name."""

    told: dict[Path, Path] = field(default_factory=dict)
    folders: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    def find(self, picture: Path) -> Path:
        """Return where a picture's labels are: in `labels` where the picture is in the last `images`, or beside it.

        If nothing lies there, the one file in that folder is taken whose name differs in capitals, in letters composed
        otherwise or in an upload's prefix, and is that of no other picture.
        """
        parts = list(picture.parts)
        for place in range(len(parts) - 2, -1, -1):
            if parts[place].lower() == "images":
                parts[place] = {"IMAGES": "LABELS", "Images": "Labels"}.get(parts[place], "labels")
                parts[: place + 1] = _find_folder(Path(*parts[: place + 1])).parts
                break
        apart, beside = Path(*parts).with_suffix(".txt"), picture.with_suffix(".txt")
        if apart.is_file() or beside.is_file():
            return apart if apart.is_file() else beside
        files = self._list(apart.parent).get(_fold(picture), [])
        alike = [path for path in files if path.stem == picture.stem or not has_picture(picture.parent / path.name)]
        if len(alike) == 1:
            self.told[alike[0]] = picture
        return alike[0] if len(alike) == 1 else apart

    def _list(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self.folders:
            found = self.folders[folder] = dict[str, list[Path]]()
            for path in sorted(list_folder(folder)) if folder.is_dir() else ():
                if path.suffix.lower() == ".txt" and path.name not in NO_LABELS and not is_hidden(path.name):
                    found.setdefault(_fold(path), []).append(path)
        return self.folders[folder]


def _fold(path: Path) -> str:
    return drop_upload(fold_name(path.stem))


def _find_folder(folder: Path) -> Path:
    """Return a folder, or the only one beside it whose name has other capitals."""
    if folder.is_dir() or not folder.parent.is_dir():
        return folder
    alike = [entry for entry in list_folder(folder.parent) if entry.name.lower() == folder.name.lower() and entry.is_dir()]
    return alike[0] if len(alike) == 1 else folder
