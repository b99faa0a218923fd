"""ResNet and ResNeXt backbones, variants b and d, with frozen batch-norms."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer

__all__ = ["BLOCKS", "EXPANSION", "ResNet", "make_stage"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
EXPANSION = 4


class Shortcut(nn.Module):
    """The projection around the first block of a stage. `pooled` averages 2x2 pixels instead of striding."""

    def __init__(self, inputs: int, outputs: int, stride: int, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.project = ConvLayer(inputs, outputs, 1, stride=1 if pooled else stride, norm=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.pooled:  # a window that hangs over an odd edge averages the real pixels only
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        out: Tensor = self.project(x)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the stride sits on the 3x3."""

    def __init__(
        self, inputs: int, width: int, outputs: int, stride: int, groups: int, variant: str, first: bool
    ) -> None:
        super().__init__()
        self.conv1 = ConvLayer(inputs, width, 1, norm=True, relu=True)
        self.conv2 = ConvLayer(width, width, 3, stride=stride, groups=groups, norm=True, relu=True)
        self.conv3 = ConvLayer(width, outputs, 1, norm=True, relu=True)
        pooled = variant == "d" and stride == 2
        self.shortcut = Shortcut(inputs, outputs, stride, pooled) if first else None

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = self.conv3(self.conv2(self.conv1(x)), around)
        return out


def make_stage(
    inputs: int, channels: int, blocks: int, stride: int, groups: int, group_width: int, variant: str
) -> nn.Sequential:
    """Build one residual stage; `channels` is 64 for res2, doubled with every stage, outputs are four times that."""
    width = int(channels * (group_width / 64)) * groups
    outputs = channels * EXPANSION
    return nn.Sequential(
        *(
            Bottleneck(
                inputs if index == 0 else outputs,
                width,
                outputs,
                stride if index == 0 else 1,
                groups,
                variant,
                index == 0,
            )
            for index in range(blocks)
        )
    )


class ResNet(nn.Module):
    """Features of the asked `stages` (2..5) of an image: strides 4, 8, 16, 32; `[B 3 H W]` in, one `[B C h w]` a stage out."""

    def __init__(self, depth: int, variant: str, groups: int, group_width: int, stages: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = stages
        if variant == "d":
            self.stem = nn.Sequential(
                ConvLayer(3, 32, 3, stride=2, norm=True, relu=True),
                ConvLayer(32, 32, 3, norm=True, relu=True),
                ConvLayer(32, 64, 3, norm=True, relu=True),
            )
        else:
            self.stem = nn.Sequential(ConvLayer(3, 64, 7, stride=2, norm=True, relu=True))
        inputs = 64
        for index in range(max(stages) - 1):
            channels = 64 << index
            stage = make_stage(
                inputs, channels, BLOCKS[depth][index], 1 if index == 0 else 2, groups, group_width, variant
            )
            self.add_module(f"res{index + 2}", stage)
            inputs = channels * EXPANSION
        self.channels = tuple((64 << (stage - 2)) * EXPANSION for stage in stages)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = F.max_pool2d(self.stem(pixels), 3, 2, 1)
        features = []
        for stage in range(2, max(self.stages) + 1):
            x = self.get_submodule(f"res{stage}")(x)
            if stage in self.stages:
                features.append(x)
        return features
