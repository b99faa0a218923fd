"""Objects cut out of their pictures: a PNG for each, transparent around it, and a table of where it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.exporters.content import ExportJob, LabelledPicture
from maskzoo.datasets.exporters.outlines import Pixels, find_pixels
from maskzoo.datasets.exporters.places import Names, write_label
from maskzoo.errors import ImageError, count_words, list_some
from maskzoo.images.read import read_image
from maskzoo.system.files import write_file

__all__ = ["TABLE", "write_cutouts"]

TABLE = "cutouts.csv"
COLUMNS = ("file", "split", "picture", "image_id", "id", "class", "score", "x", "y", "width", "height")


def write_cutouts(job: ExportJob) -> dict[str, Path]:
    """Write `CLASS/NAME-1.png` and so on, in a folder for each split if there are several, and, last, the table."""
    rows: list[Sequence[Any]] = [COLUMNS]
    folders, faults = _name_folders(job.classes), list[str]()
    for split in job.splits:
        names, inside = Names(), Path(split if len(job.splits) > 1 else "")
        for picture in job.pictures(split):
            name = names.name(picture).with_suffix("")
            photo = _read(job, picture, faults) if picture.objects else None
            for number, one in enumerate(picture.objects if photo is not None else (), 1):
                pixels = find_pixels(one, picture.size)
                if pixels is None or photo is None:
                    job.lost["empty"] += 1
                    continue
                file = inside / folders[one.label] / name.with_name(f"{name.name}-{number}.png")
                write_label(job.out / file, _cut(photo, pixels))
                score = "" if one.score is None else one.score
                about = [file.as_posix(), split, picture.name, picture.number, one.number, job.classes[one.label], score]
                rows.append([*about, pixels.left, pixels.top, pixels.mask.shape[1], pixels.mask.shape[0]])
    if faults:
        job.notes.append(f"Nothing was cut out of {count_words(len(faults), 'picture')}: {list_some(faults, 5, '; ')}")
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    write_file(job.out / TABLE, stream.getvalue().encode())
    return dict.fromkeys(job.splits, job.out / TABLE)


def _name_folders(classes: Sequence[str]) -> list[str]:
    """Return a folder's name for each class: its own, but for what no file system takes, and told apart by a number."""
    plain = [re.sub(r'[\x00-\x1f<>:"/\\|?*]|[. ]+$|^\.+', "_", name)[:100] or "_" for name in classes]
    folded = [name.casefold() for name in plain]
    return [name if folded.index(folded[place]) == place else f"{name}-{place}" for place, name in enumerate(plain)]


def _read(job: ExportJob, picture: LabelledPicture, faults: list[str]) -> NDArray[np.uint8] | None:
    fault = f"{picture.name}: its file is not there"
    try:
        photo = None if picture.path is None else read_image(picture.path)
        if photo is not None and photo.shape[:2] == picture.size:
            return photo
        if photo is not None:
            fault = f"{picture.path}: has {photo.shape[1]} x {photo.shape[0]} pixels, not {picture.size[1]} x {picture.size[0]}"
    except ImageError as error:
        fault = str(error)
    job.lost["unread"] += len(picture.objects)
    faults.append(fault)
    return None


def _cut(photo: NDArray[np.uint8], pixels: Pixels) -> bytes:
    mask, left, top = pixels
    window = photo[top : top + mask.shape[0], left : left + mask.shape[1]] * mask[..., None]
    stream = io.BytesIO()
    Image.fromarray(np.dstack([window, mask * np.uint8(255)])).save(stream, "PNG")
    return stream.getvalue()
