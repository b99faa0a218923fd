import math

import pytest
import torch
import torch.nn.functional as F

from maskzoo.ops.deform_conv import deform_conv


def make(stride=1, groups=1, size=(7, 9), dtype=torch.float32, spread=2.0):
    random = torch.Generator().manual_seed(0)
    out = tuple((side - 1) // stride + 1 for side in size)
    x = torch.randn(2, 4, *size, generator=random, dtype=dtype)
    offset = torch.randn(2, 18, *out, generator=random, dtype=dtype) * spread
    mask = torch.rand(2, 9, *out, generator=random, dtype=dtype)
    return x, offset, mask, torch.randn(6, 4 // groups, 3, 3, generator=random, dtype=dtype)


def sample(plane, row, column):
    """A map's value between its pixels; zeros are around it."""
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for y, x in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]:
            total += float(plane[y, x]) * (1 - abs(row - y)) * (1 - abs(column - x))
    return total


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 2)])
def test_each_point_of_the_kernel_is_read_where_its_offset_says_and_weighed_by_its_mask(stride, groups):
    x, offset, mask, weight = make(stride, groups)
    found = deform_conv(x, offset, mask, weight, stride, groups)
    own = 4 // groups
    for image, channel, row, column in ((0, 0, 0, 0), (1, 5, 3, 4), (0, 3, 2, 1), (1, 2, 1, 3)):
        expected = 0.0
        for point in range(9):
            down, across = (float(offset[image, 2 * point + axis, row, column]) for axis in (0, 1))
            place = row * stride + point // 3 - 1 + down, column * stride + point % 3 - 1 + across
            for index in range(own):
                value = sample(x[image, channel // (6 // groups) * own + index], *place)
                factor = float(weight[channel, index, point // 3, point % 3])
                expected += factor * float(mask[image, point, row, column]) * value
        assert float(found[image, channel, row, column]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (2, 2)])
def test_without_offsets_it_is_a_convolution(stride, groups):
    x, offset, mask, weight = make(stride, groups)
    found = deform_conv(x, torch.zeros_like(offset), torch.ones_like(mask), weight, stride, groups)
    assert torch.allclose(found, F.conv2d(x, weight, None, stride, 1, 1, groups), atol=1e-5)


def test_a_map_of_one_pixel_and_points_far_outside_are_taken():
    x, offset, mask, weight = make(size=(1, 1))
    assert deform_conv(x, offset, mask, weight, 1, 1).isfinite().all()
    assert (deform_conv(x, offset + 50, mask, weight, 1, 1) == 0).all()


def test_gradients_of_map_offsets_masks_and_weights_are_those_of_finite_differences():
    x, offset, mask, weight = make(stride=2, groups=2, size=(4, 5), dtype=torch.float64)
    offset = offset.floor() + 0.2 + 0.6 * torch.rand(offset.shape, generator=torch.Generator().manual_seed(1))  # off the kinks
    inputs = [tensor.double().requires_grad_() for tensor in (x, offset, mask, weight)]

    def run(*tensors):
        return deform_conv(*tensors, 2, 2)

    assert torch.autograd.gradcheck(run, inputs)
