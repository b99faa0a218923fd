"""RoI heads: boxes and masks of regions, on a pyramid (FPN, with one box head or a cascade of them), on one level of a
dilated res5 (DC5), or on one with res5 (C4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer, Upsample
from maskzoo.models.norms import BatchNorm
from maskzoo.models.settings import Norm
from maskzoo.ops.boxes import BOX_WEIGHTS, clip, decode
from maskzoo.ops.roi_align import FeatureTable, assign_levels, make_table, roi_align
from maskzoo.structures import Proposals

__all__ = ["BoxPredictor", "BoxStage", "C4RoiHeads", "CascadeRoiHeads", "FpnRoiHeads", "MaskPredictor", "RoiHeads"]

BOX_SIDE = 7  # cells of a RoI feature of the FPN box head
MASK_SIDE = 14  # of the FPN mask head and of res5
CHUNK = 512 * 256  # channels of RoIs at once: 25 MB of the box head's features, as much as the allocator reuses
GRAIN = 4  # RoIs: a convolution's set-up is kept for every count it has met, at a megabyte each


class BoxPredictor(nn.Module):
    """Class logits `[N C+1]`, background last, and deltas `[N C 4]`, times BOX_WEIGHTS, from a feature `[N F]`.

    Deltas are those of each class; or all classes share four, in units that are `fineness` times as fine: what a stage of a
    cascade has learnt.
    """

    def __init__(self, features: int, classes: int, fineness: int | None = None) -> None:
        super().__init__()
        self.fineness = fineness
        self.score = nn.Linear(features, classes + 1)
        self.delta = nn.Linear(features, classes * 4 if fineness is None else 4)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        score, delta = self.score(feature), self.delta(feature).unflatten(1, (-1, 4))
        return score, delta if self.fineness is None else (delta / self.fineness).expand(-1, score.shape[1] - 1, 4)


class MaskPredictor(nn.Module):
    """Doubles the resolution (transposed convolution 2x2, ReLU), then a 1x1 convolution to the classes' logits."""

    def __init__(self, features: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.upsample = Upsample(features, hidden)
        self.logits = nn.Conv2d(hidden, classes, 1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits `[N 2m 2m]` of class `labels` `[N]` from features `[N F m m]`; no other is computed."""
        if features.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._predict(features, labels)
        # A few at a time: what is widened stays in the processor's cache.
        parts = zip(features.split(GRAIN), labels.split(GRAIN), strict=True)
        return torch.cat([self._predict(*part) for part in parts])

    def _predict(self, features: Tensor, labels: Tensor) -> Tensor:
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

    @property
    def stages(self) -> list[RoiHeads | BoxStage]:
        """The box heads in their order: what has `box_head` and `box`."""
        return [self]

    def box_head(self, pooled: Tensor) -> Tensor:
        """Return the box predictor's input `[N F]` from RoI features `[N C box_side box_side]`."""
        raise NotImplementedError

    def mask_head(self, pooled: Tensor) -> Tensor:
        """Return the mask predictor's input `[N F m m]` from RoI features `[N C 14 14]`."""
        raise NotImplementedError

    def table(self, features: list[Tensor]) -> FeatureTable:
        """Lay out the levels that RoIs are pooled from."""
        return make_table(features[: len(self.strides)], self.strides)

    def boxes(self, table: FeatureTable, boxes: Tensor, place: int = 0) -> tuple[Tensor, Tensor]:
        """Return class logits `[B P C+1]` and deltas `[B P C 4]` of boxes `[B P 4]`, by the box head at `place` of `stages`."""
        stage = self.stages[place]
        feature = self.run_head(stage.box_head, table, boxes.flatten(0, 1), _images(boxes), self.box_side)
        return _predict_boxes(stage.box, feature, boxes)

    def refine(self, table: FeatureTable, proposals: Proposals, sizes: Tensor) -> tuple[Tensor, Tensor, Proposals]:
        """Return the logits `[B P C+1]` and deltas `[B P C 4]` of detections, and the boxes that these move.

        `sizes` `[B 2]` are the images' true height and width.
        """
        return *self.boxes(table, proposals.boxes), proposals

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

    def _takes_statistics(self) -> bool:
        """Whether there are norms in training. They need all RoIs at once; synchronised ones would also deadlock if one
        process had more chunks than another."""
        return self.training and any(isinstance(module, BatchNorm) for module in self.modules())


class BoxStage(nn.Module):
    """A box head of two linear layers, or of four convolutions and one, and its predictor."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        classes: int,
        hidden: int,
        norm: Norm = "none",
        box_head: str = "2fc",
        fineness: int | None = None,
    ) -> None:
        super().__init__()
        self.box_convs = nn.Sequential() if box_head == "2fc" else _convolve_four(inputs, channels, norm)
        # fc6 reads cells outermost, channels innermost: the order in which RoIAlign writes.
        self.fc6 = nn.Linear(BOX_SIDE * BOX_SIDE * (inputs if box_head == "2fc" else channels), hidden)
        self.fc7 = nn.Linear(hidden, hidden) if box_head == "2fc" else None
        self.box = BoxPredictor(hidden, classes, fineness)

    def box_head(self, pooled: Tensor) -> Tensor:
        """Return the box predictor's input `[N F]` from RoI features `[N C 7 7]`."""
        hidden = F.relu_(self.fc6(self.box_convs(pooled).permute(0, 2, 3, 1).flatten(1)))
        return hidden if self.fc7 is None else F.relu_(self.fc7(hidden))


class FpnRoiHeads(BoxStage, RoiHeads):
    """A box head, and four convolutions for masks.

    On features of P2..P5, of as many channels as the heads' own, or on one level of so many `inputs` (DC5).
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)
    box_side = BOX_SIDE

    def __init__(
        self,
        channels: int,
        classes: int,
        hidden: int,
        norm: Norm = "none",
        box_head: str = "2fc",
        inputs: int | None = None,
        fineness: int | None = None,
    ) -> None:
        width = channels if inputs is None else inputs
        super().__init__(width, channels, classes, hidden, norm, box_head, fineness)
        if inputs is not None:
            self.strides = (16,)
        self.chunk = max(1, CHUNK // width)
        self.convs = _convolve_four(width, channels, norm)
        self.mask = MaskPredictor(channels, classes, channels)

    def mask_head(self, pooled: Tensor) -> Tensor:
        features: Tensor = self.convs(pooled)
        return features


class CascadeRoiHeads(FpnRoiHeads):
    """A cascade of box heads, each on the boxes of the one before: scores are the mean of all, boxes those of the last.

    The first is that of FpnRoiHeads, `later` has the others; each has deltas of its own fineness (Cascade R-CNN: 10, 20 and
    30 for a shift of a whole side).
    """

    def __init__(
        self, channels: int, classes: int, hidden: int, norm: Norm = "none", box_head: str = "2fc", *, stages: int
    ) -> None:
        super().__init__(channels, classes, hidden, norm, box_head, fineness=1)
        self.later = nn.ModuleList(
            BoxStage(channels, channels, classes, hidden, norm, box_head, fineness) for fineness in range(2, stages + 1)
        )

    @property
    def stages(self) -> list[RoiHeads | BoxStage]:
        later: list[BoxStage] = list(self.later)  # type: ignore[arg-type]
        return [self, *later]

    def move(self, boxes: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
        """Return the boxes `[B P 4]` that the next stage gets: moved by deltas `[B P C 4]`, clipped to `sizes` `[B 2]`."""
        return clip(decode(boxes, deltas[:, :, 0].float(), BOX_WEIGHTS), sizes)

    def refine(self, table: FeatureTable, proposals: Proposals, sizes: Tensor) -> tuple[Tensor, Tensor, Proposals]:
        boxes = proposals.boxes
        scores, deltas = self.boxes(table, boxes)
        total = scores.float().softmax(dim=-1)
        for place in range(1, len(self.stages)):
            boxes = self.move(boxes, deltas, sizes)
            scores, deltas = self.boxes(table, boxes, place)
            total = total + scores.float().softmax(dim=-1)
        mean = total / len(self.stages)
        logits = mean.clamp(min=torch.finfo(mean.dtype).tiny).log()  # whose softmax is the mean: what follows needs no more
        return logits, deltas, Proposals(boxes, proposals.scores, proposals.valid)


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
        return *_predict_boxes(self.box, features.mean(dim=(2, 3)), boxes), features


def _convolve_four(inputs: int, channels: int, norm: Norm) -> nn.Sequential:
    widths = (inputs, channels, channels, channels)
    return nn.Sequential(*(ConvLayer(width, channels, 3, norm=norm, relu=True) for width in widths))


def _predict_boxes(predictor: nn.Module, feature: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    scores, deltas = predictor(feature)
    return scores.unflatten(0, boxes.shape[:2]), deltas.unflatten(0, boxes.shape[:2])


def _images(boxes: Tensor) -> Tensor:
    """Image index `[B*N]` of each of the boxes `[B N 4]`."""
    return torch.arange(boxes.shape[0], device=boxes.device)[:, None].expand(boxes.shape[:2]).flatten()
