"""The layers that every part of the network is made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.norms import FrozenNorm, make_norm
from maskzoo.models.settings import Norm
from maskzoo.ops.convolution import convolve
from maskzoo.ops.deform_conv import deform_conv

__all__ = ["ConvLayer", "DeformConvLayer", "Upsample", "finish"]

KERNEL = 3  # of deformable convolutions


class ConvLayer(nn.Module):
    """Convolution of odd kernel, padded to keep its size, with a norm or a bias, an optional sum and ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm = "none",
        relu: bool = False,
    ) -> None:
        super().__init__()
        bias = norm == "none"
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias)
        self.norm = make_norm(norm, outputs)
        self.relu = relu

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Return relu(norm(conv(x)) + add), without the steps that the layer does not have. `x` `[B C H W]`."""
        conv = self.conv
        out = convolve(x, conv.weight, conv.bias, conv.stride, conv.groups, conv.dilation)
        if isinstance(self.norm, FrozenNorm):
            fused: Tensor = self.norm(out, add, self.relu)
            return fused
        if self.norm is not None:
            out = self.norm(out)
        return finish(out, add, self.relu)


class DeformConvLayer(nn.Module):
    """A deformable convolution 3x3 (v2), a norm and ReLU; a convolution of the same input says where each point looks."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, groups: int, norm: Norm) -> None:
        super().__init__()
        self.offset = ConvLayer(inputs, 3 * KERNEL * KERNEL, KERNEL, stride=stride)
        self.conv = nn.Conv2d(inputs, outputs, KERNEL, stride, 1, groups=groups, bias=False)
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(norm(conv(x))). `x` `[B C H W]`."""
        offset, mask = self.offset(x).split((2 * KERNEL * KERNEL, KERNEL * KERNEL), dim=1)
        out = deform_conv(x, offset, mask.sigmoid(), self.conv.weight, self.conv.stride[0], self.conv.groups)
        return F.relu(out if self.norm is None else self.norm(out))


class Upsample(nn.ConvTranspose2d):
    """A transposed convolution 2x2 of stride 2 and ReLU; a pixel's four new ones stay together: `[N 4*F m m]`."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs, 2, 2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        weight, bias = self.to_linear()
        return F.relu_(F.linear(x.permute(0, 2, 3, 1), weight, bias)).permute(0, 3, 1, 2)

    def to_linear(self) -> tuple[Tensor, Tensor]:
        """Return the same layer as a linear one on every pixel: weight `[4*F C]` for its four new pixels, bias `[4*F]`."""
        assert self.bias is not None  # built with one
        return self.weight.permute(2, 3, 1, 0).reshape(-1, self.in_channels), self.bias.repeat(4)


def finish(out: Tensor, add: Tensor | None, relu: bool) -> Tensor:
    """Add and apply ReLU, in place: nothing else uses `out`."""
    if add is not None:
        out = out.add_(add)
    return F.relu_(out) if relu else out
