"""CVAT's "CVAT for images 1.1": one XML file with all pictures.

A mask is given by the numbers of pixels outside and inside in turn, row by row, in the box from `left` and `top` on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture, to_text
from maskzoo.datasets.exporters.outlines import Pixels, draw_outline, find_pixels
from maskzoo.errors import MaskzooError
from maskzoo.system.files import write_file

__all__ = ["write_cvat"]

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_cvat(job: ExportJob) -> dict[str, Path]:
    """Write the file. An object of one polygon without a hole is a polygon, any other a mask."""
    write_file(job.out, (_check(text, job.out).encode() for text in _write_parts(job)))
    job.notes.append(f"In CVAT: make a task of these pictures with the labels of {job.out}, then Upload annotations > CVAT 1.1")
    return dict.fromkeys(job.splits, job.out)


def _check(text: str, path: Path) -> str:
    if bad := _NO_XML.search(text):
        raise MaskzooError(f"{path}: {bad[0]!r} stands in a name or attribute, and XML has no such character; rename it")
    return text


def _write_parts(job: ExportJob) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield f"  <meta>\n    <task>\n      <name>{escape(job.out.stem)}</name>\n"
    yield f"      <size>{sum(map(len, job.splits.values()))}</size>\n      <mode>annotation</mode>\n"
    yield "      <labels>\n"
    attributes = "".join(
        f"<attribute><name>{escape(name)}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
        for name in _list_attributes(job)
    )
    for name in job.classes:
        yield f"        <label><name>{escape(name)}</name><type>any</type><attributes>{attributes}</attributes></label>\n"
    yield "      </labels>\n    </task>\n  </meta>\n"
    number = 0
    for split in job.splits:
        for picture in job.pictures(split):
            subset = "" if list(job.splits) == ["train"] else f"subset={quoteattr(split)} "  # other readers want none then
            place = f'{subset}width="{picture.size[1]}" height="{picture.size[0]}"'
            yield f'  <image id="{number}" name={quoteattr(picture.name)} {place}>\n'
            yield from (_write_object(job, one, picture) for one in picture.objects)
            yield "  </image>\n"
            number += 1
    yield "</annotations>\n"


def _list_attributes(job: ExportJob) -> list[str]:
    """Return the names of all attributes: CVAT drops those that its labels do not have."""
    pictures = (picture for split in job.splits.values() for picture in split.pictures())
    return sorted({name for picture in pictures for one in picture.objects for name in one.describe()})


def _write_object(job: ExportJob, one: LabelledObject, picture: LabelledPicture) -> str:
    outline = draw_outline(one, picture.size)
    about = f'label={quoteattr(job.classes[one.label])} source="{"auto" if job.model else "manual"}" occluded="0" z_order="0"'
    inner = "".join(
        f"      <attribute name={quoteattr(name)}>{escape(to_text(value))}</attribute>\n"
        for name, value in one.describe().items()
    )
    if outline is not None:
        points = ";".join(f"{x:.9g},{y:.9g}" for x, y in outline.reshape(-1, 2).tolist())
        return f'    <polygon {about} points="{points}">\n{inner}    </polygon>\n'
    pixels = find_pixels(one, picture.size)
    if pixels is None:
        job.lost["empty"] += 1
        return ""
    place = f'left="{pixels.left}" top="{pixels.top}" width="{pixels.mask.shape[1]}" height="{pixels.mask.shape[0]}"'
    return f'    <mask {about} rle="{", ".join(map(str, _count_runs(pixels)))}" {place}>\n{inner}    </mask>\n'


def _count_runs(pixels: Pixels) -> list[int]:
    flat = pixels.mask.ravel() > 0
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    counts: list[int] = np.diff([0, *changes.tolist(), flat.size]).tolist()
    return counts
