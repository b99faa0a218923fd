"""Networks that are not computed here, known by names in their weights files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from maskzoo.errors import WeightsError, count_words

__all__ = ["refuse_not_computed"]

_STAGE = r"^backbone\.(?:body\.|bottom_up\.)?"
_SIGNS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r"^roi_heads\.box\.|^backbone\.body\.stem\.|^backbone\.fpn\.fpn_inner",
            "maskrcnn-benchmark's names; what it computes (boxes a pixel wider, other anchors) was never compared with "
            "this network, so its models are not taken: train on from a detectron2 model instead",
        ),
        (r"(?<!branch2b\.)conv_offset|conv2_offset", "another library's deformable convolutions"),
        (
            r"^roi_heads\.box_(head|predictor)\.[0-2]\.(fc|cls|bbox|conv)|^roi_head\.(bbox|mask)_head\.\d+\.",
            "the heads of another library's Cascade R-CNN",
        ),
        (r"(?<!key)point_head|coarse_head", "PointRend's mask head"),
        (r"keypoint", "a keypoint head"),
        (r"mask_iou_head|maskiou", "Mask Scoring R-CNN's head"),
        (
            r"^sem_seg_head\.(pixel_decoder|predictor)\.|^panoptic_head\.(pixel|transformer)_decoder",
            "the heads of a Mask2Former or MaskFormer",
        ),
        (
            r"^(sem_seg_head|semantic_head|roi_head\.semantic_head|roi_head\.glbctx|panoptic)",
            "a head for semantic segmentation",
        ),
        (r"relative_position_bias_table|\.w_msa\.", "a Swin transformer"),
        (r"relative_position|absolute_pos_embed|patch_embed|pos_embed|^transformer\.|^backbone\.net\.blocks", "a transformer"),
        (_STAGE + r"s\d\.b\d|" + _STAGE + r"(trunk_output|layer\d)\.block\d", "a RegNet backbone"),
        (_STAGE + r"layer\d\.\d+\.convs\.", "a Res2Net backbone"),
        (_STAGE + r"layer\d\.\d+\.conv2\.(conv|fc1|bn1)\.", "a ResNeSt backbone"),
        (_STAGE + r"(stage\d\.|transition\d)", "an HRNet backbone"),
        (_STAGE + r"(stages\.|downsample_layers\.)", "a ConvNeXt backbone, or another of the kind"),
        (_STAGE + r"(features\.)?\d+\.", "a MobileNet or VGG backbone"),
        (r"context_block|gen_attention_block|channel_add_conv|conv_mask\.", "attention blocks in the backbone (GCNet, ...)"),
        (
            _STAGE + r"stem\.\d|" + _STAGE + r"stem\.conv1_",
            "a stem of three convolutions, in a library without that variant here",
        ),
        (r"^neck\.(\d+\.|pafpn_convs|downsample_convs|bfp|refine)", "another pyramid than FPN (PAFPN, BFP, ...)"),
        (r"^(bbox_head|mask_head)\.(cls_convs|reg_convs|retina|feature_convs|kernel)", "the head of a network without regions"),
        (r"^head\.(cls_subnet|bbox_subnet|classification_head|regression_head)", "the head of a RetinaNet or FCOS"),
        (r"^(model\.)+\d+\.", "a YOLO network"),
    )
)


def refuse_not_computed(arrays: Mapping[str, NDArray[Any]], origin: str) -> None:
    """Raise WeightsError, which begins with `origin`, for a network that is known and not computed here, by what shows it."""
    for pattern, words in _SIGNS:
        found = [name for name in arrays if pattern.search(name)]
        if found:
            more = f", and {count_words(len(found) - 1, 'more entry').replace('entrys', 'entries')}" if len(found) > 1 else ""
            raise WeightsError(
                f"{origin}: has {words}, which is not computed here; found {found[0]} {list(arrays[found[0]].shape)}{more}. "
                "Read are Mask R-CNNs of ResNets and ResNeXts with FPN, detectron2's C4, DC5, PaddleDetection's C4, cascades"
            )
