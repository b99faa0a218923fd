"""mmdetection's parameter names, of its versions 2 and 3."""

from __future__ import annotations

from maskzoo.weights.layer_names import LayerNames

__all__ = ["NAMES"]

_BLOCK = "backbone.layer{layer}.{block}"


def _module(name: str) -> tuple[str, str]:
    return f"{name}.conv", f"{name}.bn"


NAMES = LayerNames(
    stem=("backbone.conv1", "backbone.bn1"),
    block=(_BLOCK + ".conv{number}", _BLOCK + ".bn{number}"),
    shortcut=(_BLOCK + ".downsample.0", _BLOCK + ".downsample.1"),
    lateral=_module("neck.lateral_convs.{index}"),
    output=_module("neck.fpn_convs.{index}"),
    rpn="rpn_head.rpn_conv",
    rpn_convs="rpn_head.rpn_conv.{index}.conv",
    rpn_score="rpn_head.rpn_cls",
    rpn_delta="rpn_head.rpn_reg",
    box_conv=_module("roi_head.bbox_head.shared_convs.{index}"),
    box_linears=("roi_head.bbox_head.shared_fcs.0", "roi_head.bbox_head.shared_fcs.1"),
    conv_linear="roi_head.bbox_head.shared_fcs.0",
    box_score="roi_head.bbox_head.fc_cls",
    box_delta="roi_head.bbox_head.fc_reg",
    mask_conv=_module("roi_head.mask_head.convs.{index}"),
    upsample="roi_head.mask_head.upsample",
    mask_logits="roi_head.mask_head.conv_logits",
)
