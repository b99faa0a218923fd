"""RoIAlign against a loop over every sample, in float64, where both must agree to the last digits."""

import math

import pytest
import torch

from maskzoo.ops.roi_align import assign_levels, make_table, roi_align
from networks import EDGE_BOXES, edge_boxes

EXACT = 1e-10


def sample(feature, y, x):
    """The bilinear value `[C]` of one image's feature `[C H W]` at a point; zero beyond one cell outside."""
    height, width = feature.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return feature[:, 0, 0] * 0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = feature[:, top, left] * (1 - across) + feature[:, top, right] * across
    lower = feature[:, bottom, left] * (1 - across) + feature[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def pool_one(feature, box, stride, side, aligned=True, samples=0):
    """RoI feature `[C side side]` of one box, sample by sample."""
    shift = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (float(value) / stride - shift for value in box)
    width, height = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
    columns, rows = samples or math.ceil(width / side), samples or math.ceil(height / side)
    bins = []
    for bin_y in range(side):
        for bin_x in range(side):
            total = feature[:, 0, 0] * 0
            for row in range(rows):
                for column in range(columns):
                    y = y1 + (bin_y + (row + 0.5) / rows) * height / side
                    x = x1 + (bin_x + (column + 0.5) / columns) * width / side
                    total = total + sample(feature, y, x)
            bins.append(total / max(rows * columns, 1))
    return torch.stack(bins, dim=1).reshape(-1, side, side)


def make_feature(shape, seed=0):
    feature = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return feature.to(memory_format=torch.channels_last)


def pool_many(features, strides, boxes, images, levels, side, aligned=True, samples=0):
    return torch.stack(
        [
            pool_one(features[level][image], box, strides[level], side, aligned, samples)
            for box, image, level in zip(boxes.tolist(), images.tolist(), levels.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("side", [1, 2, 7])
@pytest.mark.parametrize(("stride", "shape"), [(4, (16, 24)), (16, (4, 6)), (32, (1, 3)), (64, (1, 1))])
def test_edge_cases_equal_the_plain_loop(stride, shape, side, aligned):
    feature, boxes = make_feature((1, 3, *shape)), edge_boxes(torch.float64)
    none = torch.zeros(len(boxes), dtype=torch.int64)
    ours = roi_align(make_table([feature], [stride]), boxes, none, none, side, aligned)
    expected = pool_many([feature], [stride], boxes, none, none, side, aligned)
    assert ours.shape == (len(boxes), 3, side, side)
    for place, name in enumerate(EDGE_BOXES):
        assert (ours[place] - expected[place]).abs().max() <= EXACT, name
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize(("stride", "shape"), [(4, (16, 24)), (32, (1, 3)), (64, (1, 1))])
def test_a_fixed_number_of_samples_equals_the_plain_loop(stride, shape, samples, aligned):
    feature, boxes = make_feature((1, 3, *shape)), edge_boxes(torch.float64)
    none = torch.zeros(len(boxes), dtype=torch.int64)
    ours = roi_align(make_table([feature], [stride]), boxes, none, none, 7, aligned, samples)
    expected = pool_many([feature], [stride], boxes, none, none, 7, aligned, samples)
    for place, name in enumerate(EDGE_BOXES):
        assert (ours[place] - expected[place]).abs().max() <= EXACT, name
    assert expected.abs().max() > 0.1


def test_a_fixed_number_of_samples_reads_each_images_own_feature_with_the_plain_loops_gradient():
    boxes, images = edge_boxes(torch.float64), torch.arange(len(EDGE_BOXES)) % 2
    levels, gradients = torch.zeros_like(images), []
    for pool in (roi_align, pool_many):
        feature = make_feature((2, 2, 16, 24)).requires_grad_()
        arguments = (make_table([feature], (4,)),) if pool is roi_align else ([feature], (4,))
        pooled = pool(*arguments, boxes, images, levels, 3, False, 2)
        (pooled * torch.cos(torch.arange(pooled.numel(), dtype=torch.float64)).reshape(pooled.shape)).sum().backward()
        gradients.append(feature.grad)
    assert gradients[1].abs().max() > 0.1 and (gradients[0] - gradients[1]).abs().max() <= EXACT


@pytest.mark.parametrize("side", [7, 14])
def test_a_box_fifty_times_as_long_as_wide_samples_each_axis_by_its_own_length(side):
    feature = make_feature((1, 2, 60, 60))
    boxes = torch.tensor([[4.0, 100.0, 204.0, 104.0], [100.0, 4.0, 104.0, 204.0]], dtype=torch.float64)
    none = torch.zeros(2, dtype=torch.int64)
    ours = roi_align(make_table([feature], [4]), boxes, none, none, side)
    assert (ours - pool_many([feature], [4], boxes, none, none, side)).abs().max() <= EXACT


def test_boxes_of_several_levels_and_images_each_read_their_own_feature():
    strides = (4, 8, 16)
    features = [make_feature((3, 2, 64 // stride, 96 // stride), seed=stride) for stride in strides]
    boxes = edge_boxes(torch.float64).repeat(3, 1)
    levels = torch.arange(3).repeat_interleave(len(EDGE_BOXES))
    images = torch.arange(len(boxes)) % 3
    ours = roi_align(make_table(features, strides), boxes, images, levels, 3)
    assert (ours - pool_many(features, strides, boxes, images, levels, 3)).abs().max() <= EXACT


def test_a_level_without_boxes_is_passed_over():
    features = [make_feature((1, 2, 8, 8), seed=stride) for stride in (4, 8, 16)]
    boxes, levels = edge_boxes(torch.float64)[:4], torch.tensor([0, 0, 2, 2])
    images = torch.zeros(4, dtype=torch.int64)
    ours = roi_align(make_table(features, (4, 8, 16)), boxes, images, levels, 2)
    assert (ours - pool_many(features, (4, 8, 16), boxes, images, levels, 2)).abs().max() <= EXACT


@pytest.mark.parametrize("name", ["no width", "no height", "a point"])
def test_a_box_without_area_gives_zeros_and_never_nan(name):
    feature = make_feature((1, 3, 16, 24)).float() + 5
    box, none = torch.tensor([EDGE_BOXES[name]]), torch.zeros(1, dtype=torch.int64)
    assert (roi_align(make_table([feature], [4]), box, none, none, 7) == 0).all()


@pytest.mark.parametrize("levels", [1, 4])
def test_no_boxes_give_no_features(levels):
    features = [make_feature((2, 5, 8, 8)).float() for _ in range(levels)]
    none = torch.zeros(0, dtype=torch.int64)
    pooled = roi_align(make_table(features, (4, 8, 16, 32)[:levels]), torch.zeros(0, 4), none, none, 7)
    assert pooled.shape == (0, 5, 7, 7)


def test_the_mean_of_a_constant_feature_is_that_constant():
    feature = torch.full((1, 2, 16, 24), 3.5)
    box, none = torch.tensor([[9.3, 8.1, 77.7, 49.9]]), torch.zeros(1, dtype=torch.int64)
    assert torch.allclose(roi_align(make_table([feature], [4]), box, none, none, 7), torch.tensor(3.5), atol=1e-5)


def test_features_have_the_gradient_of_the_plain_loop():
    strides, levels = (4, 8), torch.arange(2).repeat_interleave(len(EDGE_BOXES))
    boxes, images = edge_boxes(torch.float64).repeat(2, 1), torch.arange(2 * len(EDGE_BOXES)) % 2
    gradients = []
    for pool in (roi_align, pool_many):
        features = [make_feature((2, 2, 64 // s, 96 // s), seed=s).requires_grad_() for s in strides]
        arguments = (make_table(features, strides),) if pool is roi_align else (features, strides)
        pooled = pool(*arguments, boxes, images, levels, 3)
        weights = torch.cos(torch.arange(pooled.numel(), dtype=torch.float64)).reshape(pooled.shape)
        (pooled * weights).sum().backward()
        gradients.append([feature.grad for feature in features])
    for ours, expected in zip(*gradients, strict=True):
        assert expected.abs().max() > 0.1
        assert (ours - expected).abs().max() <= EXACT


def test_another_memory_order_gives_the_same_features():
    feature, boxes = make_feature((2, 3, 16, 24)), edge_boxes(torch.float64)
    images, none = torch.arange(len(boxes)) % 2, torch.zeros(len(boxes), dtype=torch.int64)
    channels_last = roi_align(make_table([feature], [4]), boxes, images, none, 7)
    assert torch.equal(channels_last, roi_align(make_table([feature.contiguous()], [4]), boxes, images, none, 7))


def test_half_precision_features_are_pooled_in_half_precision():
    feature, boxes = make_feature((1, 3, 16, 24)), edge_boxes()
    none = torch.zeros(len(boxes), dtype=torch.int64)
    half = roi_align(make_table([feature.bfloat16()], [4]), boxes, none, none, 7)
    full = roi_align(make_table([feature.float()], [4]), boxes, none, none, 7)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max() <= 0.05


def test_a_table_is_a_view_of_channels_last_features():
    feature = make_feature((2, 3, 4, 5))
    table = make_table([feature], [4])
    assert table.strides == (4,)
    assert table.rows(0).data_ptr() == feature.data_ptr()
    assert torch.equal(table.rows(0)[1 * 20 + 2 * 5 + 3], feature[1, :, 2, 3])


@pytest.mark.parametrize(
    ("side", "level"), [(0, 0), (1, 0), (111, 0), (112, 1), (223.9, 1), (223.9998, 2), (224, 2), (448, 3), (5000, 3)]
)
def test_the_level_follows_the_square_root_of_the_area(side, level):
    box = torch.tensor([[[5.0, 7.0, 5 + 2.0 * side, 7 + side / 2]]])
    assert assign_levels(box, 4).tolist() == [[level]]
    assert assign_levels(box, 1).tolist() == [[0]]


def test_a_swapped_box_belongs_to_the_finest_level():
    assert assign_levels(torch.tensor([[500.0, 0.0, 0.0, 500.0], [900.0, 900.0, 0.0, 0.0]]), 4).tolist() == [0, 0]
