"""Which annotated object an anchor or a proposal belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maskzoo.ops.boxes import pairwise_iou

__all__ = ["BACKGROUND", "FOREGROUND", "IGNORED", "Matches", "match"]

FOREGROUND, BACKGROUND, IGNORED = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Matches:
    """Per box: `kind` int64 `[N]` (FOREGROUND, BACKGROUND or IGNORED) and `truth_index` int64 `[N]`, its best object."""

    kind: Tensor
    truth_index: Tensor


def match(
    boxes: Tensor, truth: Tensor, crowd: Tensor, positive: float, negative: float, *, rescue: bool = False
) -> Matches:
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
