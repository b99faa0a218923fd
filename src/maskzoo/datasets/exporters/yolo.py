"""YOLO segmentation: data.yaml, pictures, and per picture a text file of normalised polygons, one a row."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from maskzoo.datasets.exporters.content import ExportJob, LabelledPicture
from maskzoo.datasets.exporters.outlines import draw_polygons, join_parts
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture, write_label
from maskzoo.system.files import write_file

__all__ = ["write_yolo"]


def write_yolo(job: ExportJob) -> dict[str, Path]:
    """Write `images/SPLIT`, `labels/SPLIT` and, last, data.yaml; an object of several parts is one polygon, joined by cuts."""
    for split in job.splits:
        names, missing = Names(), 0
        for picture in job.pictures(split):
            name = names.name(picture)
            write_label(job.out / "labels" / split / name.with_suffix(".txt"), _write_rows(job, picture))
            missing += not place_picture(picture.path, job.out / "images" / split / name, job.mode)
        advise_on_pictures(missing, names, str(job.out / "images" / split), job.notes.append)
    folders = {split: (PurePosixPath("images") / split).as_posix() for split in job.splits}
    content = folders | {"names": dict(enumerate(job.classes))}
    data_file = job.out / "data.yaml"
    write_file(data_file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    if "val" not in job.splits:
        job.notes.append(f"{data_file} has no val, which YOLO's trainers want; `maskzoo data split` makes one of a COCO file")
    return dict.fromkeys(job.splits, data_file)


def _write_rows(job: ExportJob, picture: LabelledPicture) -> bytes:
    rows = []
    for one in picture.objects:
        polygons = draw_polygons(one, picture.size)
        if not polygons:
            job.lost["empty"] += 1
            continue
        points = join_parts(polygons, picture.size).reshape(-1, 2) / np.array(picture.size[::-1])
        rows.append(" ".join([str(one.label), *(f"{value:.9g}" for value in points.ravel().tolist())]) + "\n")
    return "".join(rows).encode("ascii")
