import pytest
import torch
import torch.nn.functional as F

from maskzoo.ops import convolution
from maskzoo.ops.convolution import convolve, suits_winograd


@pytest.fixture
def everywhere(monkeypatch):
    monkeypatch.setattr(convolution, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(convolution, "LEAST_CHANNELS_OF_GRADIENT", 1)
    monkeypatch.setattr(convolution, "LEAST_TILES", 0)


def inputs(batch=2, channels=5, outputs=4, size=(7, 9), kernel=3):
    torch.manual_seed(0)
    x = torch.randn(batch, channels, *size).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(outputs, channels, kernel, kernel, requires_grad=True)
    return x, weight, torch.randn(outputs, requires_grad=True)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)])
@pytest.mark.parametrize("size", [(7, 9), (1, 1), (16, 24)])
def test_outputs_and_all_gradients_are_those_of_conv2d(kernel, stride, size):
    x, weight, bias = inputs(kernel=kernel, size=size)
    expected = F.conv2d(x, weight, bias, stride, kernel // 2)
    found = convolve(x, weight, bias, (stride, stride), 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
    grad = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, (x, weight, bias), grad), torch.autograd.grad(expected, (x, weight, bias), grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("dilation", [2, 3])
def test_a_dilated_convolution_keeps_the_size_and_never_takes_winograds_algorithm(dilation):
    x, weight, bias = inputs()
    expected = F.conv2d(x, weight, bias, padding=dilation, dilation=dilation)
    assert torch.equal(convolve(x, weight, bias, (1, 1), 1, (dilation, dilation)), expected)
    assert not suits_winograd(x, weight.shape, (1, 1), 1, 1, (dilation, dilation))


def test_narrow_layers_keep_the_direct_output_and_gain_the_quick_gradient():
    x, weight, bias = inputs(batch=1, channels=64, outputs=64, size=(48, 48))
    expected, found = F.conv2d(x, weight, bias, padding=1), convolve(x, weight, bias, (1, 1), 1)
    assert torch.equal(found, expected)
    theirs, ours = torch.autograd.grad(expected.sum(), weight), torch.autograd.grad(found.sum(), weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    assert not torch.equal(ours[0], theirs[0])  # another way was taken


@pytest.mark.usefixtures("everywhere")
def test_an_empty_batch_gives_a_gradient_of_zeros():
    x, weight, bias = inputs(batch=0)
    convolve(x, weight, bias, (1, 1), 1).sum().backward()
    assert weight.grad is not None and weight.grad.shape == weight.shape and not weight.grad.any()
    assert bias.grad is not None and not bias.grad.any()


@pytest.mark.usefixtures("everywhere")
def test_a_frozen_weight_and_a_missing_bias_have_no_gradient():
    x, weight, _ = inputs()
    convolve(x, weight.detach(), None, (1, 1), 1).sum().backward()
    assert x.grad is not None and weight.grad is None
    convolve(x.detach(), weight, None, (1, 1), 1).sum().backward()
    assert weight.grad is not None


def test_only_wide_3x3_convolutions_of_stride_1_on_large_maps_take_winograd():
    x = torch.zeros(1, 128, 64, 64)
    assert suits_winograd(x, (128, 128, 3, 3), (1, 1), 1)
    assert not suits_winograd(x, (64, 128, 3, 3), (1, 1), 1)
    assert not suits_winograd(x, (128, 128, 1, 1), (1, 1), 1)
    assert not suits_winograd(x, (128, 128, 3, 3), (2, 2), 1)
    assert not suits_winograd(x, (128, 4, 3, 3), (1, 1), 32)
    assert not suits_winograd(x.bfloat16(), (128, 128, 3, 3), (1, 1), 1)
    assert suits_winograd(x.bfloat16(), (256, 256, 3, 3), (1, 1), 1)
    assert not suits_winograd(x[:, :, :8, :8], (128, 128, 3, 3), (1, 1), 1)
    assert not suits_winograd(x.to("meta"), (128, 128, 3, 3), (1, 1), 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert not suits_winograd(x, (128, 128, 3, 3), (1, 1), 1)
