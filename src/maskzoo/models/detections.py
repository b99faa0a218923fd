"""From class logits and box deltas to detections."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.models.settings import BoxLimits
from maskzoo.ops.boxes import BOX_WEIGHTS, clip, decode, sides
from maskzoo.ops.gather import to_slots
from maskzoo.ops.nms import nms, soften
from maskzoo.structures import Detections, Proposals

__all__ = ["detect"]


def detect(class_scores: Tensor, box_deltas: Tensor, proposals: Proposals, sizes: Tensor, limits: BoxLimits) -> Detections:
    """Return the best `limits.total` detections an image, by label, then by proposal.

    `class_scores` logits `[B P C+1]`, background last; `box_deltas` `[B P C 4]`; `sizes` `[B 2]` true height, width.
    Candidates score above `limits.score`, and their sides reach `limits.min_side`; suppression is per class; ties go to the
    earlier class, then proposal.
    With soft suppression scores fall instead (`soften`), and those above `limits.score` stay.
    Compiled and exported programs hold it as one operator, `maskzoo::detect`, where suppression is hard.
    """
    numbers = (limits.score, limits.iou, limits.total, limits.min_side)
    outputs = (class_scores, box_deltas, proposals.boxes, proposals.valid, sizes)
    if limits.suppression == "soft":
        return Detections(*_find(*outputs, *numbers, soft=True))
    find = torch.ops.maskzoo.detect if torch.compiler.is_compiling() else _find
    return Detections(*find(*outputs, *numbers))


def _find(
    class_scores: Tensor,
    box_deltas: Tensor,
    proposals: Tensor,
    valid: Tensor,
    sizes: Tensor,
    least: float,
    iou: float,
    total: int,
    min_side: float,
    soft: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The fields of `Detections`, from proposals `[B P 4]` and which of them are `valid` `[B P]`."""
    batch, _, classes = box_deltas.shape[:3]
    probability = class_scores.float().softmax(dim=-1)[..., :classes]
    image, roi, label = ((probability > least) & valid[..., None]).nonzero(as_tuple=True)
    score = probability[image, roi, label]
    moved = decode(proposals[image, roi], box_deltas[image, roi, label].float(), BOX_WEIGHTS)
    box = clip(moved[:, None], sizes[image])[:, 0]
    if min_side:
        width, height = sides(box)
        large = ((width >= min_side) & (height >= min_side)).nonzero()[:, 0]
        image, roi, label, score, box = (values[large] for values in (image, roi, label, score, box))

    group = image * classes + label
    order = score.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    if soft:
        score = score.index_copy(0, order, _soften(box[order], score[order], group[order], least))
        kept = order[score[order] > least]
    else:
        kept = order[_suppress(box[order], group[order], iou)]
    kept = kept[_find_best(score, image, label, roi, kept, total, batch)]
    return _fill(box, score, label, roi, image, kept, batch, total)


_operator = torch.library.custom_op(
    "maskzoo::detect",
    _find,
    mutates_args=(),
    schema="(Tensor class_scores, Tensor box_deltas, Tensor proposals, Tensor valid, Tensor sizes, float least, float iou, "
    "SymInt total, float min_side) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",  # `soft` is not part of it
)


@_operator.register_fake
def _(
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
    slots = (class_scores.shape[0], total)
    index = proposals.new_empty(slots, dtype=torch.int64)
    empty = proposals.new_empty(*slots, 4)
    return empty, proposals.new_empty(slots), index, index.clone(), proposals.new_empty(slots, dtype=torch.bool)


def _suppress(boxes: Tensor, group: Tensor, iou: float) -> Tensor:
    """Which of the `boxes` `[T 4]` survive among those of their `group` (sorted; best first inside a group)."""
    if group.numel() == 0:
        return torch.zeros_like(group, dtype=torch.bool)
    padded, valid, place = _to_lists(boxes, group)
    return nms(padded, valid, iou)[place]


def _soften(boxes: Tensor, scores: Tensor, group: Tensor, least: float) -> Tensor:
    """The scores `[T]` of the `boxes` `[T 4]` after soft suppression among those of their `group`."""
    if group.numel() == 0:
        return scores
    padded, valid, place = _to_lists(boxes, group)
    table = scores.new_zeros(valid.shape)
    table[place] = scores
    return soften(padded, table, valid, least)[place]


def _to_lists(boxes: Tensor, group: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Return the boxes as one list a group `[N K 4]`, which slots are filled `[N K]`, and where each box stands there."""
    compact = torch.unique_consecutive(group, return_inverse=True)[1]
    groups = int(compact[-1]) + 1
    slot, sizes = to_slots(compact, groups)
    most = int(sizes.max())
    padded = boxes.new_zeros(groups, most, 4)
    padded[compact, slot] = boxes
    return padded, torch.arange(most, device=boxes.device) < sizes[:, None], (compact, slot)


def _find_best(score: Tensor, image: Tensor, label: Tensor, roi: Tensor, kept: Tensor, total: int, batch: int) -> Tensor:
    """Positions in `kept` of each image's `total` best, by image, label, roi."""
    key = (image[kept], label[kept], roi[kept])
    by_place = _lexsort(key)
    by_score = by_place[score[kept][by_place].argsort(descending=True, stable=True)]
    by_score = by_score[key[0][by_score].argsort(stable=True)]
    rank, _ = to_slots(key[0][by_score], batch)
    best = by_score[rank < total]
    return best[_lexsort((key[0][best], key[1][best], key[2][best]))]


def _lexsort(keys: tuple[Tensor, ...]) -> Tensor:
    """Order by the first key, then the second, ..."""
    order = keys[-1].argsort(stable=True)
    for key in reversed(keys[:-1]):
        order = order[key[order].argsort(stable=True)]
    return order


def _fill(
    box: Tensor, score: Tensor, label: Tensor, roi: Tensor, image: Tensor, kept: Tensor, batch: int, total: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    slot, _ = to_slots(image[kept], batch)
    at = (image[kept], slot)
    boxes = box.new_zeros(batch, total, 4)
    scores = score.new_zeros(batch, total)
    labels = label.new_zeros(batch, total)
    rois = roi.new_zeros(batch, total)
    valid = torch.zeros(batch, total, dtype=torch.bool, device=box.device)
    boxes[at], scores[at], labels[at], rois[at], valid[at] = box[kept], score[kept], label[kept], roi[kept], True
    return boxes, scores, labels, rois, valid
