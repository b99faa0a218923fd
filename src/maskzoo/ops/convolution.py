"""Convolution whose weight gradient is quick on channels-last tensors."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["convolve"]

LEAST_CHANNELS, LEAST_PIXELS = 64, 512  # from which the products are the quicker ones; narrow and small ones are not


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], groups: int
) -> Tensor:
    """Return `conv2d` of its arguments, padded by k // 2: `x` `[B C H W]`, `weight` `[O C/groups k k]`, odd `k`.

    oneDNN has no quick weight gradient of channels-last tensors for processors without AVX-512: 3 to 7 times the time of
    the forward pass on large maps. There, a k x k convolution of stride 1 takes it as k*k matrix products instead.
    """
    if (
        weight.shape[2] > 1
        and min(weight.shape[:2]) >= LEAST_CHANNELS
        and x.shape[2] * x.shape[3] >= LEAST_PIXELS
        and stride == (1, 1)
        and groups == 1
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _needs_products()
    ):
        out: Tensor = _ByProducts.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    return F.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=groups)


class _ByProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        half = weight.shape[2] // 2
        wanted = [ctx.needs_input_grad[0], False, ctx.has_bias and ctx.needs_input_grad[2]]
        grad_x, _, grad_bias = torch.ops.aten.convolution_backward(
            grad, x, weight, [weight.shape[0]], [1, 1], [half, half], [1, 1], False, [0, 0], 1, wanted
        )
        return grad_x, weight_gradient(x, grad, weight.shape[2]), grad_bias


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Return the gradient `[O C k k]` of a convolution of stride 1, padded by k // 2, from `x` `[B C H W]`, `grad` `[B O H W]`.

    With `x` padded all around and `grad` on its right and below, both are tables of pixels of one width, in which a kernel's
    cell is a fixed distance: the pairs of pixels that meet in it are two slices.
    """
    edge = kernel - 1
    pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, edge // 2, edge // 2, edge // 2, edge // 2)).flatten(0, 2)
    table = F.pad(grad.permute(0, 2, 3, 1), (0, 0, 0, edge, 0, edge)).flatten(0, 2)
    count, width = len(table), x.shape[3] + edge
    cells = [row * width + column for row in range(kernel) for column in range(kernel)]
    products = [table[: count - cell].t() @ pixels[cell:] for cell in cells]
    gradient: Tensor = torch.stack(products, dim=-1).unflatten(-1, (kernel, kernel))
    return gradient


@cache
def _needs_products() -> bool:
    return not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
