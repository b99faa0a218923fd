"""The five losses. Their divisors are those of the published training, and differ from each other on purpose."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from maskzoo.ops.boxes import BOX_WEIGHTS, RPN_WEIGHTS, encode
from maskzoo.structures import Samples
from maskzoo.training.targets import list_slots

__all__ = ["box_losses", "mask_loss", "rpn_losses"]


def rpn_losses(
    positive_scores: Tensor, negative_scores: Tensor, deltas: Tensor, anchors: Tensor, truth: Tensor, divisor: float
) -> tuple[Tensor, Tensor]:
    """Return the RPN's class and box loss over the sampled anchors of all images.

    Logits of positives `[P]` and negatives `[N]`; `deltas`, `anchors`, `truth` `[P 4]` of the positives. Both losses are
    sums over `divisor`: the configured number of samples times images, however many were found.
    """
    scores = torch.cat([positive_scores, negative_scores])
    wanted = torch.cat([torch.ones_like(positive_scores), torch.zeros_like(negative_scores)])
    classes = F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")
    boxes = F.l1_loss(deltas, encode(anchors, truth, RPN_WEIGHTS), reduction="sum")
    return classes / divisor, boxes / divisor


def box_losses(scores: Tensor, deltas: Tensor, samples: Samples, truth: Tensor, fineness: int = 1) -> tuple[Tensor, Tensor]:
    """Return the box head's class and delta loss, both over the number of sampled RoIs of the batch.

    `scores` `[B S C+1]`, `deltas` `[B S C 4]`, `truth` `[B S 4]` the box of each sample's object. Only foreground RoIs
    regress, with the deltas of their own class; `fineness` is that of the deltas' units.
    """
    count = samples.valid.sum().clamp(min=1)
    foreground, filled = zip(*samples.counts, strict=True)
    every, chosen = (list_slots(counts, scores.shape[1], scores.device) for counts in (filled, foreground))
    labels = samples.labels.flatten()
    classes = F.cross_entropy(scores.flatten(0, 1)[every], labels[every], reduction="sum")
    own = deltas.flatten(0, 1)[chosen].gather(1, labels[chosen][:, None, None].expand(-1, 1, 4))[:, 0]
    wanted = encode(samples.boxes.flatten(0, 1)[chosen], truth.flatten(0, 1)[chosen], BOX_WEIGHTS)
    return classes / count, F.l1_loss(own, wanted, reduction="sum") * fineness / count


def mask_loss(logits: Tensor, targets: Tensor, empty_images: int) -> Tensor:
    """Return the mean cross entropy over all pixels of the foreground RoIs: `logits`, `targets` `[N M M]`.

    An image without foreground counts as one RoI in the divisor, and adds nothing above it.
    """
    total = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / (max(len(logits) + empty_images, 1) * logits.shape[-1] ** 2)
