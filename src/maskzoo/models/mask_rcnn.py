"""Mask R-CNN: the walk from pixels to detections."""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.config import Anchors, Limits
from maskzoo.models.anchors import make_anchors
from maskzoo.models.detections import detect
from maskzoo.models.fpn import FeaturePyramid
from maskzoo.models.proposals import propose
from maskzoo.models.resnet import ResNet
from maskzoo.models.roi_heads import RoiHeads
from maskzoo.models.rpn import RpnHead
from maskzoo.ops.roi_align import FeatureTable
from maskzoo.structures import Detections, ImageBatch, Proposals

__all__ = ["MaskRCNN"]


class MaskRCNN(nn.Module):
    """The network: backbone, perhaps a pyramid, RPN, RoI heads. `build` chooses and composes them."""

    def __init__(
        self,
        backbone: ResNet,
        pyramid: FeaturePyramid | None,
        rpn: RpnHead,
        heads: RoiHeads,
        anchors: Anchors,
        limits: Limits,
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.rpn, self.heads = backbone, pyramid, rpn, heads
        self.anchors, self.limits = anchors, limits

    def forward(self, batch: ImageBatch) -> Detections:
        """Return detections with masks in every slot, in pixels of the resized images."""
        detections, table = self.find(batch)
        return self.add_masks(detections, table)

    def find(self, batch: ImageBatch) -> tuple[Detections, FeatureTable]:
        """Return the detections without masks, and the features that the mask head goes on with."""
        features = self.features(batch.pixels)
        proposals = self.propose(features, batch.sizes)
        table = self.heads.table(features)
        del features  # the table holds what is still needed
        class_scores, box_deltas = self.heads.boxes(table, proposals.boxes)
        return detect(class_scores, box_deltas, proposals, batch.sizes, self.limits.detections), table

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps `[B C h w]` that the RPN looks at, finest first, of pixels `[B 3 H W]`."""
        features: list[Tensor] = self.backbone(pixels)
        return features if self.pyramid is None else self.pyramid(features)

    def propose(self, features: list[Tensor], sizes: Tensor) -> Proposals:
        """Return the regions worth a look, from the feature maps and the images' sizes `[B 2]`."""
        scores, deltas = self.rpn(features)
        return propose(scores, deltas, self.make_anchors(features), sizes, self.limits.proposals)

    def make_anchors(self, features: list[Tensor]) -> list[Tensor]:
        """Return the anchors `[h*w*A 4]` of each feature map."""
        shape = self.anchors
        return [
            make_anchors(level.shape[2], level.shape[3], stride, level_sizes, shape.ratios, level.device)
            for level, stride, level_sizes in zip(features, shape.strides, shape.sizes, strict=True)
        ]

    def add_masks(self, detections: Detections, table: FeatureTable) -> Detections:
        """Run the mask head on the detections' boxes: the probability of the predicted class."""
        logits = self.heads.masks(table, detections.boxes, detections.labels)
        return detections.with_masks(logits.float().sigmoid())
