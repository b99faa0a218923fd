"""Runs of pixels do what arrays do: placed, cut, counted, joined and shrunk."""

import numpy as np
import pytest

from maskzoo.datasets.rle import encode_mask, read_placed
from maskzoo.inference.mask_runs import RunMasks, count_common, count_pixels, cut_runs, join_runs, shrink_runs

SIZE = (50, 70)
RANDOM = np.random.default_rng(0)
MASKS = [
    *(RANDOM.random((37, 53)) < share for share in (0, 0.02, 0.3, 0.97, 1)),
    np.pad(np.ones((37, 3), bool), ((0, 0), (20, 30))),  # runs that go on from column to column
    np.indices((37, 53)).sum(axis=0) % 2 > 0,
]


def place(mask, offset):
    """The runs of a mask on an image of SIZE, and the image as an array."""
    image = np.zeros(SIZE, bool)
    image[offset[1] : offset[1] + mask.shape[0], offset[0] : offset[0] + mask.shape[1]] = mask
    return read_placed(encode_mask(mask).decode(), mask.shape, offset, SIZE[0]), image


def fill(runs, size=SIZE):
    image = np.zeros(size[0] * size[1], bool)
    for start, end in runs:
        image[start:end] = True
    return image.reshape(size[1], size[0]).T


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_of_a_window_lies_in_the_image_where_the_window_does(mask):
    runs, image = place(mask, (7, 4))
    np.testing.assert_array_equal(fill(runs), image)
    assert (runs[:, 0] // SIZE[0] == (runs[:, 1] - 1) // SIZE[0]).all() and (np.diff(runs[:, 0]) > 0).all()
    assert count_pixels(runs) == image.sum()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("other", MASKS[1:5])
def test_common_pixels_and_the_union_are_those_of_arrays(mask, other):
    (runs, image), (others, beside) = place(mask, (7, 4)), place(other, (10, 6))
    assert count_common(runs, others) == count_common(others, runs) == (image & beside).sum()
    union = join_runs([runs, others])
    np.testing.assert_array_equal(fill(union), image | beside)
    assert (union[:, 0] // SIZE[0] == (union[:, 1] - 1) // SIZE[0]).all()


@pytest.mark.parametrize("mask", MASKS)
def test_a_rectangle_cuts_a_mask_as_it_cuts_an_array(mask):
    runs, image = place(mask, (7, 4))
    expected = np.zeros_like(image)
    expected[8:30, 11:44] = image[8:30, 11:44]
    np.testing.assert_array_equal(fill(cut_runs(runs, (11, 8, 44, 30), SIZE[0])), expected)


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 60])
@pytest.mark.parametrize("mask", MASKS)
def test_a_shrunken_mask_has_the_middle_of_each_block_of_pixels(mask, factor):
    runs, image = place(mask, (7, 4))
    size = (-(-SIZE[0] // factor), -(-SIZE[1] // factor))
    middles = image[factor // 2 :: factor, factor // 2 :: factor]
    expected = np.pad(middles, [(0, side - found) for side, found in zip(size, middles.shape, strict=True)])
    np.testing.assert_array_equal(fill(shrink_runs(runs, SIZE[0], factor), size), expected)
    small = RunMasks([runs], SIZE).shrink(factor)
    np.testing.assert_array_equal(small.dense()[0], expected)


def test_masks_of_runs_serve_as_those_of_maps_do():
    placed = [place(mask, (1, 2)) for mask in MASKS]
    masks = RunMasks([runs for runs, _ in placed], SIZE)
    images = [image for _, image in placed]
    np.testing.assert_array_equal(masks.dense(), images)
    np.testing.assert_array_equal(masks.area(), [image.sum() for image in images])
    assert [row["counts"].encode() for row in masks.rle()] == [encode_mask(image) for image in images]
    some = masks[[3, 1]]
    assert isinstance(some, RunMasks) and len(some) == 2
    np.testing.assert_array_equal(some.dense(), [images[3], images[1]])
