"""The feature pyramid."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer
from maskzoo.models.settings import Norm

__all__ = ["FeaturePyramid"]


class FeaturePyramid(nn.Module):
    """res2..res5 in, P2..P6 out, all of `channels`. The canvas must be a multiple of 32, so that levels fit twice."""

    def __init__(self, inputs: tuple[int, ...], channels: int, norm: Norm = "none") -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvLayer(count, channels, 1, norm=norm) for count in inputs)
        self.output = nn.ModuleList(ConvLayer(channels, channels, 3, norm=norm) for _ in inputs)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the levels; `features` is emptied, so that no map stays in memory that is not needed any more."""
        merged = [self.lateral[-1](features.pop())]
        for lateral in reversed(list(self.lateral)[:-1]):
            merged.append(lateral(features.pop(), F.interpolate(merged[-1], scale_factor=2.0, mode="nearest")))
        levels = [output(merged.pop()) for output in self.output]
        return [*levels, F.max_pool2d(levels[-1], 1, 2)]  # a slice would be a compiled program of its own for odd sizes
