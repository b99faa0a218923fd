"""Pascal VOC segmentation: JPEGImages, SegmentationObject, SegmentationClass, ImageSets and the classes' names.

The pictures of numbers have VOC's own colours: the bits of a number, three at a time, are the high bits of red, green
and blue. They have 8 bits: 0 is the background, and 255 void, which belongs to nothing; crowds become void.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from maskzoo.datasets.exporters.content import ExportJob, LabelledPicture
from maskzoo.datasets.exporters.numbered import encode_numbers, find_all_pixels, paint_numbers
from maskzoo.datasets.exporters.outlines import Pixels
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture, write_label
from maskzoo.datasets.importers.class_lists import voc_colour
from maskzoo.errors import SourceError
from maskzoo.system.files import make_folder, write_file

__all__ = ["write_voc"]

VOID = 255
MOST = 254  # classes, and objects of one picture


def write_voc(job: ExportJob) -> dict[str, Path]:
    """Write the pictures of numbers, class_names.txt, labelmap.txt if it can hold the names, and, last, the splits' lists."""
    if len(job.classes) > MOST:
        raise SourceError(
            f"{job.out}: {len(job.classes)} classes; Pascal VOC's pictures hold at most {MOST}: convert it --to masks or csv"
        )
    names, missing, lists = Names(flat=True), 0, {}
    colours = [(code >> 16, code >> 8 & 255, code & 255) for code in map(voc_colour, range(VOID + 1))]
    palette = bytes(chain.from_iterable(colours))
    for split in job.splits:
        stems = []
        for picture in job.pictures(split):
            name = names.name(picture)
            stems.append(name.stem)
            missing += not place_picture(picture.path, job.out / "JPEGImages" / name, job.mode)
            _write_masks(job, picture, name.stem, palette)
        lists[split] = stems
    advise_on_pictures(missing, names, str(job.out / "JPEGImages"), job.notes.append)
    write_file(job.out / "class_names.txt", "".join(f"{name}\n" for name in ("_background_", *job.classes)).encode())
    if not any(":" in name or name.startswith("#") for name in job.classes):
        _write_labelmap(job, colours)
    sets = job.out / "ImageSets" / "Segmentation"
    make_folder(sets)
    for split, stems in lists.items():
        write_file(sets / f"{split}.txt", "".join(f"{stem}\n" for stem in stems).encode())
    return {split: sets / f"{split}.txt" for split in lists}


def _write_labelmap(job: ExportJob, colours: Sequence[tuple[int, int, int]]) -> None:
    """Write the classes with their colours, as CVAT has them."""
    rows = [*enumerate(("background", *job.classes))]
    rows = [*rows, (VOID, "ignore")] if job.lost["crowds"] else rows  # some readers want a name for every colour
    labels = [f"{name}:{','.join(map(str, colours[number]))}::\n" for number, name in rows]
    write_file(job.out / "labelmap.txt", "".join(["# label:color_rgb:parts:actions\n", *labels]).encode())


def _write_masks(job: ExportJob, picture: LabelledPicture, stem: str, palette: bytes) -> None:
    found = find_all_pixels(picture.objects, picture.size, job.lost)
    objects = [pair for pair in found if not pair[0].crowd]
    void = [(VOID, pixels) for one, pixels in found if one.crowd]
    job.lost["crowds"] += len(void)
    surplus = max(0, len(objects) - MOST)  # the smallest
    job.lost["surplus"] += surplus
    objects = objects[: len(objects) - surplus]
    layers: list[tuple[int, Pixels]] = [(number, pixels) for number, (_, pixels) in enumerate(objects, 1)]
    numbers = paint_numbers([*void, *layers], picture.size, job.lost, skip=(VOID,))
    classes = np.arange(VOID + 1, dtype=np.uint16)
    classes[1 : len(objects) + 1] = [one.label + 1 for one, _ in objects]
    write_label(job.out / "SegmentationObject" / f"{stem}.png", encode_numbers(numbers, palette))
    write_label(job.out / "SegmentationClass" / f"{stem}.png", encode_numbers(classes[numbers], palette))
