"""Masks of classes: per picture a PNG whose pixels are classes, as semantic segmentation takes them; 0 is the background."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.exporters.content import ExportJob, LabelledPicture
from maskzoo.datasets.exporters.numbered import encode_numbers, find_all_pixels, paint_numbers
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture, write_label
from maskzoo.datasets.importers.class_lists import voc_colour
from maskzoo.errors import SourceError
from maskzoo.system.files import write_file

__all__ = ["write_class_masks"]

COLOURS = 256
MOST = 65535  # classes of 16 bits


def write_class_masks(job: ExportJob) -> dict[str, Path]:
    """Write `images`, `masks` and, last, class_names.txt, whose line number, from 0 on, is a class's pixel value.

    Up to 255 classes have a palette, Pascal VOC's colours; more have 16 bits of grey.
    """
    if len(job.classes) > MOST:
        raise SourceError(f"{job.out}: {len(job.classes)} classes; expected at most {MOST}, as 16 bits hold; choose --to csv")
    codes = map(voc_colour, range(COLOURS))
    palette = bytes(chain.from_iterable((code >> 16, code >> 8 & 255, code & 255) for code in codes))
    folders = {split: job.out / split if len(job.splits) > 1 else job.out for split in job.splits}
    for split, folder in folders.items():
        names, missing = Names(), 0
        for picture in job.pictures(split):
            name = names.name(picture)
            missing += not place_picture(picture.path, folder / "images" / name, job.mode)
            mask = encode_numbers(_paint(job, picture), palette if len(job.classes) < COLOURS else None)
            write_label(folder / "masks" / name.with_suffix(".png"), mask)
        advise_on_pictures(missing, names, str(folder / "images"), job.notes.append)
        write_file(folder / "class_names.txt", "".join(f"{name}\n" for name in ("_background_", *job.classes)).encode())
    return {split: folder / "class_names.txt" for split, folder in folders.items()}


def _paint(job: ExportJob, picture: LabelledPicture) -> NDArray[np.uint16]:
    objects = find_all_pixels(picture.objects, picture.size, job.lost)
    layers = [(one.label + 1, pixels) for one, pixels in objects]
    numbers = paint_numbers(layers, picture.size, Counter())  # an object under others of its class is not lost here
    for number, (mask, left, top) in layers:
        seen = numbers[top : top + mask.shape[0], left : left + mask.shape[1]][mask > 0]
        job.lost["pixels"] += int(np.count_nonzero(seen != number))
    return numbers
