"""The operators of ours in torch's own, for programs that run without our code: including sizes that depend on the data.

Each function takes and gives what the operator it stands for does. RoIAlign is the network's own, whose ragged sizes the
tracer can follow; suppression is the rule of `maskzoo.ops.nms` as one loop over all boxes of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from maskzoo.ops.boxes import BOX_WEIGHTS, clip, decode, pairwise_iou, sides
from maskzoo.ops.gather import take_rows
from maskzoo.ops.roi_align import make_table, pool_level

__all__ = ["TorchOperators", "detect", "nms", "roi_align"]


class TorchOperators(TorchFunctionMode):
    """While it is entered, operators of ours are traced as what they are made of."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        ours = torch.ops.maskzoo
        lowered: dict[Any, Callable[..., Any]] = {ours.roi_align: roi_align, ours.nms: nms, ours.detect: detect}
        return lowered.get(func, func)(*args, **(kwargs or {}))


def roi_align(
    features: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    strides: Sequence[int],
    side: int,
    aligned: bool,
    samples: int,
) -> Tensor:
    """Pool level by level: boxes come in rising order of levels, so the parts only need joining.

    Compiled code fails on a level without boxes: one without area is added to each, and left out at the end.
    """
    table, count = make_table(features, strides), boxes.shape[0]
    if len(features) == 1:
        pooled = pool_level(table, 0, boxes, images, side, aligned, samples).reshape(count, side, side, -1)
        return pooled.permute(0, 3, 1, 2)
    parts = []
    for level in range(len(features)):
        index = (levels == level).nonzero()[:, 0]
        chosen, on = F.pad(boxes[index], (0, 0, 0, 1)), F.pad(images[index], (0, 1))
        parts.append(pool_level(table, level, chosen, on, side, aligned, samples))
    pooled = torch.cat(parts).reshape(count + len(features), side, side, features[0].shape[1])
    return pooled[torch.arange(count, device=boxes.device) + levels].permute(0, 3, 1, 2)


def nms(boxes: Tensor, valid: Tensor, iou: float, limit: int | None = None) -> Tensor:
    """A box is kept when no kept, earlier one is over it: repeated until nothing changes, that is the greedy answer."""
    over = torch.triu(pairwise_iou(boxes, boxes) > iou, diagonal=1)

    def changes(kept: Tensor, again: Tensor) -> Tensor:
        return (kept != again).any()

    def repeat(kept: Tensor, again: Tensor) -> tuple[Tensor, Tensor]:
        return again.clone(), valid & ~(again[:, :, None] & over).any(dim=1)

    kept: Tensor = torch.while_loop(changes, repeat, (torch.zeros_like(valid), valid.clone()))[0]
    return kept if limit is None else kept & (kept.cumsum(dim=1) <= limit)


def detect(
    class_scores: Tensor,
    box_deltas: Tensor,
    proposals: Tensor,
    valid: Tensor,
    sizes: Tensor,
    least: float,
    iou: float,
    total: int,
    min_side: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Suppress in one list for each image and class, padded to all proposals.

    A candidate's number is class * P + proposal: rising, it is the order of detections, and what decides between equals.
    """
    batch, count, classes = box_deltas.shape[:3]
    probability = class_scores.softmax(dim=-1)[..., :classes]
    candidate = (probability > least) & valid[..., None]
    scores = torch.where(candidate, probability, -1.0).transpose(1, 2).flatten(0, 1)  # B*C P
    boxes = clip(decode(proposals[:, :, None], box_deltas, BOX_WEIGHTS).transpose(1, 2), sizes)  # B C P 4
    if min_side:
        width, height = sides(boxes.flatten(0, 1))
        scores = torch.where((width >= min_side) & (height >= min_side), scores, -1.0)

    falling, order = scores.sort(dim=1, descending=True, stable=True)
    kept = nms(take_rows(boxes.flatten(0, 1), order), falling > 0, iou)
    kept = kept.gather(1, order.argsort(dim=1))

    numbers = classes * count
    flat = F.pad(torch.where(kept, scores, -1.0).reshape(batch, numbers), (0, total), value=-1.0)
    best, number = flat.sort(dim=1, descending=True, stable=True)
    number = torch.where(best > 0, number, numbers)[:, :total].sort(dim=1)[0]
    found = number < numbers
    number = torch.where(found, number, 0)
    score = torch.where(found, flat.gather(1, number), 0.0)
    box = torch.where(found[..., None], take_rows(boxes.flatten(1, 2), number), 0.0)
    label, roi = number // count, number % count
    return box, score, label, roi, found
