"""A table with a row for each object, for spreadsheets and programs of one's own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import measure
from maskzoo.system.files import write_file

__all__ = ["COLUMNS", "write_csv"]

PICTURE = ("split", "image_id", "file_name", "width", "height")
OBJECT = (
    "id",
    "class",
    "iscrowd",
    "ignore",
    "score",
    "x",
    "y",
    "box_width",
    "box_height",
    "area",
    "polygons",
    "runs",
    "attributes",
)
COLUMNS = (*PICTURE, *OBJECT)


def write_csv(job: ExportJob) -> dict[str, Path]:
    """Write the table. A picture without an object has one row, whose cells from `id` on are empty.

    `polygons` is JSON, a list of x y x y ... in pixels; `runs` COCO's compressed run lengths of the whole picture. An
    object has one of the two.
    """
    write_file(job.out, (text.encode() for text in _write_rows(job)))
    return dict.fromkeys(job.splits, job.out)


def _write_rows(job: ExportJob) -> Iterator[str]:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for split in job.splits:
        for picture in job.pictures(split):
            about = [split, picture.number, picture.name, picture.size[1], picture.size[0]]
            rows = [_describe(job.classes, one, picture) for one in picture.objects] or [[""] * len(OBJECT)]
            writer.writerows([*about, *row] for row in rows)
            yield stream.getvalue()
            stream.seek(0)
            stream.truncate()
    yield stream.getvalue()


def _describe(classes: tuple[str, ...], one: LabelledObject, picture: LabelledPicture) -> list[Any]:
    polygons = "" if isinstance(one.outline, bytes) else json.dumps([polygon.tolist() for polygon in one.outline])
    runs = one.outline.decode("ascii") if isinstance(one.outline, bytes) else ""
    box, area = measure(one, picture.size)
    score = "" if one.score is None else one.score
    attributes = json.dumps(one.attributes, ensure_ascii=False) if one.attributes else ""
    flags = [int(one.crowd), int(one.ignore), score]
    return [one.number, classes[one.label], *flags, *box, area, polygons, runs, attributes]
