"""RoI heads: boxes and masks of regions, on a pyramid (FPN) or on one level with res5 (C4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer, Upsample
from maskzoo.models.norms import BatchNorm
from maskzoo.models.settings import Norm
from maskzoo.ops.roi_align import FeatureTable, assign_levels, make_table, roi_align

__all__ = ["BoxPredictor", "C4RoiHeads", "FpnRoiHeads", "MaskPredictor", "RoiHeads"]

BOX_SIDE = 7  # cells of a RoI feature of the FPN box head
MASK_SIDE = 14  # of the FPN mask head and of res5
GRAIN = 4  # RoIs: a convolution's set-up is kept for every count it has met, at a megabyte each


class BoxPredictor(nn.Module):
    """Class logits `[N C+1]`, background last, and class-specific deltas `[N C 4]` from a feature `[N F]`."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, classes + 1)
        self.delta = nn.Linear(features, classes * 4)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.score(feature), self.delta(feature).unflatten(1, (-1, 4))


class MaskPredictor(nn.Module):
    """Doubles the resolution (transposed convolution 2x2, ReLU), then a 1x1 convolution to the classes' logits."""

    def __init__(self, features: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.upsample = Upsample(features, hidden)
        self.logits = nn.Conv2d(hidden, classes, 1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits `[N 2m 2m]` of class `labels` `[N]` from features `[N F m m]`; no other is computed."""
        hidden = self.widen(features)
        count, side, classes = features.shape[0], features.shape[2], self.logits
        assert classes.bias is not None  # built with one
        weight, bias = classes.weight[labels, :, 0, 0], classes.bias[labels]
        cells = hidden.reshape(count, side * side * 4, hidden.shape[-1])
        logits = torch.baddbmm(bias[:, None, None], cells, weight[:, :, None])
        return logits.reshape(count, side, side, 2, 2).transpose(2, 3).reshape(count, 2 * side, 2 * side)

    def widen(self, features: Tensor) -> Tensor:
        """Return the hidden feature of every subpixel `[N m m 2 2 hidden]`: the transposed convolution as a product."""
        hidden: Tensor = self.upsample(features).permute(0, 2, 3, 1).unflatten(-1, (2, 2, -1))
        return hidden


class RoiHeads(nn.Module):
    """What both kinds of heads share: RoIs are pooled level by level, in chunks, and a head runs on each chunk.

    A kind defines how a pooled feature becomes one vector for the box predictor (`box_head`) and a map for the mask
    predictor (`mask_head`).
    """

    strides: tuple[int, ...]
    box_side: int
    chunk: int
    aligned: bool = True
    samples: int = 0
    box: BoxPredictor
    mask: MaskPredictor

    def box_head(self, pooled: Tensor) -> Tensor:
        """Return the box predictor's input `[N F]` from RoI features `[N C box_side box_side]`."""
        raise NotImplementedError

    def mask_head(self, pooled: Tensor) -> Tensor:
        """Return the mask predictor's input `[N F m m]` from RoI features `[N C 14 14]`."""
        raise NotImplementedError

    def table(self, features: list[Tensor]) -> FeatureTable:
        """Lay out the levels that RoIs are pooled from."""
        return make_table(features[: len(self.strides)], self.strides)

    def boxes(self, table: FeatureTable, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits `[B P C+1]` and deltas `[B P C 4]` of boxes `[B P 4]`."""
        feature = self.run_head(self.box_head, table, boxes.flatten(0, 1), _images(boxes), self.box_side)
        return self._predict_boxes(feature, boxes)

    def boxes_and_mask_features(self, table: FeatureTable, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what `boxes` returns, and the mask predictor's input `[B*P F m m]` where boxes come from it too."""
        return *self.boxes(table, boxes), None

    def mask_features(self, table: FeatureTable, boxes: Tensor, images: Tensor) -> Tensor:
        """Return the mask predictor's input `[N F m m]` of boxes `[N 4]` on `images` `[N]`."""
        return self.run_head(self.mask_head, table, boxes, images, MASK_SIDE)

    def masks(self, table: FeatureTable, boxes: Tensor, labels: Tensor) -> Tensor:
        """Return mask logits `[B D 2m 2m]` of class `labels` `[B D]` in boxes `[B D 4]`."""
        logits: Tensor = self.mask(self.mask_features(table, boxes.flatten(0, 1), _images(boxes)), labels.flatten())
        return logits.reshape(*boxes.shape[:2], *logits.shape[1:])

    def pool(self, table: FeatureTable, boxes: Tensor, images: Tensor, levels: Tensor, side: int) -> Tensor:
        """Return RoI features `[N C side side]` of boxes `[N 4]` on `images` `[N]`, whose `levels` `[N]` rise."""
        return roi_align(table, boxes, images, levels, side, self.aligned, self.samples)

    def run_head(
        self, head: Callable[[Tensor], Tensor], table: FeatureTable, boxes: Tensor, images: Tensor, side: int
    ) -> Tensor:
        """Pool boxes `[N 4]` on `images` `[N]` and run `head` on them, chunk by chunk; results `[N ...]` in box order."""
        levels, order = assign_levels(boxes, len(self.strides)).sort(stable=True)
        boxes, images = boxes[order], images[order]
        if self._takes_statistics() or torch.compiler.is_compiling():
            done = head(self.pool(table, boxes, images, levels, side))
        else:  # boxes without area, whose features are zeros, are cheaper than a convolution set up for every count
            empty = -len(boxes) % GRAIN
            boxes, images = F.pad(boxes, (0, 0, 0, empty)), F.pad(images, (0, empty))
            levels = F.pad(levels, (0, empty), value=len(self.strides) - 1)
            parts = zip(boxes.split(self.chunk), images.split(self.chunk), levels.split(self.chunk), strict=True)
            done = torch.cat([head(self.pool(table, *part, side)) for part in parts])
        return done[order.argsort()]

    def _predict_boxes(self, feature: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        scores, deltas = self.box(feature)
        return scores.unflatten(0, boxes.shape[:2]), deltas.unflatten(0, boxes.shape[:2])

    def _takes_statistics(self) -> bool:
        """Whether there are norms in training. They need all RoIs at once; synchronised ones would also deadlock if one
        process had more chunks than another."""
        return self.training and any(isinstance(module, BatchNorm) for module in self.modules())


class FpnRoiHeads(RoiHeads):
    """Two linear layers for boxes, or four convolutions and one; four convolutions for masks; on features of P2..P5."""

    strides = (4, 8, 16, 32)
    box_side = BOX_SIDE
    chunk = 512  # 25 MB of box features: as much as the allocator reuses

    def __init__(self, channels: int, classes: int, hidden: int, norm: Norm = "none", box_head: str = "2fc") -> None:
        super().__init__()

        def convolve_four() -> nn.Sequential:
            return nn.Sequential(*(ConvLayer(channels, channels, 3, norm=norm, relu=True) for _ in range(4)))

        self.box_convs = nn.Sequential() if box_head == "2fc" else convolve_four()
        # fc6 reads cells outermost, channels innermost: the order in which RoIAlign writes.
        self.fc6 = nn.Linear(BOX_SIDE * BOX_SIDE * channels, hidden)
        self.fc7 = nn.Linear(hidden, hidden) if box_head == "2fc" else None
        self.box = BoxPredictor(hidden, classes)
        self.convs = convolve_four()
        self.mask = MaskPredictor(channels, classes, channels)

    def box_head(self, pooled: Tensor) -> Tensor:
        hidden = F.relu_(self.fc6(self.box_convs(pooled).permute(0, 2, 3, 1).flatten(1)))
        return hidden if self.fc7 is None else F.relu_(self.fc7(hidden))

    def mask_head(self, pooled: Tensor) -> Tensor:
        features: Tensor = self.convs(pooled)
        return features


class C4RoiHeads(RoiHeads):
    """res5 on the 14x14 feature of every RoI of the one level; its mean for boxes, itself for masks."""

    strides = (16,)
    box_side = MASK_SIDE
    chunk = 128  # the features of 1,000 RoIs at once would need 800 MB

    def __init__(self, res5: nn.Module, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.res5 = res5
        self.box = BoxPredictor(channels, classes)
        self.mask = MaskPredictor(channels, classes, hidden)

    def box_head(self, pooled: Tensor) -> Tensor:
        return self.mask_head(pooled).mean(dim=(2, 3))

    def mask_head(self, pooled: Tensor) -> Tensor:
        features: Tensor = self.res5(pooled)
        return features

    def boxes_and_mask_features(self, table: FeatureTable, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        features = self.mask_features(table, boxes.flatten(0, 1), _images(boxes))
        return *self._predict_boxes(features.mean(dim=(2, 3)), boxes), features


def _images(boxes: Tensor) -> Tensor:
    """Image index `[B*N]` of each of the boxes `[B N 4]`."""
    return torch.arange(boxes.shape[0], device=boxes.device).repeat_interleave(boxes.shape[1])
