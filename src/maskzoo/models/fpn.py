"""The feature pyramid."""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer
from maskzoo.models.norms import Norm

__all__ = ["FeaturePyramid"]


class FeaturePyramid(nn.Module):
    """res2..res5 in, P2..P6 out, all of `channels`. The canvas must be a multiple of 32, so that levels fit twice."""

    def __init__(self, inputs: tuple[int, ...], channels: int, norm: Norm = "none") -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvLayer(count, channels, 1, norm=norm) for count in inputs)
        self.output = nn.ModuleList(ConvLayer(channels, channels, 3, norm=norm) for _ in inputs)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        merged = [self.lateral[-1](features[-1])]
        for lateral, feature in zip(reversed(list(self.lateral)[:-1]), reversed(features[:-1]), strict=True):
            merged.insert(0, _add_upsampled(lateral(feature), merged[0]))
        levels = [output(level) for output, level in zip(self.output, merged, strict=True)]
        return [*levels, levels[-1][:, :, ::2, ::2]]


def _add_upsampled(fine: Tensor, coarse: Tensor) -> Tensor:
    """Add each pixel of `coarse` to the 2x2 pixels of `fine` below it (nearest neighbour), in place, without a copy."""
    height, width = coarse.shape[2:]
    fine.unflatten(3, (width, 2)).unflatten(2, (height, 2)).add_(coarse[:, :, :, None, :, None])
    return fine
