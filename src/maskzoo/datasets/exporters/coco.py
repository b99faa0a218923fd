"""COCO instances files: of predictions, which `maskzoo train` reads then, and of a data set whose classes changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.coco_writer import advise_on_images, find_common_folder, straighten, write_coco
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import measure
from maskzoo.errors import SourceError
from maskzoo.images.read import LARGEST
from maskzoo.system.files import check_target

__all__ = ["write_coco_files"]


def write_coco_files(job: ExportJob) -> dict[str, Path]:
    """Write the file of each split, a single one to `out` if that is a .json.

    A data set's rows stay as they are, but for its classes. Names of predicted pictures start from the folder of all.
    """
    one_file = job.out.suffix.lower() == ".json"
    if one_file and len(job.splits) > 1:
        raise SourceError(f"{job.out}: one file, but the source has {', '.join(job.splits)}; give a folder as OUT")
    files = {split: job.out if one_file else job.out / f"{split}.json" for split in job.splits}
    for split, file in files.items():
        check_target(file, force=job.force)
        if file.exists() and file.samefile(job.splits[split].sifted.packed.source):
            raise SourceError(f"{file}: is the source itself, which stays as it is; choose another OUT")
    for split, file in files.items():
        _write(job, split, file)
    return files


def _write(job: ExportJob, split: str, file: Path) -> None:
    pictures = list(job.pictures(split))
    paths = [picture.path for picture in pictures if picture.path is not None]
    known = job.splits[split]
    content: dict[str, Any] = dict(known.sifted.tables)
    if job.model is not None:
        root = find_common_folder(paths, file) if paths else None
        ids = dict(zip(known.labels, known.sifted.packed.classes.ids, strict=True))
        content["images"] = [_describe_picture(picture, root) for picture in pictures]
        content["annotations"] = [_describe_object(one, picture, ids) for picture in pictures for one in picture.objects]
    packed = pack_annotations(content, str(file), LARGEST)
    write_coco(file, content, force=job.force)
    first = next((picture for picture in pictures if picture.path is not None), None)
    if first is not None and first.path is not None:
        name = packed.file_name(int(np.searchsorted(packed.image_ids, first.number)))
        folder = Path(straighten(first.path).as_posix().removesuffix(name))
        note = advise_on_images(packed, folder, file, job.out)
        job.notes += [] if note is None else [note]


def _describe_picture(picture: LabelledPicture, root: Path | None) -> dict[str, Any]:
    name = picture.name
    if picture.path is not None and root is not None:
        name = straighten(picture.path).relative_to(root).as_posix()
    return {"id": picture.number, "file_name": name, "height": picture.size[0], "width": picture.size[1]}


def _describe_object(one: LabelledObject, picture: LabelledPicture, ids: Mapping[int, int]) -> dict[str, Any]:
    box, area = measure(one, picture.size)
    outline: Any
    if isinstance(one.outline, bytes):
        outline = {"size": list(picture.size), "counts": one.outline.decode("ascii")}
    else:
        outline = [polygon.tolist() for polygon in one.outline]
    row = {
        "id": one.number,
        "image_id": picture.number,
        "category_id": ids[one.label],
        "segmentation": outline,
        "bbox": box,
        "area": area,
        "iscrowd": int(one.crowd),
        "attributes": one.attributes | ({} if one.score is None else {"score": one.score}),
    }
    return row | ({"ignore": 1} if one.ignore else {})
