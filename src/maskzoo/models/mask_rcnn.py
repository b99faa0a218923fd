"""Mask R-CNN: the walk from pixels to detections."""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.anchors import make_anchors
from maskzoo.models.detections import detect
from maskzoo.models.fpn import FeaturePyramid
from maskzoo.models.proposals import propose
from maskzoo.models.resnet import ResNet
from maskzoo.models.roi_heads import RoiHeads
from maskzoo.models.rpn import RpnHead
from maskzoo.models.settings import Anchors, Limits, ProposalLimits
from maskzoo.ops.boxes import BOX_WEIGHTS, RPN_WEIGHTS, cap_shrinking
from maskzoo.ops.roi_align import FeatureTable
from maskzoo.structures import Detections, ImageBatch, Proposals

__all__ = ["MaskRCNN"]


class MaskRCNN(nn.Module):
    """The network: backbone, perhaps a pyramid, RPN, RoI heads. `build` chooses and composes them.

    `forward` is the whole walk. Its steps are methods, for whoever goes part of the way: `features`, `score_anchors`,
    `propose`, `heads.refine` (`heads.pool`, and `box_head` and `box` of `heads.stages`), `detect`, `add_masks` (`heads.pool`,
    `heads.mask_head`, `heads.mask`).
    """

    def __init__(
        self,
        backbone: ResNet,
        pyramid: FeaturePyramid | None,
        rpn: RpnHead,
        heads: RoiHeads,
        anchors: Anchors,
        limits: Limits,
        shrinking_capped: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.rpn, self.heads = backbone, pyramid, rpn, heads
        self.anchors, self.limits, self.shrinking_capped = anchors, limits, shrinking_capped

    def forward(self, batch: ImageBatch) -> Detections:
        """Return detections with masks in every slot, in pixels of the resized images."""
        detections, table = self.find(batch)
        return self.add_masks(detections, table)

    def find(self, batch: ImageBatch) -> tuple[Detections, FeatureTable]:
        """Return the detections without masks, and the features that the mask head goes on with."""
        features = self.features(batch.pixels)
        proposals = self.propose(*self.score_anchors(features), batch.sizes, self.limits.proposals)
        table = self.heads.table(features)
        del features  # the table holds what is still needed
        return self.detect(*self.heads.refine(table, proposals, batch.sizes), batch.sizes), table

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps `[B C h w]` that the RPN runs on, finest first, of pixels `[B 3 H W]`."""
        features: list[Tensor] = self.backbone(pixels)
        return features if self.pyramid is None else self.pyramid(features)

    def score_anchors(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return logits `[B A]`, deltas `[B A 4]` and anchors `[A 4]` of each feature map."""
        return *self.rpn(features), self.make_anchors(features)

    def propose(
        self, scores: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], sizes: Tensor, limits: ProposalLimits
    ) -> Proposals:
        """Return the regions that may hold an object, from scored anchors and the images' sizes `[B 2]`."""
        if self.shrinking_capped:
            deltas = [cap_shrinking(level, RPN_WEIGHTS) for level in deltas]
        return propose(scores, deltas, anchors, sizes, limits)

    def detect(self, class_scores: Tensor, box_deltas: Tensor, proposals: Proposals, sizes: Tensor) -> Detections:
        """Return the detections, without masks, from the box head's logits `[B P C+1]` and deltas `[B P C 4]`."""
        if self.shrinking_capped:
            box_deltas = cap_shrinking(box_deltas.float(), BOX_WEIGHTS)
        return detect(class_scores, box_deltas, proposals, sizes, self.limits.detections)

    def make_anchors(self, features: list[Tensor]) -> list[Tensor]:
        """Return the anchors `[h*w*A 4]` of each feature map."""
        shape, finest = self.anchors, features[0].shape
        canvas = (finest[2] * shape.strides[0], finest[3] * shape.strides[0]) if shape.whole else None
        return [
            make_anchors(level.shape[2], level.shape[3], stride, level_sizes, shape.ratios, level.device, canvas)
            for level, stride, level_sizes in zip(features, shape.strides, shape.sizes, strict=True)
        ]

    def add_masks(self, detections: Detections, table: FeatureTable) -> Detections:
        """Run the mask head on the detections' boxes: the probability of the predicted class."""
        logits = self.heads.masks(table, detections.boxes, detections.labels)
        return detections.with_masks(logits.float().sigmoid())
