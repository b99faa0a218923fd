"""Pascal VOC segmentation: the object's number in one palette PNG, its class in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskzoo.datasets.importers.builder import SPLITS, DatasetBuilder, ImportOptions, read_text
from maskzoo.datasets.importers.mask_pngs import read_numbers, trace_objects
from maskzoo.errors import ImageError, SourceError

__all__ = ["VOC_CLASSES", "is_voc", "read_voc"]

VOC_CLASSES = (  # of the places 1 to 20 in the class pictures
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = 255  # a border or an object too difficult to tell: belongs to nothing


def is_voc(source: Path) -> bool:
    """Say whether a folder looks like Pascal VOC's segmentation set."""
    return _find_voc_folder(source) is not None


def _find_voc_folder(source: Path) -> Path | None:
    """Find the folder with SegmentationObject and SegmentationClass: `source`, or the only one in it (VOCdevkit)."""
    inner = sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
    found = [path for path in (source, *inner) if (path / "SegmentationObject").is_dir()]
    return found[0] if found and (found[0] == source or len(found) == 1) else None


def read_voc(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a Pascal VOC segmentation set, with the splits of ImageSets/Segmentation, or as one without them.

    An object's class is that of most of its pixels. Classes are VOC's twenty unless `classes` names those of the places
    1, 2 ... Void pixels (255) belong to nothing. Outlines are exactly the masks. What does not fit is skipped by name.
    """
    folder = _find_voc_folder(source)
    if folder is None:
        raise SourceError(f"{source}: no folder SegmentationObject in it; expected it beside SegmentationClass and JPEGImages")
    names = list(options.classes or VOC_CLASSES)
    drafts = {}
    for split, stems in _list_splits(folder).items():
        draft = drafts[split] = DatasetBuilder(names)
        pictures = {}
        for stem, origin in stems.items():
            picture = _find_picture(folder, stem)
            if picture is None:
                draft.skip(origin[0], origin[1], f"{stem!r:.80}: no such picture in {folder / 'JPEGImages'}")
            else:
                pictures[picture] = stem
        for path, size in draft.measure(list(pictures), options.on_progress):
            _read_image(draft, folder, path, pictures[path], size)
    return drafts


def _list_splits(folder: Path) -> dict[str, dict[str, tuple[Path, str]]]:
    """Return the pictures' names in each split, and where each stands."""
    lists = {split: folder / "ImageSets" / "Segmentation" / f"{split}.txt" for split in SPLITS}
    splits: dict[str, dict[str, tuple[Path, str]]] = {}
    for split, path in lists.items():
        if path.is_file():
            lines = enumerate(read_text(path).splitlines(), 1)
            splits[split] = {line.strip(): (path, f"line {number}") for number, line in lines if line.strip()}
    if splits:
        return splits
    masks = sorted((folder / "SegmentationObject").glob("*.png"))
    return {"": {path.stem: (path, "") for path in masks}}


def _find_picture(folder: Path, stem: str) -> Path | None:
    if "\0" in stem or stem != Path(stem).name:  # a path would lead out of the folder
        return None
    candidates = [folder / "JPEGImages" / f"{stem}{suffix}" for suffix in (".jpg", ".jpeg", ".png")]
    return next((path for path in candidates if path.is_file()), None)


def _read_image(draft: DatasetBuilder, folder: Path, path: Path, stem: str, size: tuple[int, int]) -> None:
    objects, kinds = (folder / name / f"{stem}.png" for name in ("SegmentationObject", "SegmentationClass"))
    try:
        numbers, classes = read_numbers(objects, size), read_numbers(kinds, size).ravel()
    except ImageError as error:
        draft.skip(path, "", error)
        return
    image = draft.add_image(path, size)
    for one in trace_objects(numbers, (VOID,)):
        counts = np.bincount(classes[one.pixels], minlength=VOID + 1)
        counts[[0, VOID]] = 0
        place = int(counts.argmax())
        if not counts[place] or place > len(draft.names):
            found = f"of the class {place}" if counts[place] else "of no class"
            draft.skip(kinds, f"object {one.number}", f"{found}; expected one from 1 to {len(draft.names)}")
            continue
        draft.add_object(image, place - 1, one.polygons, (objects, f"object {one.number}"), area=len(one.pixels))
