"""Verbs on boxes: a box is the last axis of a tensor, x1 y1 x2 y2, continuous corners (width is x2 - x1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maskzoo.ops.transfer import send

__all__ = ["BOX_WEIGHTS", "MAX_GROWTH", "RPN_WEIGHTS", "cap_shrinking", "clip", "decode", "encode", "pairwise_iou", "sides"]

# Growth is capped at 1000/16; the published weights were trained with this cap.
MAX_GROWTH = math.log(1000.0 / 16)
RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return width and height `[...]` of boxes `[... 4]`; negative where corners are swapped."""
    return boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Clip boxes `[B ... 4]` to the images' `sizes` `[B 2]` (height, width): x to 0..W, y to 0..H."""
    limits = torch.cat([sizes[:, 1:], sizes[:, :1]] * 2, dim=1).reshape(-1, *[1] * (boxes.dim() - 2), 4)
    return torch.minimum(boxes.clamp(min=0), limits)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU `[... N M]` of boxes `[... N 4]` and `[... M 4]`; 0 where they do not overlap."""
    width = torch.minimum(first[..., :, None, 2], second[..., None, :, 2])
    width = width.sub_(torch.maximum(first[..., :, None, 0], second[..., None, :, 0])).clamp_(min=0)
    height = torch.minimum(first[..., :, None, 3], second[..., None, :, 3])
    height = height.sub_(torch.maximum(first[..., :, None, 1], second[..., None, :, 1])).clamp_(min=0)
    shared = width.mul_(height)
    (first_width, first_height), (second_width, second_height) = sides(first), sides(second)
    areas = (first_width * first_height)[..., :, None] + (second_width * second_height)[..., None, :]
    return torch.where(shared > 0, shared / (areas - shared), shared)


def encode(source: Tensor, target: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Return the deltas `[... 4]` (dx dy dw dh, times `weights`) that move boxes `source` onto `target`."""
    (width, height), (to_width, to_height) = sides(source), sides(target)
    dx = (target[..., 0] + 0.5 * to_width - (source[..., 0] + 0.5 * width)) / width
    dy = (target[..., 1] + 0.5 * to_height - (source[..., 1] + 0.5 * height)) / height
    deltas = torch.stack([dx, dy, torch.log(to_width / width), torch.log(to_height / height)], dim=-1)
    return deltas * _hold(weights, deltas)


def decode(source: Tensor, deltas: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Return boxes `[... 4]`: `source` moved by `deltas` `[... 4]`. Growth is capped above only, shifts are not."""
    width, height = sides(source)
    dx, dy, dw, dh = (deltas / _hold(weights, deltas)).unbind(-1)
    centre_x = source[..., 0] + 0.5 * width + dx * width
    centre_y = source[..., 1] + 0.5 * height + dy * height
    half_width = 0.5 * width * dw.clamp(max=MAX_GROWTH).exp()
    half_height = 0.5 * height * dh.clamp(max=MAX_GROWTH).exp()
    return torch.stack([centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height], dim=-1)


def cap_shrinking(deltas: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Return `deltas` `[... 4]` (times `weights`) under which a box shrinks no further than `decode` lets it grow."""
    least = (-math.inf, -math.inf, -MAX_GROWTH * weights[2], -MAX_GROWTH * weights[3])
    return torch.maximum(deltas, _hold(least, deltas))


def _hold(values: tuple[float, ...], like: Tensor) -> Tensor:
    return send(torch.tensor(values, dtype=like.dtype), like.device)
