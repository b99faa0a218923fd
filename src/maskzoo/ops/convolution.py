"""Convolution by the fastest algorithm for its shape."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskzoo.ops import winograd

__all__ = ["LEAST_CHANNELS", "convolve", "is_wide", "suits_winograd"]

# From here on Winograd's fewer multiplications are worth its transforms; below, the direct convolution is faster.
LEAST_CHANNELS = 128
LEAST_TILES_OF_MAP, LEAST_TILES = 16, 64  # one map alone is enough, or all of a batch
LEAST_CHANNELS_OF_BFLOAT16 = 256  # whose direct convolution is twice as fast, and more exact
# The direct weight gradient of channels-last tensors is slow without AVX-512: 3 to 7 times the forward pass.
LEAST_CHANNELS_OF_GRADIENT = 64


def suits_winograd(
    x: Tensor,
    weight: tuple[int, ...] | torch.Size,
    stride: tuple[int, ...],
    groups: int,
    channels: int = LEAST_CHANNELS,
    dilation: tuple[int, ...] = (1, 1),
) -> bool:
    """Say whether to convolve `x` `[B C H W]` with kernels of shape `weight` `(O, C/groups, k, k)` by Winograd's algorithm.

    On a CPU, in float32, or in bfloat16 where the network computes in it; compiled and exported programs and autocast keep
    the plain convolution.
    """
    return (
        is_wide(x, weight, stride, groups, channels, dilation)
        and not torch.compiler.is_compiling()
        and _is_large(x.shape)
        and not torch.is_autocast_enabled("cpu")
    )


def is_wide(
    x: Tensor,
    weight: tuple[int, ...] | torch.Size,
    stride: tuple[int, ...],
    groups: int,
    channels: int = LEAST_CHANNELS,
    dilation: tuple[int, ...] = (1, 1),
) -> bool:
    """Say whether `suits_winograd` depends on the size of `x` alone."""
    least = {torch.float32: channels, torch.bfloat16: max(channels, LEAST_CHANNELS_OF_BFLOAT16)}
    return (
        tuple(weight[2:]) == (3, 3)
        and tuple(stride) == tuple(dilation) == (1, 1)
        and groups == 1
        and x.dtype in least
        and min(weight[:2]) >= least[x.dtype]
        and x.device.type == "cpu"
    )


def _is_large(shape: torch.Size) -> bool:
    """Whether `[B C H W]` has enough tiles. The batch counts for tiny maps only: results should not depend on its size."""
    of_map = winograd.count_tiles(shape[2:])
    return of_map >= LEAST_TILES_OF_MAP or shape[0] * of_map >= LEAST_TILES


@torch.library.custom_op("maskzoo::convolve", mutates_args=())
def _convolve_wide(x: Tensor, weight: Tensor, transformed: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """The wide convolution of a compiled program, which serves all sizes: the algorithm is chosen when it runs."""
    if _is_large(x.shape):
        return winograd.convolve(x, transformed, bias, relu=relu)
    out = F.conv2d(x, weight, bias, padding=1).contiguous(memory_format=torch.channels_last)
    return out.relu_() if relu else out


@_convolve_wide.register_fake
def _(x: Tensor, weight: Tensor, transformed: Tensor, bias: Tensor, relu: bool) -> Tensor:
    size = (x.shape[0], weight.shape[0], *x.shape[2:])
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...] = (1, 1),
) -> Tensor:
    """Return `conv2d` of its arguments, padded to keep the size: `x` `[B C H W]`, `weight` `[O C/groups k k]`, odd `k`."""
    if suits_winograd(x, weight.shape, stride, groups, LEAST_CHANNELS_OF_GRADIENT, dilation):
        out: Tensor = _Convolution.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    return F.conv2d(x, weight, bias, stride, dilation[0] * (weight.shape[2] // 2), dilation, groups)


class _Convolution(torch.autograd.Function):
    """The 3x3 convolution of stride 1. With enough channels the gradient of its input is such a convolution, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _convolve(grad, weight.flip(2, 3).transpose(0, 1), None) if needs_x else None,
            winograd.weight_gradient(x, grad) if needs_weight else None,
            grad.sum(dim=(0, 2, 3)) if needs_bias else None,
        )


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if min(weight.shape[:2]) >= LEAST_CHANNELS:
        return winograd.convolve(x, winograd.transform_weight(weight, winograd.choose_tile(x)), bias)
    return F.conv2d(x, weight, bias, padding=1)
