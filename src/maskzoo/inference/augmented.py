"""Test-time augmentation: a photo is predicted several times, flipped and at other scales, and what is found is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import ArgumentError
from maskzoo.images.batch import canvas_size
from maskzoo.images.resize import resize_image
from maskzoo.inference.merging import Piece, group_pieces
from maskzoo.inference.prediction import Masks, Prediction
from maskzoo.inference.predictor import Photo, PhotoPredictor, Predictor

__all__ = ["AugmentedPredictor", "augment"]

SAME = 0.7  # IoU of two masks of one object: with 0.5 objects that hide each other are mixed, and mask AP75 falls


def augment(predictor: Predictor, *, flip: bool = False, scales: Sequence[float] = ()) -> Predictor:
    """Return a predictor that looks at every photo several times and averages what it finds, for better masks and scores.

    It takes the place of the other one everywhere: in `predict`, `predict_folder`, tiles, an evaluation.

    Args:
        predictor: What predicts one view.
        flip: Look at the mirror image too.
        scales: Look at the photo at other sizes too, as parts of the network's usual input: 0.8 and 1.2, say.

    Returns:
        The predictor; the same one if nothing is to be augmented. It takes as many times as long as there are views.

    Raises:
        ArgumentError: A scale is out of range, or the predictor is of an exported file that resizes photos itself.
    """
    if wrong := [scale for scale in scales if not 0.1 <= scale <= 10]:
        raise ArgumentError(f"scales (--scales): found {wrong[0]}; expected 0.1 to 10 times the network's input")
    if scales and isinstance(predictor, PhotoPredictor):
        raise ArgumentError("scales (--scales): the exported file resizes photos itself; expected flip alone")
    return AugmentedPredictor(predictor, flip, tuple(scales)) if flip or scales else predictor


class AugmentedPredictor(Predictor):
    """The predictor that `augment` makes.

    Objects of several views are one where their masks are (`group_pieces`). Box and mask are means, weighted by score. The
    score is the mean of the best one and of that over all views, where one that does not see the object counts 0.
    """

    def __init__(self, predictor: Predictor, flip: bool, scales: tuple[float, ...]) -> None:
        super().__init__(predictor.backend, predictor.config, predictor.why)
        self.single, self.flip, self.scales = predictor, flip, scales

    def describe_views(self) -> str:
        return ", ".join([*(["flip"] if self.flip else []), *(f"scale {scale:g}" for scale in self.scales)])

    def predict_prepared(self, photos: Sequence[Photo]) -> list[Prediction]:
        views = []
        for scale in (1.0, *self.scales):
            views.append(self.single.predict_prepared([self._scale(photo, scale) for photo in photos]))
            if self.flip:
                mirrored = [replace(photo, pixels=np.ascontiguousarray(photo.pixels[:, ::-1])) for photo in photos]
                found = self.single.predict_prepared([self._scale(photo, scale) for photo in mirrored])
                views.append([_mirror(one) for one in found])
        total = self.config.limits.detections.total
        return [_average(found, total) for found in zip(*views, strict=True)]

    def _scale(self, photo: Photo, scale: float) -> Photo:
        """Resize the photo so that its sides are `scale` times the network's usual ones."""
        settings = self.config.input
        sides = round(scale * settings.short_side), round(scale * settings.long_side)
        resized = resize_image(photo.pixels, *sides, settings.resize)
        height, width = resized.pixels.shape[:2]
        return replace(photo, resized=resized, canvas=canvas_size(height, width, settings.canvas_multiple))


def _mirror(found: Prediction) -> Prediction:
    """Turn what was found on a mirror image back."""
    masks, width = found.masks, np.float32(found.size[1])
    maps = np.ascontiguousarray(masks.probabilities[:, :, ::-1])
    turned = Masks(maps, _mirror_boxes(masks.boxes, width), masks.size, masks.threshold)
    return replace(found, boxes=_mirror_boxes(found.boxes, width), masks=turned)


def _mirror_boxes(boxes: NDArray[np.float32], width: np.float32) -> NDArray[np.float32]:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def _average(views: Sequence[Prediction], total: int) -> Prediction:
    """Put together what the views of one photo show; the first is the photo itself. At most `total` objects, the best first."""
    first = views[0]
    scores, boxes, labels, ids = (
        np.concatenate([getattr(found, name) for found in views]) for name in ("scores", "boxes", "labels", "category_ids")
    )
    maps = np.concatenate([found.masks.probabilities for found in views])
    frames = np.concatenate([found.masks.boxes for found in views])
    numbers = np.repeat(np.arange(len(views)), [len(found) for found in views])
    runs = chain.from_iterable(found.masks.runs() for found in views)
    rows = zip(numbers.tolist(), labels.tolist(), scores.tolist(), boxes, runs, strict=True)
    whole = (0, 0, first.size[1], first.size[0])
    groups = group_pieces([Piece(*row, cut=False) for row in rows], [whole] * len(views), first.size[0], SAME)

    members = np.zeros((len(groups), len(scores)), np.float32)
    for row, group in zip(members, groups, strict=True):
        row[group] = scores[group]
    sums = members.sum(axis=1)
    merged = (members.max(axis=1, initial=0) + sums / len(views)) / 2
    order = np.argsort(-merged, kind="stable")[:total]
    best = np.array([group[0] for group in groups], np.int64)[order]
    shares = members[order] / sums[order, None]
    names = list(chain.from_iterable(found.names for found in views))
    return replace(
        first,
        boxes=shares @ boxes,
        scores=merged[order],
        labels=labels[best],
        names=tuple(names[place] for place in best),
        category_ids=ids[best],
        masks=Masks(np.tensordot(shares, maps, 1), shares @ frames, first.size, first.masks.threshold),
    )
