"""Masks as pictures: per picture a PNG of 16 bits with the objects' numbers, and a table of what each number is."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from maskzoo.datasets.exporters.content import ExportJob
from maskzoo.datasets.exporters.numbered import encode_numbers, find_all_pixels, paint_numbers
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture, write_label
from maskzoo.datasets.importers.object_table import COLUMNS, TABLE
from maskzoo.system.files import write_file

__all__ = ["write_mask_pngs"]

MOST = 65535  # objects of one picture


def write_mask_pngs(job: ExportJob) -> dict[str, Path]:
    """Write `images`, `masks`, classes.txt and, last, objects.csv, in a folder for each split if there are several."""
    folders = {split: job.out / split if len(job.splits) > 1 else job.out for split in job.splits}
    for split, folder in folders.items():
        names, missing = Names(), 0
        rows: list[list[Any]] = [[*COLUMNS]]
        for picture in job.pictures(split):
            name = names.name(picture)
            missing += not place_picture(picture.path, folder / "images" / name, job.mode)
            objects = find_all_pixels(picture.objects, picture.size, job.lost)
            job.lost["surplus"] += len(objects[MOST:])
            layers = [(number, pixels) for number, (_, pixels) in enumerate(objects[:MOST], 1)]
            numbers = paint_numbers(layers, picture.size, job.lost)
            mask = name.with_suffix(".png")
            write_label(folder / "masks" / mask, encode_numbers(numbers))
            for number, (one, _) in enumerate(objects[:MOST], 1):
                score = "" if one.score is None else one.score
                about = [one.number, int(one.crowd), int(one.ignore), score, json.dumps(one.attributes, ensure_ascii=False)]
                rows.append([mask.as_posix(), number, job.classes[one.label], *about])
        advise_on_pictures(missing, names, str(folder / "images"), job.notes.append)
        write_file(folder / "classes.txt", "".join(f"{name}\n" for name in job.classes).encode())
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(rows)
        write_file(folder / TABLE, stream.getvalue().encode())
    return {split: folder / TABLE for split, folder in folders.items()}
