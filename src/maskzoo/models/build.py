"""The one place that chooses and composes the parts of a network."""

from __future__ import annotations

from maskzoo.config import Limits, Network
from maskzoo.models.fpn import FeaturePyramid
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.resnet import BLOCKS, EXPANSION, ResNet, make_stage
from maskzoo.models.roi_heads import C4RoiHeads, FpnRoiHeads, RoiHeads
from maskzoo.models.rpn import RpnHead

__all__ = ["build"]

PYRAMID_CHANNELS = 256


def build(network: Network, classes: int, limits: Limits) -> MaskRCNN:
    """Compose a network for so many `classes` (background not counted); frozen stages do not train.

    Its weights are unset until a weights file is loaded.
    """
    shape = network.backbone
    anchors = len(network.anchors.sizes[0]) * len(network.anchors.ratios)
    stages = (2, 3, 4, 5) if network.heads == "fpn" else (4,)
    backbone = ResNet(shape.depth, shape.variant, shape.groups, shape.group_width, stages)
    if network.heads == "fpn":
        pyramid = FeaturePyramid(backbone.channels, PYRAMID_CHANNELS)
        rpn = RpnHead(PYRAMID_CHANNELS, anchors)
        heads: RoiHeads = FpnRoiHeads(PYRAMID_CHANNELS, classes)
    else:
        pyramid = None
        inputs = backbone.channels[-1]
        rpn = RpnHead(inputs, anchors)
        res5 = make_stage(inputs, 512, BLOCKS[shape.depth][3], 2, shape.groups, shape.group_width, shape.variant)
        heads = C4RoiHeads(res5, 512 * EXPANSION, classes)
    for stage in shape.frozen:
        backbone.get_submodule(stage).requires_grad_(False)
    return MaskRCNN(backbone, pyramid, rpn, heads, network.anchors, limits)
