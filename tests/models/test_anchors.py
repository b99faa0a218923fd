import math

import pytest
import torch

from maskzoo.models.anchors import make_anchors
from maskzoo.zoo.rows import read_row
from networks import C4, FPN

CPU = torch.device("cpu")


@pytest.mark.parametrize("row", [FPN, C4])
def test_anchors_come_by_y_x_size_ratio_and_are_not_rounded(row):
    shape = read_row(row).network.anchors
    for stride, sizes in zip(shape.strides, shape.sizes, strict=True):
        expected = []
        for y in range(3):
            for x in range(2):
                for size in sizes:
                    for ratio in shape.ratios:
                        width = math.sqrt(size**2 / ratio)
                        height = width * ratio
                        centre = (x * stride, y * stride)
                        expected.append([centre[0] - width / 2, centre[1] - height / 2])
                        expected[-1] += [centre[0] + width / 2, centre[1] + height / 2]
        ours = make_anchors(3, 2, stride, sizes, shape.ratios, CPU)
        assert ours.dtype == torch.float32
        assert torch.allclose(ours, torch.tensor(expected), atol=1e-4)


def test_the_first_cell_is_centred_on_the_corner_of_the_image():
    assert make_anchors(1, 1, 16, (32.0,), (1.0,), CPU).tolist() == [[-16.0, -16.0, 16.0, 16.0]]


def test_no_cells_have_no_anchors():
    assert make_anchors(0, 4, 16, (32.0, 64.0), (0.5, 1.0, 2.0), CPU).shape == (0, 4)


def test_whole_anchors_are_rounded_half_to_even_and_stand_as_far_apart_as_fits_the_canvas():
    ours = make_anchors(3, 4, 64, (5.0,), (1.0,), CPU, canvas=(160, 224))
    assert ours[0].tolist() == [-2.0, -2.0, 2.0, 2.0]  # 2.5 to either side
    assert make_anchors(1, 1, 64, (7.0,), (1.0,), CPU, canvas=(64, 64)).tolist() == [[-4.0, -4.0, 4.0, 4.0]]
    centres = (ours[:, :2] + ours[:, 2:]) / 2
    assert centres[:, 1].unique().tolist() == [0.0, 53.0, 106.0] and centres[:, 0].unique().tolist() == [
        0.0,
        56.0,
        112.0,
        168.0,
    ]
