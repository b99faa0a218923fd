import pytest
import torch
import torch.nn.functional as F

from maskzoo.ops import convolution
from maskzoo.ops.convolution import convolve, weight_gradient


@pytest.fixture
def by_products(monkeypatch):
    monkeypatch.setattr(convolution, "_needs_products", lambda: True)
    monkeypatch.setattr(convolution, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(convolution, "LEAST_PIXELS", 1)


def inputs(batch=2, channels=5, outputs=4, size=(7, 9), kernel=3):
    torch.manual_seed(0)
    x = torch.randn(batch, channels, *size).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(outputs, channels, kernel, kernel, requires_grad=True)
    return x, weight, torch.randn(outputs, requires_grad=True)


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (1, 6), (14, 14)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_the_weight_gradient_is_that_of_conv2d(size, kernel):
    x, weight, _ = inputs(size=size, kernel=kernel)
    out = F.conv2d(x, weight, padding=kernel // 2)
    grad = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, weight, grad)
    torch.testing.assert_close(weight_gradient(x.detach(), grad, kernel), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)])
def test_outputs_and_all_gradients_are_those_of_conv2d(kernel, stride):
    x, weight, bias = inputs(kernel=kernel)
    expected = F.conv2d(x, weight, bias, stride, kernel // 2)
    found = convolve(x, weight, bias, (stride, stride), 1)
    assert torch.equal(found, expected)
    grad = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, (x, weight, bias), grad), torch.autograd.grad(expected, (x, weight, bias), grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("by_products")
def test_an_empty_batch_gives_a_gradient_of_zeros():
    x, weight, bias = inputs(batch=0)
    convolve(x, weight, bias, (1, 1), 1).sum().backward()
    assert weight.grad is not None and weight.grad.shape == weight.shape and not weight.grad.any()
    assert bias.grad is not None and not bias.grad.any()


@pytest.mark.usefixtures("by_products")
def test_a_frozen_weight_and_a_missing_bias_have_no_gradient():
    x, weight, _ = inputs()
    convolve(x, weight.detach(), None, (1, 1), 1).sum().backward()
    assert x.grad is not None and weight.grad is None
    convolve(x.detach(), weight, None, (1, 1), 1).sum().backward()
    assert weight.grad is not None
