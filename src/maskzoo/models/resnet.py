"""ResNet and ResNeXt backbones, variants b and d."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer, DeformConvLayer
from maskzoo.models.settings import Backbone

__all__ = ["BLOCKS", "ResNet", "count_channels", "make_stage"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DEEP = 50  # from this depth on, blocks have three convolutions
EXPANSION = 4  # of their outputs
BASE_WIDTH = 64  # to which `group_width` refers


class Shortcut(nn.Module):
    """The projection around the first block of a stage. Where variant d strides, it averages 2x2 pixels instead."""

    def __init__(self, shape: Backbone, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.pooled = shape.variant == "d" and stride == 2
        self.project = ConvLayer(inputs, outputs, 1, stride=1 if self.pooled else stride, norm=shape.norm)

    def forward(self, x: Tensor) -> Tensor:
        if self.pooled:  # a window beyond an odd edge averages the real pixels only
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        out: Tensor = self.project(x)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the stride sits on the 3x3, or on the first 1x1. `channels` is 64 in res2 of the usual width."""

    def __init__(
        self,
        shape: Backbone,
        inputs: int,
        channels: int,
        stride: int,
        first: bool,
        dilation: int = 1,
        deformable: bool = False,
    ) -> None:
        super().__init__()
        outputs, norm = channels * EXPANSION, shape.norm
        width = int(channels * (shape.group_width / BASE_WIDTH)) * shape.groups
        first_stride, second_stride = (stride, 1) if shape.stride_in_1x1 else (1, stride)
        self.conv1 = ConvLayer(inputs, width, 1, stride=first_stride, norm=norm, relu=True)
        self.conv2: nn.Module
        if deformable:
            self.conv2 = DeformConvLayer(width, width, stride=second_stride, groups=shape.groups, norm=norm)
        else:
            self.conv2 = ConvLayer(
                width, width, 3, stride=second_stride, groups=shape.groups, dilation=dilation, norm=norm, relu=True
            )
        self.conv3 = ConvLayer(width, outputs, 1, norm=norm, relu=True)
        self.shortcut = Shortcut(shape, inputs, outputs, stride) if first else None

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = self.conv3(self.conv2(self.conv1(x)), around)
        return out


class BasicBlock(nn.Module):
    """3x3, 3x3, of depths 18 and 34; the stride sits on the first."""

    def __init__(self, shape: Backbone, inputs: int, channels: int, stride: int, first: bool) -> None:
        super().__init__()
        self.conv1 = ConvLayer(inputs, channels, 3, stride=stride, norm=shape.norm, relu=True)
        self.conv2 = ConvLayer(channels, channels, 3, norm=shape.norm, relu=True)
        changes = first and (stride != 1 or inputs != channels)
        self.shortcut = Shortcut(shape, inputs, channels, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = self.conv2(self.conv1(x), around)
        return out


def count_channels(shape: Backbone, stage: int) -> int:
    """Return the channels of res2 to res5, or of the stem, `stage` 1."""
    if stage == 1:
        return shape.width
    return (shape.width << (stage - 2)) * (EXPANSION if shape.depth >= DEEP else 1)


def make_stage(shape: Backbone, stage: int, *, dilated: bool = False) -> nn.Sequential:
    """Build one residual stage, 2 to 5; a `dilated` one keeps the size of its input and looks as far as one that strides."""
    deep = partial(Bottleneck, dilation=1 + dilated, deformable=f"res{stage}" in shape.deformable)
    block = deep if shape.depth >= DEEP else BasicBlock
    channels, stride = shape.width << (stage - 2), 1 if stage == 2 or dilated else 2
    inputs, outputs = count_channels(shape, stage - 1), count_channels(shape, stage)
    rest = range(1, BLOCKS[shape.depth][stage - 2])
    return nn.Sequential(
        block(shape, inputs, channels, stride, True), *(block(shape, outputs, channels, 1, False) for _ in rest)
    )


class ResNet(nn.Module):
    """Features of the asked `stages` (2..5) of an image: strides 4, 8, 16, 32; `[B 3 H W]` in, one `[B C h w]` a stage out.

    Its frozen stages do not train, and their norms keep their running statistics. A `dilated` res5 has stride 16.
    """

    def __init__(self, shape: Backbone, stages: tuple[int, ...], *, dilated: bool = False) -> None:
        super().__init__()
        self.stages, self.frozen = stages, shape.frozen
        width = shape.width
        if shape.variant == "d":
            self.stem = nn.Sequential(
                ConvLayer(3, width // 2, 3, stride=2, norm=shape.norm, relu=True),
                ConvLayer(width // 2, width // 2, 3, norm=shape.norm, relu=True),
                ConvLayer(width // 2, width, 3, norm=shape.norm, relu=True),
            )
        else:
            self.stem = nn.Sequential(ConvLayer(3, width, 7, stride=2, norm=shape.norm, relu=True))
        for stage in range(2, max(stages) + 1):
            self.add_module(f"res{stage}", make_stage(shape, stage, dilated=dilated and stage == 5))
        self.channels = tuple(count_channels(shape, stage) for stage in stages)
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)

    def train(self, mode: bool = True) -> ResNet:
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).train(False)
        return self

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = F.max_pool2d(self.stem(pixels), 3, 2, 1)
        features = []
        for stage in range(2, max(self.stages) + 1):
            x = self.get_submodule(f"res{stage}")(x)
            if stage in self.stages:
                features.append(x)
        return features
