"""Recognise the format of a data set by its files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from maskzoo.data.coco import AnnotationsError, read_json
from maskzoo.data.formats.draft import SPLITS
from maskzoo.data.formats.labelme import is_labelme
from maskzoo.data.formats.mask_pngs import find_folders
from maskzoo.data.formats.voc import find_voc_folder
from maskzoo.data.formats.yolo import find_data_file
from maskzoo.errors import SourceError
from maskzoo.files import describe_address

__all__ = ["FORMATS", "detect_format"]

FORMATS = ("yolo", "labelme", "voc", "masks")
TRIED = 20  # JSON files that are looked into


def detect_format(source: Path) -> str:
    """Return which of `FORMATS` a file or folder has. Raises SourceError if it is none, or could be several."""
    if address := describe_address(source):
        raise SourceError(address)
    if not source.exists():
        raise SourceError(f"{source}: no such file or folder; expected a data set; check the spelling")
    found = [name for name, holds in zip(FORMATS, _look(source), strict=True) if holds]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"{source}: could be {' or '.join(found)}; say which with --from")
    if source.is_file() and _is_coco(source):
        raise SourceError(f"{source}: is COCO's format already; use it as it is")
    raise SourceError(
        f"{source}: not recognised; expected YOLO (data.yaml, or labels/*.txt), LabelMe (JSON files with shapes), "
        "Pascal VOC (SegmentationObject) or a folder of pictures beside one of masks; say which with --from"
    )


def _look(source: Path) -> tuple[bool, bool, bool, bool]:
    yolo = find_data_file(source) is not None or _has_label_texts(source)
    jsons = [source] if source.suffix.lower() == ".json" and source.is_file() else islice(source.rglob("*.json"), TRIED)
    voc = find_voc_folder(source) is not None
    masks = not voc and any(find_folders(path) for path in (source, *(source / split for split in SPLITS)))
    return yolo, any(is_labelme(path) for path in jsons), voc, masks


def _has_label_texts(source: Path) -> bool:
    folders = [source / "labels", *(source / split / "labels" for split in ("train", "valid", "val", "test"))]
    return any(next(folder.rglob("*.txt"), None) is not None for folder in folders if folder.is_dir())


def _is_coco(source: Path) -> bool:
    try:
        content = read_json(source)
    except AnnotationsError:
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()
