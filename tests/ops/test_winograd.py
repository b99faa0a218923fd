import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.ops.winograd import CHUNK, choose_tile, convolve, count_tiles, transform_weight, weight_gradient


def make(shape, outputs=6):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(memory_format=torch.channels_last)
    return x, torch.randn(outputs, shape[1], 3, 3, generator=generator), torch.randn(outputs, generator=generator)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(1, 7), st.integers(1, 30), st.integers(1, 30), st.sampled_from([4, 5]))
def test_it_is_the_convolution_of_any_size(batch, channels, height, width, tile):
    x, weight, bias = make((batch, channels, height, width))
    found = convolve(x, transform_weight(weight, tile), bias)
    expected = F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5 if tile == 4 else 6e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 30), st.integers(1, 30))
def test_the_weight_gradient_is_that_of_the_convolution(batch, channels, height, width):
    x, weight, _ = make((batch, channels, height, width))
    weight.requires_grad_()
    out = F.conv2d(x, weight, padding=1)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(out, weight, grad)
    torch.testing.assert_close(weight_gradient(x, grad), expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 3, 101, 130), (600, 3, 5, 5), (3, 2, 4, 4 * CHUNK + 1)])
def test_more_tiles_than_a_chunk_holds(shape):
    x, weight, bias = make(shape)
    assert len(x) * count_tiles(x.shape[2:]) > CHUNK
    expected = F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(convolve(x, transform_weight(weight), bias), expected, rtol=1e-4, atol=2e-5)


def test_it_is_as_exact_as_a_direct_convolution():
    """Of 256 channels, against float64: at most twice the direct convolution's error on the same processor."""
    x, weight, _ = make((1, 256, 32, 48), 256)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    own = (convolve(x, transform_weight(weight), None) - exact).abs().max() / exact.std()
    direct = (F.conv2d(x, weight, padding=1) - exact).abs().max() / exact.std()
    assert own < 2 * direct


def test_tiles_of_five_pixels_are_exact_to_a_hundred_thousandth_of_the_largest_value():
    """Of RoIs with 256 channels, against float64; in the mean at most four times the direct convolution's error."""
    x, weight, _ = make((20, 256, 14, 14), 256)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    found = convolve(x, transform_weight(weight, 5), None)
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()
    own, direct = ((one - exact).pow(2).mean().sqrt() for one in (found, F.conv2d(x, weight, padding=1)))
    assert own < 4 * direct


@pytest.mark.parametrize(("side", "tile"), [(1, 4), (5, 5), (7, 4), (8, 4), (10, 5), (12, 4), (14, 5), (16, 4), (20, 4)])
def test_small_maps_take_the_tile_that_wastes_the_fewest_products(side, tile):
    x = torch.empty(3, 2, side, side)
    assert choose_tile(x) == tile
    assert choose_tile(x.bfloat16()) == 4  # which stores the transforms of no other exactly


def test_in_bfloat16_it_is_within_two_hundredths_of_the_deviation():
    """Of 256 channels, against float64."""
    x, weight, _ = make((1, 256, 32, 48), 256)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    found = convolve(x.bfloat16(), transform_weight(weight.bfloat16()), None)
    assert found.dtype == torch.bfloat16
    assert ((found.double() - exact) / exact.std()).pow(2).mean().sqrt() < 0.02


def test_relu_is_that_of_the_sum_with_the_bias():
    x, weight, bias = make((2, 4, 9, 9))
    transformed = transform_weight(weight)
    assert torch.equal(convolve(x, transformed, bias, relu=True), convolve(x, transformed, bias).relu())


def test_the_memory_order_of_the_input_does_not_matter():
    x, weight, bias = make((2, 4, 9, 13))
    transformed = transform_weight(weight)
    torch.testing.assert_close(convolve(x.contiguous(), transformed, bias), convolve(x, transformed, bias))


def test_neighbours_in_a_batch_do_not_change_an_image():
    x, weight, bias = make((5, 128, 14, 14), 128)
    transformed = transform_weight(weight)
    assert torch.equal(convolve(x, transformed, bias)[2:3], convolve(x[2:3], transformed, bias))
