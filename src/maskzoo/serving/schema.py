"""The JSON of the server: its form, and how a prediction becomes it."""

from __future__ import annotations

import base64
import io
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from maskzoo.inference.prediction import Prediction, draw_prediction

__all__ = [
    "AnswerKind",
    "BatchAnswer",
    "MaskKind",
    "ModelFacts",
    "ModelList",
    "PredictionAnswer",
    "Problem",
    "Status",
    "draw_answer",
    "make_answer",
    "trace_polygons",
]

Ring = list[float]


class MaskKind(StrEnum):
    rle = "rle"
    polygon = "polygon"
    png = "png"
    map = "map"
    none = "none"


class AnswerKind(StrEnum):
    json = "json"
    jpeg = "jpeg"
    png = "png"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """Why there is no answer (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was found, what was expected, what to do.")
    id: str = Field(description="The request's id, which the server's log has too.")


class RunLengths(_Answer):
    size: list[int] = Field(min_length=2, max_length=2, description="The photo's height and width.")
    counts: str = Field(description="COCO's compressed run lengths.")


class Picture(_Answer):
    """A mask's smallest rectangle as a PNG of one bit a pixel, and where its first pixel lies on the photo."""

    x: int
    y: int
    png: str = Field(description="base64")


class Probabilities(_Answer):
    """The network's own mask: side x side probabilities, stretched over the object's box."""

    side: int
    float32: str = Field(description="base64 of little-endian numbers, row by row")


class Detection(_Answer):
    label: int = Field(description="From 0, without background.")
    name: str
    category_id: int = Field(description="The data set's own number of the class.")
    score: float = Field(ge=0, le=1)
    box: list[float] = Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels of the photo.")
    area: int | None = Field(default=None, description="Pixels of the mask; absent with masks=map and masks=none.")
    segmentation: RunLengths | list[list[Ring]] | Picture | Probabilities | None = Field(
        default=None,
        description="As `masks` asks: run lengths; polygons (each an outer ring x, y, x, y ... and then its holes); a picture; "
        "the network's probabilities; absent with masks=none.",
    )


class PredictionAnswer(_Answer):
    """The objects on one photo, its EXIF orientation applied."""

    id: str
    model: str
    height: int
    width: int
    scale: list[float] = Field(min_length=2, max_length=2, description="The network's size by the photo's, down and across.")
    mask_threshold: float = Field(description="The probability from which a pixel belongs to a mask.")
    detections: list[Detection]


class BatchAnswer(_Answer):
    """A prediction or a problem for each photo, in the order of the photos."""

    id: str
    results: list[PredictionAnswer | Problem]


class ModelFacts(_Answer):
    name: str = Field(description="What `model` takes.")
    default: bool
    row: str = Field(description="The name in its model file.")
    backend: str
    dtype: str
    classes: dict[str, str] = Field(description="Category ids and names.")
    short_side: int
    long_side: int


class ModelList(_Answer):
    models: list[ModelFacts]


class Status(_Answer):
    status: str


def make_answer(prediction: Prediction, masks: MaskKind, request_id: str, model: str) -> dict[str, Any]:
    """Return the JSON of a prediction, as `PredictionAnswer` says."""
    fields = zip(
        prediction.labels.tolist(),
        prediction.names,
        prediction.category_ids.tolist(),
        prediction.scores.tolist(),
        prediction.boxes.tolist(),
        _describe_masks(prediction, masks),
        strict=True,
    )
    keys = ("label", "name", "category_id", "score", "box")
    return {
        "id": request_id,
        "model": model,
        "height": prediction.size[0],
        "width": prediction.size[1],
        "scale": list(prediction.scale),
        "mask_threshold": prediction.masks.threshold,
        "detections": [dict(zip(keys, values, strict=True)) | mask for *values, mask in fields],
    }


def _describe_masks(prediction: Prediction, kind: MaskKind) -> list[dict[str, Any]]:
    masks = prediction.masks
    if kind is MaskKind.none:
        return [{} for _ in range(len(masks))]
    if kind is MaskKind.map:
        return [
            {"segmentation": {"side": len(one), "float32": _to_base64(one.astype("<f4").tobytes())}}
            for one in masks.probabilities
        ]
    if kind is MaskKind.rle:
        forms: list[Any] = masks.rle()
    elif kind is MaskKind.polygon:
        forms = [trace_polygons(*masks.crop(index)) for index in range(len(masks))]
    else:
        forms = [_to_picture(*masks.crop(index)) for index in range(len(masks))]
    return [{"area": area, "segmentation": form} for area, form in zip(masks.area().tolist(), forms, strict=True)]


def trace_polygons(mask: NDArray[np.bool_], offset: tuple[int, int]) -> list[list[Ring]]:
    """Return the polygons of a mask `[h w]` whose first pixel lies at x, y of `offset`: exact, along the pixels' edges.

    Each is a list of rings x, y, x, y ..., the outline first, then the holes.
    """
    twice = np.pad(mask.astype(np.uint8), 1).repeat(2, 0).repeat(2, 1)
    found, tree = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    polygons: dict[int, list[Ring]] = {}
    for index in sorted(range(len(found)), key=lambda index: int(tree[0, index, 3]) >= 0):  # outlines before their holes
        # The contour runs through the middles of half pixels: the odd ones end at their right edge, the even ones begin there.
        edges = (found[index][:, 0].astype(np.int64) + 1) // 2 - 1 + np.array(offset)
        edges = edges[(edges != np.roll(edges, 1, axis=0)).any(axis=1)]
        polygons.setdefault(index if tree[0, index, 3] < 0 else int(tree[0, index, 3]), []).append(
            edges.reshape(-1).astype(float).tolist()
        )
    return list(polygons.values())


def _to_picture(mask: NDArray[np.bool_], offset: tuple[int, int]) -> dict[str, Any]:
    if not mask.size:
        mask = np.zeros((1, 1), np.bool_)  # a PNG has at least a pixel
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return {"x": int(offset[0]), "y": int(offset[1]), "png": _to_base64(stream.getvalue())}


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def draw_answer(prediction: Prediction, kind: AnswerKind) -> bytes:
    """Return the photo with the objects drawn on it, as a file."""
    stream = io.BytesIO()
    draw_prediction(prediction).save(stream, kind.value, quality=90)
    return stream.getvalue()
