"""The best and the worst images of an evaluation: what is there beside what was found, as small JPEG pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.drawing.prediction_picture import draw_prediction
from maskzoo.errors import MaskzooError
from maskzoo.evaluation.analysis import Analysis, encode_outline
from maskzoo.evaluation.results import Results
from maskzoo.images.read import read_image
from maskzoo.inference.prediction import Masks, Prediction, check_size

__all__ = ["Picture", "make_pictures"]

LONGEST_SIDE = 720  # pixels: sharp on a fine screen at half the width of a page
JPEG_QUALITY = 80


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
    height, width = annotations.sizes[image].tolist()
    try:
        photo = read_image(folder / annotations.file_name(image))
        check_size(photo.shape[:2], (height, width))
    except MaskzooError as error:
        return Picture(**facts, error=str(error))
    shown = _encode(draw_prediction(photo, _describe_truth(annotations, analysis, image), scores=False))
    found = _encode(draw_prediction(photo, _describe_found(annotations, results, analysis, image)))
    return Picture(**facts, truth=shown, prediction=found)


def _describe_truth(annotations: AnnotationSet, analysis: Analysis, image: int) -> Prediction:
    """The annotated objects of an image, as if they had been predicted with certainty."""
    rows = np.arange(annotations.first[image], annotations.first[image + 1])
    names = [annotations.classes.names[label] for label in annotations.labels[rows].tolist()]
    names = [f"crowd of {name}" if crowd else name for name, crowd in zip(names, annotations.crowd[rows], strict=True)]
    outlines = [encode_outline(annotations, row) for row in rows.tolist()] if analysis.kind == "mask" else []
    return _describe(annotations, image, names, annotations.bbox[rows], np.ones(len(rows)), outlines)


def _describe_found(annotations: AnnotationSet, results: Results, analysis: Analysis, image: int) -> Prediction:
    """The detections from the threshold on."""
    rows = np.flatnonzero((results.images == image) & (results.scores >= analysis.threshold))
    names = [annotations.classes.names[label] for label in results.labels[rows].tolist()]
    size = annotations.sizes[image].tolist()
    outlines = [{"size": size, "counts": results.runs[row]} for row in rows.tolist()] if results.has_masks else []
    bbox = results.take(rows).bound(annotations)
    return _describe(annotations, image, names, bbox, results.scores[rows], outlines)


def _describe(
    annotations: AnnotationSet,
    image: int,
    names: Sequence[str],
    bbox: NDArray[np.float64],
    scores: NDArray[np.float64],
    outlines: Sequence[dict[str, Any]],
) -> Prediction:
    height, width = annotations.sizes[image].tolist()
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1).astype(np.float32)
    boxes = corners.clip(0, np.array([width, height] * 2, dtype=np.float32))
    labels = np.zeros(len(names), np.int64)  # drawing looks at the names
    masks = _DecodedMasks(outlines, boxes, (height, width))
    return Prediction(boxes, scores.astype(np.float32), labels, tuple(names), labels, masks, (height, width), (1.0, 1.0))


class _DecodedMasks(Masks):
    """Masks that were run lengths already: drawn by crops, like those of a prediction. None at all for boxes alone."""

    def __init__(self, outlines: Sequence[dict[str, Any]], boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
        super().__init__(np.zeros((len(boxes), 1, 1), np.float32), boxes, size)
        self._outlines = outlines

    def crop(self, index: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        if not self._outlines:
            return np.zeros((0, 0), np.bool_), (0, 0)
        mask = hotcoco.mask.decode(self._outlines[index]).astype(np.bool_)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return mask[:0, :0], (0, 0)
        return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (int(columns[0]), int(rows[0]))


def _encode(picture: Image.Image) -> bytes:
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return stream.getvalue()
