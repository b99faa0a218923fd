"""The best and the worst images of an evaluation: what is there beside what was found, as small JPEG pictures.

An object that is found and its detection have one colour, a missed object another, a wrong detection a third.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.drawn_objects import DrawnObjects, describe_annotations, describe_objects, read_annotated_photo
from maskzoo.drawing.objects import CROWD, draw_objects
from maskzoo.errors import ImageError
from maskzoo.evaluation.analysis import UNMATCHED, Analysis
from maskzoo.evaluation.results import Results

__all__ = ["Picture", "make_pictures"]

LONGEST_SIDE = 720  # pixels: sharp on a fine screen at half the width of a page
LEAST_SIDE = 360  # of the longer side: labels would hide a smaller photo, so it is enlarged by a whole factor
JPEG_QUALITY = 80
# Told apart without red and green, too; page.css has the same three. A detection of a part of a crowd is neither.
RIGHT, WRONG, MISSED, NEITHER = (15, 157, 110), (236, 94, 20), (64, 112, 245), CROWD


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of the data set: JPEG bytes of the `truth` and of the `prediction` drawn on it, and how good it is.

    `error` says why there are no pictures, if so. `quality` 0 to 1; `found`, `missed` and `false` count objects.
    """

    group: Literal["best", "worst"]
    name: str
    image_id: int
    quality: float
    found: int
    missed: int
    false: int
    truth: bytes = b""
    prediction: bytes = b""
    error: str | None = None


def make_pictures(
    annotations: AnnotationSet, results: Results, analysis: Analysis, folder: Path, *, count: int = 4
) -> list[Picture]:
    """Draw the `count` best and the `count` worst images, whose files lie in `folder`; fewer if there are not so many."""
    ranked = analysis.images.rank().tolist()
    best = ranked[: min(count, -(-len(ranked) // 2))]
    worst = ranked[len(best) :][::-1][:count]
    return [
        _make_picture(annotations, results, analysis, folder, image, group)
        for group, images in (("best", best), ("worst", worst))
        for image in images
    ]


def _make_picture(
    annotations: AnnotationSet, results: Results, analysis: Analysis, folder: Path, image: int, group: Any
) -> Picture:
    scores = analysis.images
    facts: dict[str, Any] = {
        "group": group,
        "name": annotations.file_name(image),
        "image_id": int(annotations.image_ids[image]),
        "quality": float(scores.quality[image]),
        **{name: int(getattr(scores, name)[image]) for name in ("found", "missed", "false")},
    }
    try:
        photo = read_annotated_photo(annotations, image, folder)
    except ImageError as error:
        return Picture(**facts, error=str(error))
    times = -(-LEAST_SIDE // max(photo.shape[:2]))
    photo = photo.repeat(times, axis=0).repeat(times, axis=1)
    drawn = photo.shape[0], photo.shape[1]
    masks = analysis.kind == "mask"
    rows = np.arange(annotations.first[image], annotations.first[image + 1])
    objects = describe_annotations(annotations, image, rows, drawn)
    shown = np.flatnonzero((results.images == image) & (results.scores >= analysis.threshold))
    matches = analysis.matches[shown]
    colors = [RIGHT if row in matches else MISSED for row in rows.tolist()]
    truth = draw_objects(photo, objects, masks=masks, scores=False, crowd=annotations.crowd[rows], colors=colors)
    detected = _describe_found(annotations, results, shown, image, drawn)
    colors = [RIGHT if match >= 0 else WRONG if match == UNMATCHED else NEITHER for match in matches.tolist()]
    found = draw_objects(photo, detected, masks=results.has_masks, colors=colors)
    return Picture(**facts, truth=_encode(truth), prediction=_encode(found))


def _describe_found(
    annotations: AnnotationSet, results: Results, rows: NDArray[np.int64], image: int, drawn: tuple[int, int]
) -> DrawnObjects:
    """Return the detections `rows` of an image, for a picture of height and width `drawn`."""
    names = [annotations.classes.names[label] for label in results.labels[rows].tolist()]
    outlines = [results.runs[row] for row in rows.tolist()] if results.has_masks else []
    height, width = annotations.sizes[image].tolist()
    boxes = results.take(rows).bound(annotations)
    ids = annotations.classes.to_ids(results.labels[rows])
    return describe_objects(boxes, results.scores[rows], names, ids, outlines, (height, width), drawn)


def _encode(picture: Image.Image) -> bytes:
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return stream.getvalue()
