"""detectron2's parameter names, of networks with a pyramid and of C4."""

from __future__ import annotations

from dataclasses import replace

from maskzoo.weights.layer_names import LayerNames

__all__ = ["C4_NAMES", "NAMES"]

_BLOCK = "res{stage}.{block}"


def _with_norm(conv: str) -> tuple[str, str]:
    return conv, f"{conv}.norm"


NAMES = LayerNames(
    stem=_with_norm("backbone.bottom_up.stem.conv1"),
    block=_with_norm(f"backbone.bottom_up.{_BLOCK}.conv{{number}}"),
    shortcut=_with_norm(f"backbone.bottom_up.{_BLOCK}.shortcut"),
    lateral=_with_norm("backbone.fpn_lateral{stage}"),
    output=_with_norm("backbone.fpn_output{stage}"),
    rpn="proposal_generator.rpn_head.conv",
    rpn_convs="proposal_generator.rpn_head.conv.conv{index}",
    rpn_score="proposal_generator.rpn_head.objectness_logits",
    rpn_delta="proposal_generator.rpn_head.anchor_deltas",
    box_conv=_with_norm("roi_heads.box_head.conv{number}"),
    box_linears=("roi_heads.box_head.fc1", "roi_heads.box_head.fc2"),
    conv_linear="roi_heads.box_head.fc1",
    box_score="roi_heads.box_predictor.cls_score",
    box_delta="roi_heads.box_predictor.bbox_pred",
    mask_conv=_with_norm("roi_heads.mask_head.mask_fcn{number}"),
    upsample="roi_heads.mask_head.deconv",
    mask_logits="roi_heads.mask_head.predictor",
)
C4_NAMES = replace(
    NAMES,
    stem=_with_norm("backbone.stem.conv1"),
    block=_with_norm(f"backbone.{_BLOCK}.conv{{number}}"),
    shortcut=_with_norm(f"backbone.{_BLOCK}.shortcut"),
    res5=_with_norm("roi_heads.res5.{block}.conv{number}"),
    res5_shortcut=_with_norm("roi_heads.res5.{block}.shortcut"),
)
