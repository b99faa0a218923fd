"""Greedy non-maximum suppression, exact, in blocks, over many independent lists at once; and soft suppression."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.ops.boxes import pairwise_iou

__all__ = ["nms", "soften"]

SIGMA = 0.5  # of soft suppression, as in its paper (Bodla et al., ICCV 2017)
BLOCK = 128  # of 64, 128 and 256 the fastest from 500 to 8,000 boxes on a CPU


def nms(boxes: Tensor, valid: Tensor, iou: float, limit: int | None = None) -> Tensor:
    """Return which boxes greedy suppression keeps, bool `[N K]`.

    `boxes` `[N K 4]` are N independent lists, each in falling order of preference (the order decides ties); `valid`
    `[N K]` marks real slots. A box goes when its IoU with a kept, earlier one is above `iou`. `limit` keeps at most
    that many of each list, the first ones. Compiled and exported programs hold it as one operator, `maskzoo::nms`.
    """
    if torch.compiler.is_compiling():
        kept: Tensor = torch.ops.maskzoo.nms(boxes, valid, iou, limit)
        return kept
    return _suppress(boxes, valid, iou, limit)


def _suppress(boxes: Tensor, valid: Tensor, iou: float, limit: int | None) -> Tensor:
    keep = valid.clone()
    count = boxes.shape[1]
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        block = boxes[:, start:stop]
        keep[:, start:stop] = kept = _resolve(keep[:, start:stop], pairwise_iou(block, block) > iou)
        if stop == count:
            break
        if limit is not None and bool((keep[:, :stop].sum(dim=1) >= limit).all()):
            keep[:, stop:] = False
            break
        most = int(kept.sum(dim=1).max())
        if most == 0:
            continue
        first = kept.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
        rows = block.gather(1, first[..., None].expand(-1, -1, 4))
        suppressed = (pairwise_iou(rows, boxes[:, stop:]) > iou) & kept.gather(1, first)[..., None]
        keep[:, stop:] &= ~suppressed.any(dim=1)
    if limit is not None:
        keep &= keep.cumsum(dim=1) <= limit
    return keep


def soften(boxes: Tensor, scores: Tensor, valid: Tensor, least: float) -> Tensor:
    """Return the scores `[N K]` that soft suppression leaves: a box that overlaps a better one loses score instead of going.

    The best box of a list is taken, the scores of the others are multiplied by exp(-IoU^2 / SIGMA) with it, and so on among
    the rest, until none is above `least`; what was not taken then has score 0. `boxes` `[N K 4]`, `valid` `[N K]`; of equal
    scores the earlier slot comes first.
    """
    left = scores.where(valid, 0)
    final = torch.zeros_like(left)
    lists = torch.arange(len(boxes), device=boxes.device)
    for _ in range(boxes.shape[1]):
        score, place = left.max(dim=1)
        taken = score > least
        if not bool(taken.any()):
            break
        final[lists[taken], place[taken]] = score[taken]
        overlap = pairwise_iou(boxes[lists, place][:, None], boxes)[:, 0]
        left = left * torch.exp(-overlap.square() / SIGMA)
        left[lists, place] = 0
    return final


@torch.library.custom_op("maskzoo::nms", mutates_args=())
def _operator(boxes: Tensor, valid: Tensor, iou: float, limit: int | None) -> Tensor:
    return _suppress(boxes, valid, iou, limit)


@_operator.register_fake
def _(boxes: Tensor, valid: Tensor, iou: float, limit: int | None) -> Tensor:
    return torch.empty_like(valid)


def _resolve(alive: Tensor, over: Tensor) -> Tensor:
    """Greedy choice within one block: `alive` `[N K]`, `over` `[N K K]` says which pairs overlap too much.

    A box is kept when no kept, earlier box is over it. Repeating that rule from any start settles the first box in
    the first round and at least one more in each further round, so the fixed point is the greedy answer.
    """
    earlier = torch.triu(over, diagonal=1).to(torch.float32)
    kept = alive
    while True:
        again = alive & (torch.bmm(kept.to(torch.float32)[:, None], earlier)[:, 0] == 0)
        if torch.equal(again, kept):
            return kept
        kept = again
