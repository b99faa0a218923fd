"""Which anchors and proposals of a step train the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskzoo.config import BoxSampling, RpnSampling
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.ops.boxes import pairwise_iou, sides
from maskzoo.ops.transfer import send
from maskzoo.structures import GroundTruth, Proposals, Samples

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "IGNORED",
    "Matches",
    "Shuffle",
    "assign_boxes",
    "in_order",
    "list_slots",
    "match",
    "rasterize",
    "sample_anchors",
    "sample_boxes",
    "shuffle_by",
]

MIN_SIDE = 0.1  # of a RoI in pixels: thinner ones are stretched less, as in the published training

FOREGROUND, BACKGROUND, IGNORED = 1, 0, -1

Shuffle = Callable[[int], Tensor]  # a permutation of 0..n-1
_Chosen = tuple[Tensor, Tensor, Tensor, int]  # boxes, labels and objects of an image, foreground first, and how many that is


def in_order(count: int) -> Tensor:
    """Leave candidates in their order."""
    return torch.arange(count)


def shuffle_by(generator: torch.Generator) -> Shuffle:
    """Shuffle candidates by a seeded generator."""
    return lambda count: torch.randperm(count, generator=generator)


def sample_anchors(
    anchors: Tensor, truth: GroundTruth, image: int, settings: RpnSampling, shuffle: Shuffle
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the anchors `[A 4]` that train the RPN on one image.

    Returns the indices of the positive `[P]` and the negative ones `[N]`, and the positives' objects `[P 4]`.
    """
    count = len(truth.outlines[image])
    boxes, crowd = truth.boxes[image, :count], truth.crowd[image, :count]
    matches = match(anchors, boxes, crowd, settings.positive_iou, settings.negative_iou, rescue=True)
    positive, negative = _choose(matches.kind, settings.samples, settings.positive_fraction, shuffle)
    return positive, negative, boxes[matches.truth_index[positive]]


def sample_boxes(
    proposals: Proposals, truth: GroundTruth, settings: BoxSampling, background: int, shuffles: Sequence[Shuffle]
) -> Samples:
    """Choose the RoIs that train the heads, from the proposals and the objects themselves; `background` is their label."""
    batch = proposals.boxes.shape[0]
    images = [_sample_image(proposals, truth, image, settings, background, shuffles[image]) for image in range(batch)]
    return _fill(proposals.boxes, images, background)


def _fill(like: Tensor, images: Sequence[_Chosen], background: int) -> Samples:
    """The samples of all images in slots; `like` has their type and device."""
    batch = len(images)
    counts = tuple((foreground, len(labels)) for _, labels, _, foreground in images)
    slots = max(count for _, count in counts)
    boxes = like.new_zeros(batch, slots, 4)
    labels = torch.full((batch, slots), background, device=boxes.device)
    index = torch.zeros_like(labels)
    valid = torch.zeros_like(labels, dtype=torch.bool)
    for image, (image_boxes, image_labels, image_index, _) in enumerate(images):
        count = len(image_labels)
        boxes[image, :count], labels[image, :count], index[image, :count] = image_boxes, image_labels, image_index
        valid[image, :count] = True
    return Samples(boxes, labels, index, valid & (labels != background), valid, counts)


def assign_boxes(boxes: Tensor, samples: Samples, truth: GroundTruth, iou: float, background: int) -> Samples:
    """Say what `boxes` `[B S 4]`, which came of `samples`, stand for: objects from an overlap of `iou`, or `background`.

    None is left out but those without area, and of each image at least one stays.
    """
    images = [
        _assign_image(boxes[image, :count], truth, image, iou, background) for image, (_, count) in enumerate(samples.counts)
    ]
    return _fill(boxes, images, background)


def _assign_image(boxes: Tensor, truth: GroundTruth, image: int, iou: float, background: int) -> _Chosen:
    width, height = sides(boxes)
    filled = (width > 0) & (height > 0)
    filled[0] |= ~filled.any()
    boxes = boxes[filled]
    count = len(truth.outlines[image])
    matches = match(boxes, truth.boxes[image, :count], truth.crowd[image, :count], iou, iou)
    foreground, rest = (torch.nonzero(matches.kind == kind)[:, 0] for kind in (FOREGROUND, BACKGROUND))
    return _label(boxes, matches, truth.labels[image, :count], foreground, rest, background)


