"""The one place that chooses and composes the parts of a network."""

from __future__ import annotations

from torch import nn

from maskzoo.models.fpn import FeaturePyramid
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.norms import BatchNorm, FrozenNorm
from maskzoo.models.resnet import ResNet, count_channels, make_stage
from maskzoo.models.roi_heads import C4RoiHeads, CascadeRoiHeads, FpnRoiHeads, RoiHeads
from maskzoo.models.rpn import RpnHead
from maskzoo.models.settings import Backbone, Limits, Network

__all__ = ["build"]


def build(network: Network, classes: int, limits: Limits) -> MaskRCNN:
    """Compose a network for so many `classes` (background not counted); frozen stages do not train.

    Its weights are unset until a weights file is loaded or `initialize` draws them.
    """
    shape, channels = network.backbone, network.channels
    anchors = len(network.anchors.sizes[0]) * len(network.anchors.ratios)
    if network.heads == "fpn":
        backbone = ResNet(shape, (2, 3, 4, 5))
        pyramid = FeaturePyramid(backbone.channels, channels, network.norm)
        rpn = RpnHead(channels, anchors, network.rpn_convs)
        sizes = (channels, classes, network.box_features, network.norm, network.box_head)
        cascade = network.box_stages > 1
        heads: RoiHeads = CascadeRoiHeads(*sizes, stages=network.box_stages) if cascade else FpnRoiHeads(*sizes)
    elif network.heads == "dc5":
        backbone, pyramid = ResNet(shape, (5,), dilated=True), None
        inputs = backbone.channels[-1]
        rpn = RpnHead(inputs, anchors, network.rpn_convs)
        heads = FpnRoiHeads(channels, classes, network.box_features, network.norm, network.box_head, inputs)
    else:
        backbone, pyramid = ResNet(shape, (4,)), None
        rpn = RpnHead(backbone.channels[-1], anchors, network.rpn_convs)
        res5 = make_stage(shape, 5)
        _set_epsilon(res5, shape)
        heads = C4RoiHeads(res5, count_channels(shape, 5), classes, channels)
    _set_epsilon(backbone, shape)
    heads.aligned, heads.samples = network.roi_align.aligned, network.roi_align.samples
    return MaskRCNN(backbone, pyramid, rpn, heads, network.anchors, limits, network.shrinking_capped)


def _set_epsilon(part: nn.Module, shape: Backbone) -> None:
    for module in part.modules():
        if isinstance(module, FrozenNorm | BatchNorm | nn.GroupNorm):
            module.eps = shape.epsilon
