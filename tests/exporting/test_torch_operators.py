"""What our operators are made of gives what the operators give, in every edge case."""

import pytest
import torch

from maskzoo.config import BoxLimits
from maskzoo.exporting import torch_operators as lowering
from maskzoo.models.detections import detect
from maskzoo.ops.nms import nms
from maskzoo.ops.roi_align import assign_levels, make_table, roi_align
from maskzoo.structures import Proposals
from networks import edge_boxes

LISTS, COUNT = 4, 300  # one shape: torch compiles a loop anew for each


def make_boxes(seed, spread, lists=LISTS, count=COUNT):
    """Boxes with whole-number corners, so that equal boxes and equal overlaps are common, and some without area."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, spread, (lists, count, 2), generator=random)
    side = torch.randint(0, 16, (lists, count, 2), generator=random)
    return torch.cat([corner, corner + side], dim=-1).float(), torch.rand(lists, count, generator=random) < 0.9


@pytest.mark.parametrize("spread", [4, 24, 200])
@pytest.mark.parametrize("limit", [None, 5])
def test_one_loop_keeps_what_the_blocks_keep(spread, limit):
    boxes, valid = make_boxes(spread, spread)
    valid[1] = False
    assert torch.equal(lowering.nms(boxes, valid, 0.5, limit), nms(boxes, valid, 0.5, limit))


def test_a_long_chain_of_suppression_is_followed_to_its_end():
    left = torch.arange(COUNT, dtype=torch.float32) * 3
    boxes = torch.stack([left, torch.zeros(COUNT), left + 10, torch.full((COUNT,), 10.0)], dim=1).repeat(LISTS, 1, 1)
    kept = lowering.nms(boxes, torch.ones(LISTS, COUNT, dtype=torch.bool), 0.5)
    assert kept[0].tolist() == [place % 2 == 0 for place in range(COUNT)]


@pytest.mark.parametrize("count", [0, 1, 7, 300])
@pytest.mark.parametrize("side", [7, 14])
@pytest.mark.parametrize(("aligned", "samples"), [(True, 0), (False, 0), (False, 2)])
def test_pooled_features_are_the_operators_own(count, side, aligned, samples):
    random = torch.Generator().manual_seed(count)
    features = [torch.randn(2, 5, 64 >> level, 96 >> level, generator=random) for level in range(3)]
    boxes = edge_boxes().repeat(25, 1)[:count] * (1 + torch.rand(count, 1, generator=random) * 8)
    levels, order = assign_levels(boxes, 3).sort(stable=True)
    images = torch.randint(0, 2, (count,), generator=random)
    arguments = (boxes[order], images, levels)
    expected = roi_align(make_table(features, (4, 8, 16)), *arguments, side, aligned, samples)
    found = lowering.roi_align(features, *arguments, (4, 8, 16), side, aligned, samples)
    assert found.shape == expected.shape and torch.equal(found, expected)


@pytest.mark.parametrize("spread", [1.0, 4.0])
@pytest.mark.parametrize(("total", "min_side"), [(6, 0.0), (300, 0.0), (300, 6.0)])
def test_detections_are_the_operators_own_ties_and_empty_images_included(spread, total, min_side):
    batch, count, classes = 3, 40, 5
    random = torch.Generator().manual_seed(total)
    logits = (torch.randn(batch, count, classes + 1, generator=random) * spread).round()  # equal scores are common
    logits[:, 1::3] = logits[:, ::3][:, : logits[:, 1::3].shape[1]]
    deltas = torch.randn(batch, count, classes, 4, generator=random)
    boxes, valid = make_boxes(3, 60, batch, count)
    valid[1] = False
    sizes = torch.tensor([[64.0, 96.0], [64.0, 96.0], [50.0, 33.0]])
    limits = BoxLimits(score=0.05, iou=0.5, total=total, min_side=min_side, mask_threshold=0.5)
    expected = detect(logits, deltas, Proposals(boxes, boxes[..., 0], valid), sizes, limits)
    found = lowering.detect(logits, deltas, boxes, valid, sizes, 0.05, 0.5, total, min_side)
    assert expected.valid.any(dim=1).tolist() == [True, False, True]
    for name, ours in zip(("boxes", "scores", "labels", "rois", "valid"), found, strict=True):
        assert torch.equal(ours, getattr(expected, name)), name
