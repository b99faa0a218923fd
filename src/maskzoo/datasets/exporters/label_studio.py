"""Label Studio: a list of tasks, and the labelling interface that they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from maskzoo.datasets.coco_writer import encode_json, find_smallest_folder, straighten
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.label_studio_regions import draw_region
from maskzoo.system.files import write_file

__all__ = ["INTERFACE", "write_label_studio"]

INTERFACE = "labelling_interface.xml"


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
    """Yield the region of an object, which a picture holds if it has a pixel there."""
    region = draw_region(one, picture.size)
    if region is None:
        job.lost["empty"] += 1
        return
    row = region.to_result(str(one.number), region.kind, "image", job.classes[one.label], picture.size)
    about = one.describe()
    yield row | ({"meta": about} if about else {}) | ({} if one.score is None else {"score": one.score})
