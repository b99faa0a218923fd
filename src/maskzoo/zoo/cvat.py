"""A model as a function of CVAT: for `cvat-cli` and agents (`--function-module maskzoo.zoo.cvat`), and for nuclio.

A mask of cvat-sdk is run lengths of its smallest rectangle, one of nuclio's functions the pixels themselves; both end with the
rectangle's first and last pixel.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.datasets.exporters.outlines import draw_polygons, join_parts
from maskzoo.errors import ArgumentError
from maskzoo.inference.choice import SCORE
from maskzoo.inference.outlined import list_objects
from maskzoo.inference.predictor import Predictor
from maskzoo.system.packages import import_extra
from maskzoo.zoo.load import load

__all__ = ["Function", "answer", "create", "describe_labels"]


def create(model: str = "mask_rcnn_r50_fpn_1x_coco", **options: Any) -> Function:
    """Return the function that `cvat-cli` and CVAT's agents call; `model` and options as for `load`.

    Raises MissingPackageError if cvat-sdk is not installed, MaskzooError as `load` does.
    """
    return Function(load(model, **options))


def describe_labels(classes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return the labels of a function by id, as both forms declare them."""
    return [{"id": number, "name": name, "type": "mask"} for number, name in classes.items()]


class Function:
    """The detection function of a predictor, by the interface of `cvat_sdk.auto_annotation`: `spec` and `detect`."""

    def __init__(self, predictor: Predictor) -> None:
        cvat = import_extra("cvat_sdk.auto_annotation")
        self._predictor, self._cvat = predictor, cvat
        labels = [cvat.label_spec(**label) for label in describe_labels(predictor.config.classes)]
        self.spec = cvat.DetectionFunctionSpec(labels=labels)

    def detect(self, context: Any, image: Image.Image) -> list[Any]:
        """Return the shapes on a picture: masks, or polygons if the context wants these; those of one object are a group.

        Objects without a pixel are left out, for CVAT holds none. Raises ImageError for a picture that cannot be used.
        """
        score = SCORE if context.conf_threshold is None else context.conf_threshold
        prediction = self._predictor.predict(image, score=score)
        shapes = []
        for one, label in zip(list_objects(prediction), prediction.category_ids.tolist(), strict=True):
            mask, offset = prediction.masks.crop(one.number - 1)
            if not mask.any():
                continue
            if context.conv_mask_to_poly:
                polygons = draw_polygons(one, prediction.size)
                group = {"group": one.number} if len(polygons) > 1 else {}
                shapes += [self._cvat.polygon(label, polygon.tolist(), **group) for polygon in polygons]
            else:
                points = [*_count_runs(mask), *_name_corners(mask, offset)]
                shapes.append(self._cvat.mask(label, list(map(float, points))))
        return shapes


def answer(predictor: Predictor, body: Mapping[str, Any] | bytes | str) -> list[dict[str, Any]]:
    """Return what nuclio's function answers to CVAT: a row for each object that has a pixel.

    Args:
        predictor: Finds the objects.
        body: The request: `image` in base64, and the least score as `threshold`.

    Raises:
        ArgumentError: The request has no image.
        ImageError: The image cannot be read.
    """
    asked = body if isinstance(body, Mapping) else json.loads(body)
    try:
        content = base64.b64decode(asked["image"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArgumentError(f"image: {error!r}; expected the file in base64, as CVAT sends it") from error
    score = SCORE if asked.get("threshold") is None else float(asked["threshold"])
    prediction = predictor.predict(content, score=score)
    rows = []
    for one, name in zip(list_objects(prediction), prediction.names, strict=True):
        mask, offset = prediction.masks.crop(one.number - 1)
        if mask.any():
            outline = join_parts(draw_polygons(one, prediction.size), prediction.size)
            pixels = [*mask.ravel().astype(int).tolist(), *_name_corners(mask, offset)]
            row = {"confidence": str(one.score), "label": name, "type": "mask", "points": outline.tolist(), "mask": pixels}
            rows.append(row)
    return rows


def _count_runs(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[int]:
    """Yield the run lengths row by row, of pixels outside first."""
    ends = np.flatnonzero(np.diff(mask.ravel(), prepend=False, append=~mask.ravel()[-1]))
    yield from np.diff(ends, prepend=0).tolist()


def _name_corners(mask: np.ndarray[Any, np.dtype[np.bool_]], offset: tuple[int, int]) -> list[int]:
    """Return x, y of the first and the last pixel of a rectangle."""
    x, y = map(int, offset)
    return [x, y, x + mask.shape[1] - 1, y + mask.shape[0] - 1]
