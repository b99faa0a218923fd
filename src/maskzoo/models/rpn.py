"""The region proposal network's head."""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer

__all__ = ["RpnHead"]


class RpnHead(nn.Module):
    """One logit and four deltas per anchor, shared by all levels: `[B C H W]` in, `[B H*W*A]` and `[B H*W*A 4]` out."""

    def __init__(self, channels: int, anchors: int, convs: int = 1) -> None:
        super().__init__()
        layers = [ConvLayer(channels, channels, 3, relu=True) for _ in range(convs)]
        self.conv: nn.Module = layers[0] if convs == 1 else nn.Sequential(*layers)
        self.score = ConvLayer(channels, anchors, 1)
        self.delta = ConvLayer(channels, 4 * anchors, 1)

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores, deltas = zip(*(self.score_level(level) for level in features), strict=True)
        return list(scores), list(deltas)

    def score_level(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and deltas of one level."""
        hidden = self.conv(level)
        score = self.score(hidden).permute(0, 2, 3, 1).flatten(1).float()
        return score, self.delta(hidden).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)).float()
