"""Write a data set as a COCO instances file: the whole file or none."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.errors import MaskzooError, SourceError
from maskzoo.system.files import check_target, make_folder, write_file

__all__ = [
    "advise_on_images",
    "encode_json",
    "find_common_folder",
    "find_smallest_folder",
    "straighten",
    "to_coco",
    "write_coco",
]


def to_coco(annotations: AnnotationSet) -> dict[str, Any]:
    """Return the content of a COCO instances file; `read_annotations` reads it back to the same data set."""
    images = zip(annotations.image_ids.tolist(), annotations.sizes.tolist(), strict=True)
    return {
        "images": [
            {"id": number, "file_name": annotations.file_name(place), "height": height, "width": width}
            for place, (number, (height, width)) in enumerate(images)
        ],
        "categories": annotations.classes.to_categories(),
        "annotations": [_to_row(annotations, place) for place in range(len(annotations.ids))],
    }


def _to_row(annotations: AnnotationSet, place: int) -> dict[str, Any]:
    row = {
        "id": int(annotations.ids[place]),
        "image_id": int(annotations.image_ids[annotations.image_index[place]]),
        "category_id": annotations.classes.ids[int(annotations.labels[place])],
        "segmentation": annotations.segmentation(place),
        "area": float(annotations.area[place]),
        "bbox": annotations.bbox[place].tolist(),
        "iscrowd": int(annotations.crowd[place]),
    }
    return row | {"ignore": 1} if annotations.ignore[place] else row


def write_coco(path: Path, data: AnnotationSet | Mapping[str, Any], *, force: bool = False) -> None:
    """Write a data set, or the content of a COCO file, whole or not at all.

    Folders above are made. Raises MaskzooError if the file is there and `force` is not given, or cannot be written.
    """
    check_target(path, force=force)
    content = to_coco(data) if isinstance(data, AnnotationSet) else data
    text = encode_json(content, path)
    make_folder(path.parent)
    write_file(path, text)


def encode_json(content: Any, path: Path) -> bytes:
    """Return the text of a JSON file. Raises MaskzooError that names `path` for a value that JSON cannot hold."""
    try:
        return json.dumps(content, allow_nan=False).encode("ascii") + b"\n"
    except RecursionError:
        raise MaskzooError(f"{path}: a value is nested too deep to be written; expected lists of numbers; remove it") from None
    except ValueError:
        place, value = next(_find_infinite(content))
        raise MaskzooError(
            f"{path}: cannot be written: {place} is {value}, which JSON has no number for; correct or remove it in the source"
        ) from None


def _find_infinite(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield place, value
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in inner:
        yield from _find_infinite(part, f"{place}[{key!r}]")


def find_common_folder(pictures: Iterable[Path], file: Path) -> Path:
    """Return the folder that the file names of an annotation file start from, so that the pictures are found again.

    It is the file's folder or the one above, if all pictures are in it, else the smallest one that holds them all.
    """
    known = list(pictures)
    beside = straighten(file).parent
    for folder in (beside, beside.parent):
        if known and folder != folder.parent and all(straighten(path).is_relative_to(folder) for path in known):
            return folder
    return find_smallest_folder(known, file)


def find_smallest_folder(pictures: Iterable[Path], file: Path) -> Path:
    """Return the smallest folder that holds all pictures. Raises SourceError that names `file` if there is none."""
    try:
        return Path(os.path.commonpath({straighten(picture.parent) for picture in pictures}))
    except ValueError as error:  # none at all, or on two drives
        raise SourceError(f"{file}: its pictures have no folder in common: {error}; bring them together") from error


def straighten(path: Path) -> Path:
    """Return an absolute path without `..`; links are not followed, because the user's own names shall stay."""
    return Path(os.path.normpath(path.absolute()))


def advise_on_images(annotations: AnnotationSet, folder: Path, file: Path, out: Path) -> str | None:
    """Say what to do if the images in `folder` are not found from `file`, where the annotations now are; `out` names it."""
    try:
        found = find_image_folder(replace(annotations, source=str(file))).resolve() == folder.resolve()
    except SourceError:
        found = len(annotations) == 0
    return None if found else f"The images are not near {out}: pass --images {folder} wherever it is used"
