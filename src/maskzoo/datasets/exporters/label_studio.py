"""Label Studio: a list of tasks, and the labelling interface that they belong to.

Points are in percent of the picture. A brush is the picture's RGBA bytes, of which only alpha counts, packed by bits as
thi.ng's rle-pack: 32 bits say how many bytes there are, 5 bits the size of a byte less one, 4 times 4 bits the sizes of
counts less one; then come runs of one bit that says whether a byte is repeated, two bits for which size its count has,
the count less one, and the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.coco_writer import encode_json, find_smallest_folder, straighten
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import draw_polygons, find_pixels, has_cut
from maskzoo.system.files import write_file

__all__ = ["INTERFACE", "encode_brush", "write_label_studio"]

INTERFACE = "labelling_interface.xml"
COUNT_SIZES = (3, 4, 8, 16)  # bits of a count
CHANNELS = 4


def write_label_studio(job: ExportJob) -> dict[str, Path]:
    """Write the tasks and, beside them, the interface. Predictions become `predictions`, which a person corrects."""
    root = _find_root(job)
    number, parts = 0, [b"["]
    for split in job.splits:
        for picture in job.pictures(split):
            task = _make_task(job, split, picture, root)
            parts += [b"" if number == 0 else b",\n", encode_json(task, job.out).strip()]
            number += 1
    write_file(job.out, [*parts, b"]\n"])
    interface = job.out.with_name(INTERFACE)
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in job.classes)
    controls = "".join(
        f'  <{kind}Labels name="{kind.lower()}" toName="image">\n{labels}  </{kind}Labels>\n' for kind in ("Polygon", "Brush")
    )
    write_file(interface, f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n{controls}</View>\n'.encode())
    place = root or "the pictures"
    job.notes.append(
        f"In Label Studio: paste {interface} as the labelling interface, add local storage for {place}, started with "
        f"LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={place}, then "
        f"import {job.out}"
    )
    return dict.fromkeys(job.splits, job.out)


def _find_root(job: ExportJob) -> Path | None:
    """Return the folder of all pictures that are found."""
    pictures = (picture for split in job.splits.values() for picture in split.pictures())
    paths = [picture.path for picture in pictures if picture.path is not None]
    return find_smallest_folder(paths, job.out) if paths else None


def _make_task(job: ExportJob, split: str, picture: LabelledPicture, root: Path | None) -> dict[str, Any]:
    image = picture.name
    if picture.path is not None and root is not None:
        image = f"/data/local-files/?d={quote(straighten(picture.path).relative_to(root).as_posix())}"
    results = [row for one in picture.objects for row in _list_results(job, one, picture)]
    task: dict[str, Any] = {
        "data": {
            "image": image,
            "file_name": picture.name,
            "image_id": picture.number,
            "split": split,
        }
    }
    if job.model is None:
        return task | {"annotations": [{"result": results}]}
    scores = [one.score for one in picture.objects if one.score is not None]
    score = sum(scores) / len(scores) if scores else 0.0
    return task | {"predictions": [{"model_version": job.model, "score": score, "result": results}]}


def _list_results(job: ExportJob, one: LabelledObject, picture: LabelledPicture) -> Iterator[dict[str, Any]]:
    """Yield the polygon of an object that is one without a hole, else its brush."""
    polygons = draw_polygons(one, picture.size)
    if len(polygons) == 1 and not has_cut(polygons[0]):
        points = polygons[0].reshape(-1, 2) * 100 / np.array(picture.size[::-1])
        yield _make_result(job, one, picture, "polygon", {"points": points.tolist(), "closed": True})
        return
    pixels = find_pixels(one, picture.size)
    if pixels is None:
        job.lost["empty"] += 1
        return
    mask = np.zeros(picture.size, np.uint8)
    mask[pixels.top : pixels.top + pixels.mask.shape[0], pixels.left : pixels.left + pixels.mask.shape[1]] = pixels.mask
    yield _make_result(job, one, picture, "brush", {"format": "rle", "rle": encode_brush(mask)})


def _make_result(
    job: ExportJob, one: LabelledObject, picture: LabelledPicture, kind: str, value: dict[str, Any]
) -> dict[str, Any]:
    row = {
        "id": str(one.number),
        "type": f"{kind}labels",
        "from_name": kind,
        "to_name": "image",
        "original_width": picture.size[1],
        "original_height": picture.size[0],
        "image_rotation": 0,
        "value": value | {f"{kind}labels": [job.classes[one.label]]},
    }
    about = one.describe()
    return row | ({"meta": about} if about else {}) | ({} if one.score is None else {"score": one.score})


def encode_brush(mask: NDArray[np.uint8]) -> list[int]:
    """Return the bytes of a brush with the pixels of a 0/1 mask `[H W]`."""
    flat = mask.ravel() > 0
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.append(starts, flat.size)) * CHANNELS
    bits = [f"{flat.size * CHANNELS:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in COUNT_SIZES)]
    for length, value in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        byte = "1" * 8 if value else "0" * 8
        for start in range(0, length, 1 << COUNT_SIZES[-1]):
            count = min(length - start, 1 << COUNT_SIZES[-1])
            place = next(place for place, size in enumerate(COUNT_SIZES) if count <= 1 << size)
            bits.append(f"1{place:02b}{count - 1:0{COUNT_SIZES[place]}b}{byte}")
    text = "".join(bits)
    packed = np.packbits(np.frombuffer(text.encode("ascii"), np.uint8) - ord("0"))
    return packed.tolist()
