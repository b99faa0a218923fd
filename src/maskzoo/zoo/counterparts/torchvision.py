"""A model as a program that builds it with torchvision."""

from __future__ import annotations

from maskzoo.config import ModelConfig
from maskzoo.models.resnet import BLOCKS
from maskzoo.zoo.counterparts.counterpart import Counterpart, list_differences, need

__all__ = ["to_torchvision"]

NORMS = {"frozen": "FrozenBatchNorm2d", "bn": "torch.nn.BatchNorm2d", "sync_bn": "torch.nn.BatchNorm2d"}
NEEDED = {
    "network.heads": ("fpn",),
    "network.backbone.variant": ("b",),
    "network.backbone.width": (64,),
    "network.backbone.stride_in_1x1": (False,),
    "input.order": ("rgb",),
}
FIXED = {  # what no setting of it changes
    "input.resize": "float",
    "input.canvas_multiple": 32,
    "network.anchors.whole": True,
    "network.roi_align.aligned": False,
    "network.shrinking_capped": False,
    "limits.detections.min_side": 0.01,
    "limits.detections.order": "score",
    "limits.detections.suppression": "hard",
    "limits.detections.mask_threshold": 0.5,
    "limits.detections.paste": "whole_pixels",
}
PROGRAM = '''"""Builds {name} with torchvision: `model = load_model("{weights}")`.

It takes a list of float RGB photos [3, H, W] of 0 to 1. Labels begin with 1, and CLASSES has their names.
{differences}"""

from functools import partial

import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

CLASSES = {classes}
CATEGORY_IDS = {category_ids}


def build_model():
    norm = partial({norm}, eps={epsilon})
    body = ResNet(Bottleneck, {blocks}, groups={groups}, width_per_group={group_width}, norm_layer=norm)
    layers = {{f"layer{{stage}}": str(stage - 1) for stage in (1, 2, 3, 4)}}
    backbone = BackboneWithFPN(body, layers, [256, 512, 1024, 2048], {channels}, norm_layer={head_norm})
    anchors = AnchorGenerator({sizes}, ({ratios},) * 5)
    model = MaskRCNN(
        backbone,
        min_size={short_side},
        max_size={long_side},
        image_mean={mean},
        image_std={std},
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead({channels}, anchors.num_anchors_per_location()[0], conv_depth={rpn_convs}),
        rpn_pre_nms_top_n_test={before_nms},
        rpn_post_nms_top_n_test={proposals},
        rpn_nms_thresh={rpn_iou},
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, sampling_ratio={samples}),
        box_head={box_head},
        box_predictor=FastRCNNPredictor({box_features}, {outputs}),
        box_score_thresh={score},
        box_nms_thresh={iou},
        box_detections_per_img={total},
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 14, sampling_ratio={samples}),
        mask_head=MaskRCNNHeads({channels}, [{channels}] * 4, 1, norm_layer={head_norm}),
        mask_predictor=MaskRCNNPredictor({channels}, {channels}, {outputs}),
    )
    model.rpn.min_size = {min_side}
    return model.eval()


def load_model(weights):
    model = build_model()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model
'''


def to_torchvision(config: ModelConfig, weights: str, origin: str) -> Counterpart:
    """Return a program that builds the model with torchvision.

    Args:
        config: The model.
        weights: The name of the weights file.
        origin: The model's name in errors.

    Raises:
        WeightsError: torchvision has no such network.
    """
    need(config, "torchvision", NEEDED, origin)
    network, settings, limits = config.network, config.input, config.limits
    shape, channels, features = network.backbone, network.channels, network.box_features
    head_norm = "None" if network.norm == "none" else "torch.nn.BatchNorm2d"
    convs = f"FastRCNNConvFCHead(({channels}, 7, 7), [{channels}] * 4, [{features}], norm_layer={head_norm})"
    differences = list_differences(config, "torchvision", FIXED)
    text = PROGRAM.format(
        name=config.name,
        weights=weights.replace("\\", "\\\\").replace('"', '\\"'),
        differences="".join(f"\nDiffers: {difference}" for difference in differences) + "\n" * bool(differences),
        classes=["background", *config.classes.values()],
        category_ids=[0, *config.classes],
        norm=NORMS[shape.norm],
        epsilon=shape.epsilon,
        blocks=list(BLOCKS[shape.depth]),
        groups=shape.groups,
        group_width=shape.group_width,
        channels=channels,
        head_norm=head_norm,
        sizes=tuple(network.anchors.sizes),
        ratios=tuple(network.anchors.ratios),
        short_side=settings.short_side,
        long_side=settings.long_side,
        mean=list(settings.mean),
        std=list(settings.std),
        rpn_convs=network.rpn_convs,
        before_nms=limits.proposals.before_nms,
        proposals=limits.proposals.total,
        rpn_iou=limits.proposals.iou,
        min_side=limits.proposals.min_side,
        samples=network.roi_align.samples,
        box_head=convs if network.box_head == "4conv1fc" else f"TwoMLPHead({channels} * 49, {features})",
        box_features=features,
        outputs=len(config.classes) + 1,
        score=limits.detections.score,
        iou=limits.detections.iou,
        total=limits.detections.total,
    )
    return Counterpart(text, ".py", differences)
