"""Where a data set has its pictures and their masks: in two folders or one, for the whole set, a split, or each photo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from maskzoo.datasets.importers.builder import SPLITS
from maskzoo.datasets.importers.mask_files import MASK_SUFFIXES
from maskzoo.datasets.importers.object_table import TABLE
from maskzoo.datasets.layout import name_split
from maskzoo.images.find import find_pictures, is_hidden

__all__ = ["ENDED", "ENDINGS", "IMAGE_FOLDERS", "MASK_FOLDERS", "MaskFolders", "find_mask_folders", "is_mask_pngs"]

IMAGE_FOLDERS = ("PNGImages", "images", "JPEGImages", "image", "imgs", "img", "photos")
MASK_FOLDERS = ("PedMasks", "masks", "mask", "instances")
LABEL_FOLDERS = ("gt", "ground_truth", "groundtruth", "labels", "label", "annotations", "segmentation", "segmentations")
LABEL_TEXTS = {".txt", ".json", ".xml", ".csv"}  # in such a folder: then it is another format's
ENDINGS = ("_mask", "_masks", "_instances", "_instance", "_label", "_seg", "_gt", "-mask")  # after the picture's name
ENDED = re.compile(rf"(.+)({'|'.join(ENDINGS)})(?:_[0-9]+)?")


class MaskFolders(NamedTuple):
    """Folders of pictures and of their masks; those `of_one_photo` are beside others of the same kind."""

    images: Path
    masks: Path
    of_one_photo: bool = False


def is_mask_pngs(source: Path) -> bool:
    """Say whether a folder holds pictures and masks, in two folders or one; or its folders do, of splits or of each photo."""
    return bool(find_mask_folders(source))


def find_mask_folders(source: Path) -> dict[str, list[MaskFolders]]:
    """Return the folders of pictures and of masks in each split, "" where there are none."""
    alone = _find_folders(source)
    if alone is not None:
        return _divide(alone) or {"": [alone]}
    inner = {split: folders for split in SPLITS if (folders := _find_folders(source / split)) is not None}
    if inner:
        return {split: [folders] for split, folders in inner.items()}
    found = {split: _find_photo_folders(source / split) or _find_together(source / split) for split in ("", *SPLITS)}
    return {split: folders for split, folders in found.items() if folders}


def _divide(folders: MaskFolders) -> dict[str, list[MaskFolders]]:
    """Return the splits that the folders inside of both are named by; nothing if there is anything else in them."""
    inner = [
        {name_split(path.name, whole=True): path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir()}
        for folder in folders[:2]
    ]
    loose = any(path.is_file() and path.suffix.lower() in MASK_SUFFIXES for folder in folders[:2] for path in folder.iterdir())
    if (
        loose
        or not inner[0]
        or None in inner[0]
        or inner[0].keys() != inner[1].keys()
        or (folders.masks.parent / TABLE).exists()
    ):
        return {}
    return {split: [MaskFolders(inner[0][split], inner[1][split])] for split in SPLITS if split in inner[0]}


def _find_folders(source: Path) -> MaskFolders | None:
    """Find the folders of pictures and of masks in a folder, by their usual names; None without them."""
    if not source.is_dir():
        return None
    inner = {path.name.casefold(): path for path in sorted(source.iterdir()) if path.is_dir()}
    images = next((inner[name.casefold()] for name in IMAGE_FOLDERS if name.casefold() in inner), None)
    masks = next((inner[name.casefold()] for name in MASK_FOLDERS if name.casefold() in inner), None)
    if images is not None and masks is None:
        masks = next((inner[name] for name in LABEL_FOLDERS if name in inner and _holds_masks(inner[name])), None)
    return None if images is None or masks is None else MaskFolders(images, masks)


def _holds_masks(folder: Path) -> bool:
    """Say whether a folder for labels of any kind has pictures, and none of other formats' texts."""
    files = find_pictures(folder, {*MASK_SUFFIXES, *LABEL_TEXTS}, lambda path, reason: None)
    return bool(files) and not any(path.suffix.lower() in LABEL_TEXTS for path in files)


def _find_photo_folders(source: Path) -> list[MaskFolders]:
    inner = sorted(path for path in source.iterdir() if not is_hidden(path.name)) if source.is_dir() else []
    return [folders._replace(of_one_photo=True) for path in inner if (folders := _find_folders(path)) is not None]


def _find_together(source: Path) -> list[MaskFolders]:
    """Find a folder that holds pictures and their masks, `a.jpg` and `a_mask.png`."""
    files = [path for path in source.iterdir() if path.suffix.lower() in MASK_SUFFIXES] if source.is_dir() else []
    stems = {path.stem for path in files if not is_hidden(path.name)}
    ended = (ENDED.fullmatch(stem) for stem in stems)
    return [MaskFolders(source, source)] if any(match[1] in stems for match in ended if match) else []
