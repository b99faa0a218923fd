"""Predictions as a COCO instances file, which `maskzoo train` and `maskzoo data check` read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.coco_writer import advise_on_images, find_common_folder, straighten, write_coco
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import measure

__all__ = ["write_coco_file"]


def write_coco_file(job: ExportJob) -> dict[str, Path]:
    """Write the file of the only split; names start from the folder of all pictures where these are found."""
    ((split, _),) = job.splits.items()
    pictures = list(job.pictures(split))
    paths = [picture.path for picture in pictures if picture.path is not None]
    root = find_common_folder(paths, job.out) if paths else None
    content = {
        "images": [_describe_picture(picture, root) for picture in pictures],
        "categories": [{"id": number, "name": name} for number, name in enumerate(job.classes, 1)],
        "annotations": [_describe_object(one, picture) for picture in pictures for one in picture.objects],
    }
    packed = pack_annotations(content, str(job.out))
    write_coco(job.out, content, force=True)
    note = None if root is None else advise_on_images(packed, root, job.out, job.out)
    job.notes += [] if note is None else [note]
    return {split: job.out}


def _describe_picture(picture: LabelledPicture, root: Path | None) -> dict[str, Any]:
    name = picture.name
    if picture.path is not None and root is not None:
        name = straighten(picture.path).relative_to(root).as_posix()
    return {"id": picture.number, "file_name": name, "height": picture.size[0], "width": picture.size[1]}


def _describe_object(one: LabelledObject, picture: LabelledPicture) -> dict[str, Any]:
    box, area = measure(one, picture.size)
    outline: Any
    if isinstance(one.outline, bytes):
        outline = {"size": list(picture.size), "counts": one.outline.decode("ascii")}
    else:
        outline = [polygon.tolist() for polygon in one.outline]
    row = {
        "id": one.number,
        "image_id": picture.number,
        "category_id": one.label + 1,
        "segmentation": outline,
        "bbox": box,
        "area": area,
        "iscrowd": int(one.crowd),
        "attributes": one.attributes | ({} if one.score is None else {"score": one.score}),
    }
    return row | ({"ignore": 1} if one.ignore else {})
