"""A model as a config of PaddleDetection."""

from __future__ import annotations

from typing import Any

import yaml

from maskzoo.config import ModelConfig
from maskzoo.zoo.counterparts.counterpart import Counterpart, list_differences, need

__all__ = ["to_paddledetection"]

NEEDED = {
    "network.heads": ("fpn", "c4"),
    "network.backbone.width": (64,),
    "network.box_head": ("2fc",),
    "network.rpn_convs": (1,),
    "network.norm": ("none",),
    "input.order": ("rgb",),
}
FIXED = {  # what no setting of it changes
    "network.backbone.epsilon": 1e-5,
    "network.anchors.whole": False,
    "network.shrinking_capped": False,
    "limits.detections.min_side": 0.0,
    "limits.detections.order": "label",
    "limits.detections.suppression": "hard",
    "limits.detections.paste": "sampled",
}
LEAST_SIDE = 1.0  # of a proposal, whatever is set
LINEAR, CUBIC = 1, 2  # OpenCV's numbers


def to_paddledetection(config: ModelConfig, weights: str, origin: str) -> Counterpart:
    """Return the model's config for PaddleDetection, whole, without bases; it is for inference and has no recipe.

    Args:
        config: The model.
        weights: The name of the weights file.
        origin: The model's name in errors.

    Raises:
        WeightsError: PaddleDetection has no such network.
    """
    need(config, "PaddleDetection", NEEDED, origin)
    differences = _list_differences(config)
    values = {
        "architecture": "MaskRCNN",
        "weights": weights,
        "metric": "COCO",
        "num_classes": len(config.classes),
        **_describe_network(config),
        **{reader: _describe_reader(config) for reader in ("EvalReader", "TestReader")},
    }
    names = "# Classes, by label: " + ", ".join(config.classes.values())
    head = "\n".join([names, *(f"# Differs: {difference}" for difference in differences)])
    return Counterpart(f"{head}\n{yaml.safe_dump(values, sort_keys=False, width=128)}", ".yml", differences)


def _list_differences(config: ModelConfig) -> tuple[str, ...]:
    found, limits, rule = list(list_differences(config, "PaddleDetection", FIXED)), config.limits.proposals, config.input.resize
    if rule == "one_factor":
        found.append("input.resize is one_factor; PaddleDetection resizes so until 2.6.0, and from 2.6.1 on as rounded")
    elif rule not in ("rounded", "opencv"):
        found.append(f"input.resize is {rule}; PaddleDetection has rounded or opencv")
    if limits.after_nms != limits.total:
        found.append(
            f"limits.proposals.after_nms is {limits.after_nms}; PaddleDetection has one limit with total: {limits.total}"
        )
    if limits.min_side < LEAST_SIDE:
        found.append(f"limits.proposals.min_side is {limits.min_side:g}; PaddleDetection has {LEAST_SIDE:g} or more")
    return tuple(found)


def _describe_network(config: ModelConfig) -> dict[str, Any]:
    network, shape, rpn, boxes = config.network, config.network.backbone, config.limits.proposals, config.limits.detections
    fpn = network.heads == "fpn"
    align = {"sampling_ratio": network.roi_align.samples, "aligned": network.roi_align.aligned}
    return {
        "MaskRCNN": {
            "backbone": "ResNet",
            **({"neck": "FPN"} if fpn else {}),
            "rpn_head": "RPNHead",
            "bbox_head": "BBoxHead",
            "mask_head": "MaskHead",
            "bbox_post_process": "BBoxPostProcess",
            "mask_post_process": "MaskPostProcess",
        },
        "ResNet": {
            "depth": shape.depth,
            "variant": "a" if shape.stride_in_1x1 else shape.variant,
            "groups": shape.groups,
            "base_width": shape.group_width,
            "norm_type": "sync_bn" if shape.norm == "sync_bn" else "bn",
            "freeze_norm": shape.norm == "frozen",
            "freeze_at": 0,
            "return_idx": [0, 1, 2, 3] if fpn else [2],
            "num_stages": 4 if fpn else 3,
        },
        **({"FPN": {"out_channel": network.channels}} if fpn else {}),
        "RPNHead": {
            "anchor_generator": {
                "aspect_ratios": list(network.anchors.ratios),
                "anchor_sizes": [list(sizes) for sizes in network.anchors.sizes],
                "strides": list(network.anchors.strides),
            },
            "test_proposal": {
                "min_size": rpn.min_side,
                "nms_thresh": rpn.iou,
                "pre_nms_top_n": rpn.before_nms,
                "post_nms_top_n": rpn.total,
            },
        },
        "BBoxHead": {
            "head": "TwoFCHead" if fpn else "Res5Head",
            "roi_extractor": {"resolution": 7 if fpn else 14, **align},
            "bbox_assigner": "BBoxAssigner",
            **({} if fpn else {"with_pool": True}),
        },
        **({"TwoFCHead": {"out_channel": network.box_features}} if fpn else {}),
        "BBoxPostProcess": {
            "decode": "RCNNBox",
            "nms": {
                "name": "MultiClassNMS",
                "keep_top_k": boxes.total,
                "score_threshold": boxes.score,
                "nms_threshold": boxes.iou,
            },
        },
        "MaskHead": {
            "head": "MaskFeat",
            "roi_extractor": {"resolution": 14, **align},
            "mask_assigner": "MaskAssigner",
            "share_bbox_feat": not fpn,
        },
        "MaskFeat": {"num_convs": 4 if fpn else 0, "out_channel": network.channels},
        "MaskAssigner": {"mask_resolution": 28 if fpn else 14},
        "MaskPostProcess": {"binary_thresh": boxes.mask_threshold},
    }


def _describe_reader(config: ModelConfig) -> dict[str, Any]:
    settings = config.input
    return {
        "sample_transforms": [
            {"Decode": {}},
            {
                "Resize": {
                    "target_size": [settings.short_side, settings.long_side],
                    "keep_ratio": True,
                    "interp": LINEAR if settings.resize == "opencv" else CUBIC,
                }
            },
            {"NormalizeImage": {"is_scale": True, "mean": list(settings.mean), "std": list(settings.std)}},
            {"Permute": {}},
        ],
        "batch_transforms": [{"PadBatch": {"pad_to_stride": settings.canvas_multiple}}],
        "batch_size": 1,
    }
