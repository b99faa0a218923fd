"""torchvision's parameter names, those of its newer files and those of files from before 2022."""

from __future__ import annotations

import re

from maskzoo.weights.layer_names import LayerNames

__all__ = ["NAMES", "modernise"]

_BLOCK = "backbone.body.layer{layer}.{block}"

NAMES = LayerNames(
    stem=("backbone.body.conv1", "backbone.body.bn1"),
    block=(_BLOCK + ".conv{number}", _BLOCK + ".bn{number}"),
    shortcut=(_BLOCK + ".downsample.0", _BLOCK + ".downsample.1"),
    lateral=("backbone.fpn.inner_blocks.{index}.0", "backbone.fpn.inner_blocks.{index}.1"),
    output=("backbone.fpn.layer_blocks.{index}.0", "backbone.fpn.layer_blocks.{index}.1"),
    rpn="rpn.head.conv.0.0",
    rpn_convs="rpn.head.conv.{index}.0",
    rpn_score="rpn.head.cls_logits",
    rpn_delta="rpn.head.bbox_pred",
    box_conv=("roi_heads.box_head.{index}.0", "roi_heads.box_head.{index}.1"),
    box_linears=("roi_heads.box_head.fc6", "roi_heads.box_head.fc7"),
    conv_linear="roi_heads.box_head.5",
    box_score="roi_heads.box_predictor.cls_score",
    box_delta="roi_heads.box_predictor.bbox_pred",
    mask_conv=("roi_heads.mask_head.{index}.0", "roi_heads.mask_head.{index}.1"),
    upsample="roi_heads.mask_predictor.conv5_mask",
    mask_logits="roi_heads.mask_predictor.mask_fcn_logits",
    background_first=True,
)

_OLD_PYRAMID = re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$")
_OLD_RPN = re.compile(r"^rpn\.head\.conv\.(weight|bias)$")
_OLD_MASK = re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)$")


def modernise(name: str) -> str:
    """Return the newer name of an entry; names that did not change stay."""
    name = _OLD_PYRAMID.sub(r"\1.0.\2", name)
    name = _OLD_RPN.sub(r"rpn.head.conv.0.0.\1", name)
    return _OLD_MASK.sub(lambda found: f"roi_heads.mask_head.{int(found[1]) - 1}.0.{found[2]}", name)
