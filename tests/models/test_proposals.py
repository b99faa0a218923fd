"""Proposals against a plain loop over images, levels and boxes."""

import pytest
import torch

from maskzoo.config import ProposalLimits
from maskzoo.models.anchors import make_anchors
from maskzoo.models.proposals import propose
from maskzoo.ops.boxes import RPN_WEIGHTS, clip, decode, pairwise_iou

STRIDES, SIZES = (4, 8, 16), ((32.0,), (64.0,), (128.0,))
CANVAS = (64, 96)
IMAGE_SIZES = torch.tensor([[64.0, 96.0], [40.5, 17.0], [1.0, 96.0]])


def make_limits(**changes):
    return ProposalLimits(**({"before_nms": 150, "after_nms": 60, "total": 100, "iou": 0.7, "min_side": 1.0} | changes))


def make_maps(images=3, seed=0):
    """Anchors of three levels, logits without ties, and deltas that move some boxes out of the image."""
    random = torch.Generator().manual_seed(seed)
    anchors = [
        make_anchors(CANVAS[0] // stride, CANVAS[1] // stride, stride, sizes, (0.5, 1.0, 2.0), torch.device("cpu"))
        for stride, sizes in zip(STRIDES, SIZES, strict=True)
    ]
    scores = [
        torch.stack([torch.randperm(len(level), generator=random) for _ in range(images)]) / len(level) - 0.4
        for level in anchors
    ]
    for image in range(images):  # no ties between levels either
        for index, level in enumerate(scores):
            level[image] += index * 1e-5
    deltas = [torch.randn(images, len(level), 4, generator=random) * 0.7 for level in anchors]
    return scores, deltas, anchors


def propose_plainly(scores, deltas, anchors, size, limits):
    """Boxes and logits of one image, as lists."""
    found = []
    for level_scores, level_deltas, level_anchors in zip(scores, deltas, anchors, strict=True):
        best = level_scores.argsort(descending=True)[: limits.before_nms]
        moved = clip(decode(level_anchors[best], level_deltas[best], RPN_WEIGHTS)[None], size[None])[0]
        shares, kept = pairwise_iou(moved, moved).tolist(), []
        for place, (x1, y1, x2, y2) in enumerate(moved.tolist()):
            large = x2 - x1 >= limits.min_side and y2 - y1 >= limits.min_side
            if large and len(kept) < limits.after_nms and all(shares[place][other] <= limits.iou for other in kept):
                kept.append(place)
        found += [(float(level_scores[best[place]]), moved[place].tolist()) for place in kept]
    if len(found) > limits.total:
        found = sorted(found, key=lambda entry: -entry[0])[: limits.total]
    return [box for _, box in found], [logit for logit, _ in found]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"total": 500},
        {"total": 7},
        {"before_nms": 5, "after_nms": 3},
        {"before_nms": 400, "after_nms": 400, "total": 2000},
        {"iou": 0.0},
        {"iou": 1.0},
        {"min_side": 20.0},
        {"min_side": 0.0},
        {"min_side": 0.0, "after_nms": 1000, "total": 2000},  # levels smaller than before_nms leave slots empty
    ],
    ids=str,
)
def test_proposals_are_those_of_the_plain_loop_in_its_order(changes):
    limits, (scores, deltas, anchors) = make_limits(**changes), make_maps()
    ours = propose(scores, deltas, anchors, IMAGE_SIZES, limits)
    for image, size in enumerate(IMAGE_SIZES):
        one = [level[image] for level in scores], [level[image] for level in deltas]
        boxes, logits = propose_plainly(*one, anchors, size, limits)
        valid = ours.valid[image]
        assert valid.tolist() == [place < len(logits) for place in range(valid.numel())]
        assert ours.scores[image][valid].tolist() == logits
        assert torch.allclose(ours.boxes[image][valid], torch.tensor(boxes).reshape(-1, 4), atol=1e-5)


def test_more_than_the_total_come_by_logit_and_fewer_level_by_level():
    scores, deltas, anchors = make_maps(images=1)
    scores[0] -= 10  # the finest level is the worst
    few = propose(scores, deltas, anchors, IMAGE_SIZES[:1], make_limits(total=1000)).trimmed()
    many = propose(scores, deltas, anchors, IMAGE_SIZES[:1], make_limits(total=50)).trimmed()
    assert few.scores.shape[1] < 1000 and many.scores.shape[1] == 50
    assert float(few.scores[0, 0]) < -5
    assert torch.equal(many.scores[0], many.scores[0].sort(descending=True).values)


def test_boxes_are_clipped_to_the_image_and_not_to_the_canvas():
    ours = propose(*make_maps(), IMAGE_SIZES, make_limits(min_side=0.0))
    limits = IMAGE_SIZES[:, None, [1, 0, 1, 0]]
    assert ((ours.boxes >= 0) & (ours.boxes <= limits)).all()


def test_nothing_large_enough_gives_no_proposal_and_every_slot_is_marked_empty():
    ours = propose(*make_maps(), IMAGE_SIZES, make_limits(min_side=1e6))
    assert not ours.valid.any()
    assert ours.trimmed().boxes.shape == (3, 0, 4)


def test_logits_that_are_not_finite_propose_nothing():
    scores, deltas, anchors = make_maps()
    scores[1][0] = torch.nan
    scores[2][0] = -torch.inf
    ours = propose(scores, deltas, anchors, IMAGE_SIZES, make_limits(total=1000))
    assert ours.scores[ours.valid].isfinite().all()
    assert ours.valid.any(dim=1).all()
