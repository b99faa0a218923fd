"""First weights, by the published training's rules, and He's for a backbone that learns from nothing."""

from __future__ import annotations

import math

import torch
from torch import nn

from maskzoo.models.fpn import FeaturePyramid
from maskzoo.models.layers import ConvLayer, DeformConvLayer
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.norms import BatchNorm, FrozenNorm
from maskzoo.models.roi_heads import BoxStage, C4RoiHeads, FpnRoiHeads, MaskPredictor

__all__ = ["initialize", "initialize_predictors"]

COCO_CLASSES = 80


@torch.no_grad()
def initialize(model: MaskRCNN, generator: torch.Generator) -> None:
    """Draw all weights of a materialised model, on the CPU: the same generator gives the same weights. Biases are 0."""
    for module in model.modules():
        if isinstance(module, FrozenNorm | BatchNorm | nn.GroupNorm):
            module.weight.fill_(1)
            module.bias.zero_()
        if isinstance(module, FrozenNorm | BatchNorm):
            mean, variance = module.statistics()
            mean.zero_()
            variance.fill_(1)
    _draw_backbone(model.backbone, generator)
    if isinstance(model.heads, C4RoiHeads):
        _draw_backbone(model.heads.res5, generator)
    if model.pyramid is not None:
        _draw_pyramid(model.pyramid, generator)
    for layer in _list_layers(model.rpn):
        _draw_normal(layer.conv, 0.01, generator)
    if isinstance(model.heads, FpnRoiHeads):
        _draw_fpn_heads(model.heads, generator)
    initialize_predictors(model, generator)


@torch.no_grad()
def initialize_predictors(model: MaskRCNN, generator: torch.Generator) -> None:
    """Draw the last layers of box and mask head, those whose size is the number of classes, and the mask's upsampling."""
    heads = model.heads
    for stage in heads.stages:
        _draw_normal(stage.box.score, 0.01, generator)
        _draw_normal(stage.box.delta, 0.001, generator)
    _draw_mask(heads.mask, generator)


def _draw_backbone(part: nn.Module, generator: torch.Generator) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1] / module.groups
            _draw_normal(module, math.sqrt(2 / fan_out), generator)
    for module in part.modules():
        if isinstance(module, DeformConvLayer):  # which begin as plain convolutions, halved
            nn.init.zeros_(module.offset.conv.weight)


def _draw_pyramid(pyramid: FeaturePyramid, generator: torch.Generator) -> None:
    """Xavier; the published fan-out of a lateral convolution is its number of inputs."""
    for layer in _list_layers(pyramid.lateral):
        _draw_uniform(layer.conv, 2 * layer.conv.in_channels, generator)
    for layer in _list_layers(pyramid.output):
        _draw_uniform(layer.conv, (layer.conv.in_channels + layer.conv.out_channels) * 9, generator)


def _draw_fpn_heads(heads: FpnRoiHeads, generator: torch.Generator) -> None:
    for stage in heads.stages:
        if isinstance(stage, BoxStage):
            _draw_uniform(stage.fc6, 2 * stage.fc6.in_features, generator)  # the published fan-out of fc6 is its fan-in
            if stage.fc7 is not None:
                _draw_uniform(stage.fc7, stage.fc7.in_features + stage.fc7.out_features, generator)
    convs = [stage.box_convs for stage in heads.stages if isinstance(stage, BoxStage)]
    for layer in (layer for part in (heads.convs, *convs) for layer in _list_layers(part)):
        _draw_normal(layer.conv, math.sqrt(2 / (layer.conv.in_channels * 9)), generator)


def _draw_mask(mask: MaskPredictor, generator: torch.Generator) -> None:
    """Kaiming; the published fan of the logits is the number of classes, not of channels: 0.158 for COCO's 80."""
    # DIFFERS: with fewer classes the published rule starts from ever larger logits; they stay at COCO's.
    _draw_normal(mask.upsample, math.sqrt(2 / (mask.upsample.out_channels * 4)), generator)
    _draw_normal(mask.logits, math.sqrt(2 / max(mask.logits.out_channels, COCO_CLASSES)), generator)


def _list_layers(part: nn.Module) -> list[ConvLayer]:
    return [module for module in part.modules() if isinstance(module, ConvLayer)]


def _draw_normal(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, std: float, generator: torch.Generator) -> None:
    layer.weight.normal_(0, std, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


def _draw_uniform(layer: nn.Conv2d | nn.Linear, fans: int, generator: torch.Generator) -> None:
    bound = math.sqrt(6 / fans)
    layer.weight.uniform_(-bound, bound, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()