def list_slots(counts: Sequence[int], slots: int, device: torch.device) -> Tensor:
    """Return the places int64 `[sum(counts)]` of each image's first ones among the `slots` of all images, flattened."""
    starts = (image * slots for image in range(len(counts)))
    return torch.cat([torch.arange(start, start + n, device=device) for start, n in zip(starts, counts, strict=True)])


def _sample_image(
    proposals: Proposals, truth: GroundTruth, image: int, settings: BoxSampling, background: int, shuffle: Shuffle
) -> _Chosen:
    count = len(truth.outlines[image])
    objects = truth.boxes[image, :count]
    candidates = torch.cat([proposals.boxes[image], objects])
    threshold = settings.foreground_iou
    matches = match(candidates, objects, truth.crowd[image, :count], threshold, threshold)
    matches.kind[: -count or None].masked_fill_(~proposals.valid[image], IGNORED)
    foreground, rest = _choose(matches.kind, settings.samples, settings.foreground_fraction, shuffle)
    return _label(candidates, matches, truth.labels[image, :count], foreground, rest, background)


def _label(boxes: Tensor, matches: Matches, labels: Tensor, foreground: Tensor, rest: Tensor, background: int) -> _Chosen:
    chosen = torch.cat([foreground, rest])
    index = matches.truth_index[chosen]
    own = torch.full_like(chosen, background)
    own[: len(foreground)] = labels[index[: len(foreground)]]
    return boxes[chosen], own, index, len(foreground)


def _choose(kind: Tensor, samples: int, fraction: float, shuffle: Shuffle) -> tuple[Tensor, Tensor]:
    """Indices of at most int(samples * fraction) foreground boxes, and of background ones that fill up to `samples`.

    Chosen on the host: how many candidates there are decides what the generator draws.
    """
    host = kind.to(torch.int8).cpu().numpy()
    foreground, rest = (torch.from_numpy(np.flatnonzero(host == wanted)) for wanted in (FOREGROUND, BACKGROUND))
    count = min(int(samples * fraction), len(foreground))
    # The background is drawn first: the golden files fix the order of the draws.
    rest = rest[shuffle(len(rest))[: samples - count]]
    return send(foreground[shuffle(len(foreground))[:count]], kind.device), send(rest, kind.device)


@dataclass(frozen=True, slots=True)
class Matches:
    """Per box: `kind` int64 `[N]` (FOREGROUND, BACKGROUND or IGNORED) and `truth_index` int64 `[N]`, its best object."""

    kind: Tensor
    truth_index: Tensor


def match(boxes: Tensor, truth: Tensor, crowd: Tensor, positive: float, negative: float, *, rescue: bool = False) -> Matches:
    """Match boxes `[N 4]` with one image's objects `[G 4]`, of which `crowd` bool `[G]` take no part.

    Foreground from an IoU of `positive`, background below `negative`, ignored between. `rescue` makes every box that is
    some object's best foreground too, all of a tie; such a box still regresses to its own best object. A box that
    only a crowd region could match is ignored; without any object all boxes are background.
    """
    count = boxes.shape[0]
    index = torch.zeros(count, dtype=torch.int64, device=boxes.device)
    if len(truth) == 0:
        return Matches(torch.full_like(index, BACKGROUND), index)
    iou = pairwise_iou(truth, boxes).masked_fill_(crowd[:, None], -1)
    best, index = iou.max(dim=0)
    kind = torch.full_like(index, IGNORED)
    kind.masked_fill_((best > -1) & (best < negative), BACKGROUND).masked_fill_(best >= positive, FOREGROUND)
    if rescue:
        highest = iou.max(dim=1, keepdim=True).values
        kind.masked_fill_(((iou == highest) & (iou > 0)).any(dim=0), FOREGROUND)
    without = crowd.all()
    return Matches(kind.masked_fill_(without, BACKGROUND), index.masked_fill_(without, 0))


def rasterize(polygons: Sequence[Sequence[float]], box: Sequence[float], side: int) -> NDArray[np.uint8]:
    """Return the 0/1 mask `[side side]` of `polygons` (flat x y x y ..., pixels) inside `box` (x1 y1 x2 y2).

    The outline is moved and scaled in double precision and rasterised directly at `side`, by COCO's own rule.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    scale = side / max(x2 - x1, MIN_SIDE), side / max(y2 - y1, MIN_SIDE)
    return rasterize_polygons(polygons, (side, side), origin=(x1, y1), scale=scale)
