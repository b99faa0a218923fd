import math

import pytest
import torch

from maskzoo.ops.boxes import BOX_WEIGHTS, MAX_GROWTH, RPN_WEIGHTS, cap_shrinking, clip, decode, encode, pairwise_iou, sides
from networks import EDGE_BOXES, edge_boxes


def iou_of(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def test_sides_have_no_plus_one_and_are_negative_where_corners_are_swapped():
    width, height = sides(torch.tensor([[2.0, 3.0, 7.5, 4.0], [5.0, 5.0, 1.0, 2.0]]))
    assert width.tolist() == [5.5, -4.0]
    assert height.tolist() == [1.0, -3.0]


def test_the_overlap_of_every_edge_case_with_every_other_equals_the_plain_loop():
    boxes = list(EDGE_BOXES.values())
    expected = torch.tensor([[iou_of(first, second) for second in boxes] for first in boxes])
    ours = pairwise_iou(edge_boxes(), edge_boxes())
    assert ours.shape == (len(boxes), len(boxes))
    assert (ours - expected).abs().max() <= 1e-6


def test_boxes_that_only_touch_do_not_overlap():
    left, right = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[4.0, 0.0, 8.0, 4.0], [0.0, 4.0, 4.0, 8.0]])
    assert pairwise_iou(left, right).tolist() == [[0.0, 0.0]]


def test_batches_are_compared_image_by_image():
    first, second = edge_boxes()[None, :6].repeat(2, 1, 1), edge_boxes()[:8].reshape(2, 4, 4)
    together = pairwise_iou(first, second)
    assert together.shape == (2, 6, 4)
    assert torch.equal(together, torch.stack([pairwise_iou(*pair) for pair in zip(first, second, strict=True)]))


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 0), (0, 0)])
def test_no_boxes_give_an_empty_table_of_overlaps(first, second):
    assert pairwise_iou(torch.zeros(first, 4), torch.ones(second, 4)).shape == (first, second)


def test_clipping_keeps_x_within_the_width_and_y_within_the_height_of_its_own_image():
    boxes = torch.tensor([[-5.0, -6.0, 300.0, 400.0]]).repeat(2, 3, 1)
    clipped = clip(boxes, torch.tensor([[64.0, 96.0], [10.5, 1.0]]))
    assert clipped[0].tolist() == [[0.0, 0.0, 96.0, 64.0]] * 3
    assert clipped[1].tolist() == [[0.0, 0.0, 1.0, 10.5]] * 3


def test_clipping_takes_boxes_of_several_axes():
    boxes = edge_boxes().reshape(1, 3, 4, 4).repeat(2, 1, 1, 1)
    clipped = clip(boxes, torch.tensor([[64.0, 96.0], [20.0, 30.0]]))
    assert torch.equal(clipped[1].reshape(-1, 4), clip(edge_boxes()[None], torch.tensor([[20.0, 30.0]]))[0])
    assert clipped[0].amax(dim=(0, 1)).tolist() == [96.0, 64.0, 96.0, 64.0]


def test_a_box_wholly_outside_is_left_without_a_side():
    width, height = sides(clip(torch.tensor([[EDGE_BOXES["wholly outside"]]]), torch.tensor([[64.0, 96.0]])))
    assert width.tolist() == height.tolist() == [[0.0]]


def test_deltas_are_the_published_formula():
    source, target = torch.tensor([10.0, 20.0, 30.0, 60.0]), torch.tensor([14.0, 10.0, 24.0, 90.0])
    # centres (20, 40) -> (19, 50), sides 20 x 40 -> 10 x 80
    plain = [-1 / 20, 10 / 40, math.log(10 / 20), math.log(80 / 40)]
    assert encode(source, target, RPN_WEIGHTS).tolist() == pytest.approx(plain)
    weighted = [10 * plain[0], 10 * plain[1], 5 * plain[2], 5 * plain[3]]
    assert encode(source, target, BOX_WEIGHTS).tolist() == pytest.approx(weighted)


@pytest.mark.parametrize("weights", [RPN_WEIGHTS, BOX_WEIGHTS])
def test_no_delta_leaves_the_box_where_it_is(weights):
    assert torch.allclose(decode(edge_boxes(), torch.zeros(len(EDGE_BOXES), 4), weights), edge_boxes(), atol=1e-5)


def test_growth_is_capped_at_1000_sixteenths_and_shrinking_is_not():
    source = torch.tensor([0.0, 0.0, 16.0, 16.0])
    for grown, shrunk, deltas in ((0, 1, [0.0, 0.0, 50.0, -50.0]), (1, 0, [0.0, 0.0, -50.0, 50.0])):
        found = sides(decode(source, torch.tensor(deltas), RPN_WEIGHTS))
        assert float(found[grown]) == pytest.approx(1000.0, rel=1e-5)
        assert 0 <= float(found[shrunk]) < 1e-5
    width, _ = sides(decode(source, torch.tensor([0.0, 0.0, 5 * (MAX_GROWTH - 0.1), 0.0]), BOX_WEIGHTS))
    assert float(width) == pytest.approx(1000.0 * math.exp(-0.1), rel=1e-5)


def test_shifts_are_not_capped():
    moved = decode(torch.tensor([0.0, 0.0, 10.0, 20.0]), torch.tensor([1000.0, -500.0, 0.0, 0.0]), RPN_WEIGHTS)
    assert moved.tolist() == [10_000.0, -10_000.0, 10_010.0, -9_980.0]


@pytest.mark.parametrize("weights", [RPN_WEIGHTS, BOX_WEIGHTS])
def test_capped_shrinking_leaves_sixteen_thousandths_of_a_side_and_all_else_alone(weights):
    box = torch.tensor([0.0, 0.0, 1000.0, 500.0])
    width, height = sides(decode(box, cap_shrinking(torch.tensor([0.0, 0.0, -100.0, -100.0]), weights), weights))
    assert float(width) == pytest.approx(16, rel=1e-4) and float(height) == pytest.approx(8, rel=1e-4)
    deltas = torch.tensor([[-1e4, 1e4, -3.0, 100.0]])
    assert torch.equal(cap_shrinking(deltas, weights), deltas)
