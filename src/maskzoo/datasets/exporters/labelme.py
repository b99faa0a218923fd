"""LabelMe: a JSON file per picture, as LabelMe 5 and X-AnyLabeling read it.

Both keep what they do not know of a shape; X-AnyLabeling shows `score` and `attributes`.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_writer import encode_json
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import draw_polygons
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture, write_label
from maskzoo.system.files import write_file

__all__ = ["write_labelme"]

VERSION = "5.5.0"  # of LabelMe, whose form this is


def write_labelme(job: ExportJob) -> dict[str, Path]:
    """Write `NAME.json` beside each picture, in a folder for each split if there are several, and labels.txt."""
    folders = {split: job.out / split if len(job.splits) > 1 else job.out for split in job.splits}
    for split, folder in folders.items():
        names, missing = Names(), 0
        for picture in job.pictures(split):
            name = names.name(picture)
            file = folder / name.with_suffix(".json")
            there = place_picture(picture.path, folder / name, job.mode)
            missing += not (there or (picture.path and job.mode == "none"))
            content = _describe(job, picture, _refer(picture, folder / name, file, there))
            write_label(file, encode_json(content, file))
        advise_on_pictures(missing, names, str(folder), job.notes.append)
        write_file(folder / "labels.txt", "".join(f"{name}\n" for name in job.classes).encode())
        command = shlex.join(["labelme", str(folder), "--labels", str(folder / "labels.txt")])
        job.notes.append(f"Open them with: {command}")
    return folders


def _refer(picture: LabelledPicture, beside: Path, file: Path, there: bool) -> str:
    """Return the picture's path as it is read: from the folder of the JSON file on."""
    if there or picture.path is None:
        return beside.name
    return Path(os.path.relpath(picture.path, file.parent)).as_posix()


def _describe(job: ExportJob, picture: LabelledPicture, path: str) -> dict[str, Any]:
    shapes: list[dict[str, Any]] = []
    for one in picture.objects:
        polygons = draw_polygons(one, picture.size)
        job.lost["empty"] += not polygons
        group = one.number if len(polygons) > 1 else None
        shapes += [_to_shape(job, one, polygon.reshape(-1, 2).tolist(), group) for polygon in polygons]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": path,
        "imageData": None,
        "imageHeight": picture.size[0],
        "imageWidth": picture.size[1],
    }


def _to_shape(job: ExportJob, one: LabelledObject, points: list[list[float]], group: int | None) -> dict[str, Any]:
    shape = {
        "label": job.classes[one.label],
        "score": one.score,
        "points": points,
        "group_id": group,
        "description": "",
        "difficult": False,
        "shape_type": "polygon",
        "flags": {},
        "attributes": one.describe(),
    }
    if one.score is None:
        del shape["score"]
    return shape
