"""COCO instances files of predictions: a file for each split, as `maskzoo train` and `data check` read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_writer import advise_on_images, find_common_folder, straighten, write_coco
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import measure

__all__ = ["write_coco_files"]


def write_coco_files(job: ExportJob) -> dict[str, Path]:
    """Write the file of each split; names start from the folder of all pictures where these are found."""
    one_file = job.out.suffix.lower() == ".json"
    files = {split: job.out if one_file else job.out / f"{split}.json" for split in job.splits}
    for split, file in files.items():
        pictures = list(job.pictures(split))
        paths = [picture.path for picture in pictures if picture.path is not None]
        root = find_common_folder(paths, file) if paths else None
        content = {
            "images": [_describe_picture(picture, root) for picture in pictures],
            "categories": [{"id": number, "name": name} for number, name in enumerate(job.classes, 1)],
            "annotations": [_describe_object(one, picture) for picture in pictures for one in picture.objects],
        }
        write_coco(file, content, force=True)
        note = None if root is None else advise_on_images(job.splits[split].sifted.packed, root, file, job.out)
        job.notes += [] if note is None else [note]
    return files


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
