"""A model as a config of detectron2."""

from __future__ import annotations

from typing import Any

import yaml

from maskzoo.config import ModelConfig
from maskzoo.zoo.counterparts.counterpart import Counterpart, list_differences, list_grey, need

__all__ = ["to_detectron2"]

NORMS = {"frozen": "FrozenBN", "bn": "BN", "sync_bn": "SyncBN", "none": ""}
STAGES = ("stem", "res2", "res3", "res4", "res5")
TINY = 1e-6  # of a pixel: only empty boxes are smaller
FIXED = {  # what no setting of it changes
    "input.resize": "pillow",
    "network.backbone.epsilon": 1e-5,
    "network.anchors.whole": False,
    "network.shrinking_capped": False,
    "limits.detections.min_side": 0.0,
    "limits.detections.order": "score",
    "limits.detections.suppression": "hard",
    "limits.detections.mask_threshold": 0.5,
    "limits.detections.paste": "sampled",
}


def to_detectron2(config: ModelConfig, weights: str, origin: str) -> Counterpart:
    """Return the model's config for detectron2.

    Args:
        config: The model.
        weights: The name of the weights file.
        origin: The model's name in errors.

    Raises:
        WeightsError: detectron2 has no such network.
    """
    need(config, "detectron2", {"network.heads": ("fpn", "c4"), "network.backbone.variant": ("b",)}, origin)
    fpn, settings, photo = config.network.heads == "fpn", config.input, config.limits.detections
    order = -1 if settings.order == "bgr" else 1
    values = {
        "MODEL": {
            "META_ARCHITECTURE": "GeneralizedRCNN",
            "WEIGHTS": weights,
            "MASK_ON": True,
            "PIXEL_MEAN": list_grey(settings.mean)[::order],
            "PIXEL_STD": list_grey(settings.std)[::order],
            "BACKBONE": {
                "NAME": "build_resnet_fpn_backbone" if fpn else "build_resnet_backbone",
                "FREEZE_AT": sum(stage in config.network.backbone.frozen for stage in STAGES),
            },
            **_describe_network(config, fpn),
        },
        "INPUT": {
            "FORMAT": settings.order.upper(),
            "MIN_SIZE_TEST": settings.short_side,
            "MAX_SIZE_TEST": settings.long_side,
        },
        "TEST": {"DETECTIONS_PER_IMAGE": photo.total},
        "VERSION": 2,
    }
    differences = list_differences(config, "detectron2", FIXED | {"input.canvas_multiple": 32 if fpn else 1})
    least = config.limits.proposals.min_side
    if least > TINY and least != int(least):
        differences += (f"limits.proposals.min_side is {least:g}; detectron2 has whole numbers, such as {int(least)}",)
    names = "# Classes, by label: " + ", ".join(config.classes.values())
    head = "\n".join([names, *(f"# Differs: {difference}" for difference in differences)])
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=128)
    return Counterpart(f"{head}\n{text}", ".yaml", differences)


def _describe_network(config: ModelConfig, fpn: bool) -> dict[str, Any]:
    network, shape, limits = config.network, config.network.backbone, config.limits.proposals
    align = {
        "POOLER_TYPE": "ROIAlignV2" if network.roi_align.aligned else "ROIAlign",
        "POOLER_SAMPLING_RATIO": network.roi_align.samples,
    }
    norm = NORMS[network.norm]
    found: dict[str, Any] = {
        "RESNETS": {
            "DEPTH": shape.depth,
            "NORM": NORMS[shape.norm],
            "NUM_GROUPS": shape.groups,
            "WIDTH_PER_GROUP": shape.group_width * shape.width // 64,
            "STEM_OUT_CHANNELS": shape.width,
            "RES2_OUT_CHANNELS": shape.width * 4,
            "STRIDE_IN_1X1": shape.stride_in_1x1,
            "OUT_FEATURES": ["res2", "res3", "res4", "res5"] if fpn else ["res4"],
        },
        "ANCHOR_GENERATOR": {
            "SIZES": [list(sizes) for sizes in network.anchors.sizes],
            "ASPECT_RATIOS": [list(network.anchors.ratios)],
        },
        "PROPOSAL_GENERATOR": {"MIN_SIZE": int(limits.min_side)},
        "RPN": {
            "IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"] if fpn else ["res4"],
            "CONV_DIMS": [-1] * network.rpn_convs,
            "NMS_THRESH": limits.iou,
            "PRE_NMS_TOPK_TEST": limits.before_nms,
            "POST_NMS_TOPK_TEST": limits.total,
        },
        "ROI_HEADS": {
            "NAME": "StandardROIHeads" if fpn else "Res5ROIHeads",
            "IN_FEATURES": ["p2", "p3", "p4", "p5"] if fpn else ["res4"],
            "NUM_CLASSES": len(config.classes),
            "SCORE_THRESH_TEST": config.limits.detections.score,
            "NMS_THRESH_TEST": config.limits.detections.iou,
        },
        "ROI_BOX_HEAD": {**align, "POOLER_RESOLUTION": 7 if fpn else 14},
        "ROI_MASK_HEAD": {
            **align,
            "NAME": "MaskRCNNConvUpsampleHead",
            "NUM_CONV": 4 if fpn else 0,
            "CONV_DIM": network.channels,
            "POOLER_RESOLUTION": 14,
            "NORM": norm if fpn else "",
        },
    }
    if fpn:
        convs, linears = (4, 1) if network.box_head == "4conv1fc" else (0, 2)
        head = {"NUM_CONV": convs, "CONV_DIM": network.channels, "NUM_FC": linears, "FC_DIM": network.box_features}
        found["ROI_BOX_HEAD"] |= {"NAME": "FastRCNNConvFCHead", **head, "NORM": norm if convs else ""}
        found["FPN"] = {"IN_FEATURES": ["res2", "res3", "res4", "res5"], "OUT_CHANNELS": network.channels, "NORM": norm}
    return found
