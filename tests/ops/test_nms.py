import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.ops.nms import BLOCK, nms

THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 1.0)


def suppress_greedily(boxes, valid, iou, limit=None):
    """The ten-line greedy suppression: one list, in the order it comes."""
    kept = []
    for place, (x1, y1, x2, y2) in enumerate(boxes):
        if not valid[place] or (limit is not None and len(kept) == limit):
            continue
        for other in kept:
            u1, v1, u2, v2 = boxes[other]
            shared = max(0.0, min(x2, u2) - max(x1, u1)) * max(0.0, min(y2, v2) - max(y1, v1))
            if shared > 0 and shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared) > iou:
                break
        else:
            kept.append(place)
    return kept


def check(boxes, valid, iou, limit=None):
    keep = nms(boxes, valid, iou, limit)
    assert keep.shape == valid.shape and keep.dtype == torch.bool
    for ours, *one in zip(keep, boxes.double().tolist(), valid.tolist(), strict=True):
        assert ours.nonzero()[:, 0].tolist() == suppress_greedily(*one, iou, limit)


def make_boxes(lists, count, seed, spread=24, largest=16):
    """Boxes with whole-number corners: overlaps are exact in float32, and equal boxes and equal overlaps are common."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, spread, (lists, count, 2), generator=random)
    side = torch.randint(0, largest, (lists, count, 2), generator=random)
    valid = torch.rand(lists, count, generator=random) < 0.9
    return torch.cat([corner, corner + side], dim=-1).float(), valid


@pytest.mark.parametrize("count", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 300])
@pytest.mark.parametrize("iou", [0.5, 0.7])
def test_blocks_keep_what_the_ten_lines_keep(count, iou):
    check(*make_boxes(2, count, seed=count), iou)


@pytest.mark.parametrize("limit", [1, 2, 60, BLOCK, BLOCK + 2, 1000])
@pytest.mark.parametrize("spread", [24, 200])
def test_a_limit_keeps_the_first_ones(limit, spread):
    check(*make_boxes(2, 300, seed=limit, spread=spread), 0.5, limit)


def test_a_limit_waits_for_the_slowest_list():
    boxes, valid = make_boxes(2, 300, seed=5, spread=2000)
    boxes[0, :290] = torch.tensor([0.0, 0.0, 9.0, 9.0])  # one box for three blocks
    keep = nms(boxes, torch.ones_like(valid), 0.5, limit=8)
    assert keep[0].nonzero()[:, 0].tolist() == [0, *range(290, 297)]
    check(boxes, valid, 0.5, limit=8)


@pytest.mark.parametrize("iou", THRESHOLDS)
def test_every_threshold_is_kept_exactly(iou):
    check(*make_boxes(2, 200, seed=7, spread=12, largest=10), iou)


def test_an_overlap_of_exactly_the_threshold_is_kept():
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 5.1]]])
    assert nms(boxes, torch.ones(1, 3, dtype=torch.bool), 0.5).tolist() == [[True, True, False]]


def test_a_suppressed_box_suppresses_no_other():
    chain = torch.tensor([[float(x), 0.0, float(x + 10), 10.0] for x in range(0, 4 * 200, 4)])[None]
    keep = nms(chain, torch.ones(1, 200, dtype=torch.bool), 0.4)  # neighbours share 6 / 14, the next but one 2 / 18
    assert keep[0].tolist() == [place % 2 == 0 for place in range(200)]


def test_equal_boxes_leave_the_first_of_each_list():
    boxes = torch.tensor([2.0, 2.0, 5.0, 9.0]).repeat(2, 300, 1)
    valid = torch.ones(2, 300, dtype=torch.bool)
    valid[1, :140] = False
    assert [row.nonzero()[:, 0].tolist() for row in nms(boxes, valid, 0.5)] == [[0], [140]]


def test_boxes_without_area_suppress_nothing():
    boxes = torch.tensor([[[3.0, 3.0, 3.0, 8.0], [3.0, 3.0, 3.0, 8.0], [0.0, 0.0, 9.0, 9.0]]])
    assert nms(boxes, torch.ones(1, 3, dtype=torch.bool), 0.0).tolist() == [[True, True, True]]


def test_what_is_not_valid_is_neither_kept_nor_suppresses():
    boxes, _ = make_boxes(2, 150, seed=3)
    assert not nms(boxes, torch.zeros(2, 150, dtype=torch.bool), 0.5).any()
    valid = torch.ones(2, 150, dtype=torch.bool)
    valid[:, 0] = False
    boxes[:, 1] = boxes[:, 0]
    assert nms(boxes, valid, 0.5)[:, :2].tolist() == [[False, True]] * 2


def test_the_arguments_stay_as_they_are():
    boxes, valid = make_boxes(2, 150, seed=4)
    before = boxes.clone(), valid.clone()
    nms(boxes, valid, 0.5, 3)
    assert torch.equal(boxes, before[0]) and torch.equal(valid, before[1])


@st.composite
def lists_of_boxes(draw):
    """Lists of boxes on a coarse grid: equal boxes, overlaps of exactly the threshold and boxes without area."""
    count = draw(st.sampled_from([0, 1, 5, 40, BLOCK - 1, BLOCK, BLOCK + 1, 300]))
    spread, largest = draw(st.integers(1, 60)), draw(st.integers(1, 30))
    return make_boxes(draw(st.integers(1, 3)), count, draw(st.integers(0, 2**32 - 1)), spread, largest)


@settings(deadline=None, max_examples=25)
@given(lists_of_boxes(), st.sampled_from(THRESHOLDS), st.one_of(st.none(), st.integers(1, 150)))
def test_any_lists_keep_what_the_ten_lines_keep(lists, iou, limit):
    check(*lists, iou, limit)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(*[st.integers(0, 8)] * 4), max_size=12), st.sampled_from(THRESHOLDS))
def test_a_few_chosen_boxes_keep_what_the_ten_lines_keep(corners, iou):
    boxes = torch.tensor(corners, dtype=torch.float32).reshape(1, -1, 4)
    boxes = torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)
    check(boxes, torch.ones(boxes.shape[:2], dtype=torch.bool), iou)
