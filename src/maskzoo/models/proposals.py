"""From RPN maps to proposals: the best anchors of each level, moved, clipped, thinned out and collected."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.models.settings import ProposalLimits
from maskzoo.ops.boxes import RPN_WEIGHTS, clip, decode, sides
from maskzoo.ops.gather import take_rows
from maskzoo.ops.nms import nms
from maskzoo.structures import Proposals

__all__ = ["propose"]


def propose(
    scores: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], sizes: Tensor, limits: ProposalLimits
) -> Proposals:
    """Return at most `limits.total` proposals an image from logits `[B A]`, deltas `[B A 4]`, anchors `[A 4]` of each level.

    `sizes` `[B 2]` are the images' true height and width: boxes are clipped to them, not to the canvas. Where more
    than the total survive they come by falling logit, else level by level.
    """
    # DIFFERS: a level of which no box survives gives nothing; the reference gives one all-zero box of logit 0.
    boxes, logits, valid = _gather_levels(scores, deltas, anchors, sizes, limits)
    batch, levels, slots = logits.shape
    keep = nms(boxes.flatten(0, 1), valid.flatten(0, 1), limits.iou, limits.after_nms).reshape(batch, -1)
    boxes, logits = boxes.reshape(batch, -1, 4), logits.reshape(batch, -1)
    position = torch.arange(levels * slots, device=logits.device, dtype=torch.float32)
    crowded = keep.sum(dim=1, keepdim=True) > limits.total
    rank = torch.where(keep, torch.where(crowded, -logits, position), torch.inf)
    order = rank.argsort(dim=1, stable=True)[:, : limits.total]
    return Proposals(take_rows(boxes, order), take_rows(logits, order), take_rows(keep, order))


def _gather_levels(
    scores: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], sizes: Tensor, limits: ProposalLimits
) -> tuple[Tensor, Tensor, Tensor]:
    """The `before_nms` best anchors of each level, decoded: boxes `[B L K 4]`, logits and valid `[B L K]`."""
    boxes, logits = [], []
    for level_scores, level_deltas, level_anchors in zip(scores, deltas, anchors, strict=True):
        # Levels with fewer anchors leave slots empty: the number of slots must not depend on the size of the images.
        filled = torch.nn.functional.pad(level_scores, (0, limits.before_nms), value=-torch.inf)
        best, index = filled.topk(limits.before_nms, dim=1)
        index = index.clamp(max=level_scores.shape[1] - 1)
        boxes.append(clip(decode(level_anchors[index], take_rows(level_deltas, index), RPN_WEIGHTS), sizes))
        logits.append(best)
    all_boxes, all_logits = torch.stack(boxes, dim=1), torch.stack(logits, dim=1)
    width, height = sides(all_boxes)
    return all_boxes, all_logits, (width >= limits.min_side) & (height >= limits.min_side) & all_logits.isfinite()
