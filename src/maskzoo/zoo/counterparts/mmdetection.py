"""A model as a config of mmdetection 3."""

from __future__ import annotations

from pprint import pformat
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.errors import WeightsError
from maskzoo.zoo.counterparts.counterpart import Counterpart, list_differences, list_grey, need

__all__ = ["to_mmdetection"]

NORMS = {"frozen": "BN", "bn": "BN", "sync_bn": "SyncBN"}
STAGES = ("res2", "res3", "res4", "res5")
FIXED = {  # what no setting of it changes
    "input.resize": "opencv",
    "network.anchors.whole": False,
    "network.shrinking_capped": True,
    "limits.detections.min_side": 0.0,
    "limits.detections.order": "score",
    "limits.detections.suppression": "hard",
    "limits.detections.paste": "sampled",
}


def to_mmdetection(config: ModelConfig, weights: str, origin: str) -> Counterpart:
    """Return the model's config for mmdetection, whole, without bases; it is for inference and has no recipe.

    Args:
        config: The model.
        weights: The name of the weights file.
        origin: The model's name in errors.

    Raises:
        WeightsError: mmdetection has no such network, or cannot be given its anchors.
    """
    needed = {"network.heads": ("fpn",), "network.backbone.variant": ("b",)}
    need(config, "mmdetection", needed, origin)
    settings = config.input
    differences = list_differences(config, "mmdetection", FIXED)
    size = (settings.long_side, settings.short_side)
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": size, "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
    ]
    data = {"type": "CocoDataset", "metainfo": {"classes": tuple(config.classes.values())}, "pipeline": pipeline}
    parts: dict[str, Any] = {
        "default_scope": "mmdet",
        "load_from": weights,
        "model": _describe_model(config, origin),
        "test_dataloader": {"batch_size": 1, "dataset": {**data, "test_mode": True}},
    }
    told = "".join(f"# Differs: {difference}\n" for difference in differences)
    text = told + "\n".join(f"{key} = {pformat(value, width=120, sort_dicts=False)}" for key, value in parts.items())
    return Counterpart(text + "\n", ".py", differences)


def _describe_model(config: ModelConfig, origin: str) -> dict[str, Any]:
    network, settings, limits = config.network, config.input, config.limits
    order = -1 if settings.order == "bgr" else 1
    rpn, boxes = limits.proposals, limits.detections
    least = {"min_bbox_size": rpn.min_side if rpn.min_side >= 1e-6 else 0}
    return {
        "type": "MaskRCNN",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": list_grey(settings.mean)[::order],
            "std": list_grey(settings.std)[::order],
            "bgr_to_rgb": settings.order == "rgb",
            "pad_mask": True,
            "pad_size_divisor": settings.canvas_multiple,
        },
        "backbone": _describe_backbone(config),
        "neck": {
            "type": "FPN",
            "in_channels": [network.backbone.width * factor for factor in (4, 8, 16, 32)],
            "out_channels": network.channels,
            "num_outs": 5,
            **_describe_norm(network.norm, 1e-5),
        },
        "rpn_head": _describe_rpn(config, origin),
        "roi_head": _describe_heads(config),
        "train_cfg": None,
        "test_cfg": {
            "rpn": {
                "nms_pre": rpn.before_nms,
                "max_per_img": rpn.total,
                "nms": {"type": "nms", "iou_threshold": rpn.iou},
                **least,
            },
            "rcnn": {
                "score_thr": boxes.score,
                "nms": {"type": "nms", "iou_threshold": boxes.iou},
                "max_per_img": boxes.total,
                "mask_thr_binary": boxes.mask_threshold,
            },
        },
    }


def _describe_norm(norm: str, epsilon: float) -> dict[str, Any]:
    if norm == "none":
        return {}
    return {"norm_cfg": {"type": NORMS[norm], "requires_grad": norm != "frozen", "eps": epsilon}}


def _describe_backbone(config: ModelConfig) -> dict[str, Any]:
    shape = config.network.backbone
    plain = (shape.groups, shape.group_width) == (1, 64)
    groups = {} if plain else {"groups": shape.groups, "base_width": shape.group_width * shape.width // 64}
    return {
        "type": "ResNet" if plain else "ResNeXt",
        "depth": shape.depth,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "stem_channels": shape.width,
        "base_channels": shape.width,
        "frozen_stages": sum(stage in shape.frozen for stage in STAGES) if "stem" in shape.frozen else -1,
        **_describe_norm(shape.norm, shape.epsilon),
        "norm_eval": True,
        "style": "caffe" if shape.stride_in_1x1 else "pytorch",
        **groups,
    }


def _describe_rpn(config: ModelConfig, origin: str) -> dict[str, Any]:
    """The anchors of every level are its base size times the same scales."""
    network, anchors = config.network, config.network.anchors
    scales = [size / anchors.sizes[0][0] for size in anchors.sizes[0]]
    if any([sizes[0] * scale for scale in scales] != list(sizes) for sizes in anchors.sizes):
        raise WeightsError(
            f"{origin}: mmdetection has no anchors like it: it multiplies the sizes of all levels by the same scales; found "
            f"network.anchors.sizes {[list(sizes) for sizes in anchors.sizes]}. Nothing was written"
        )
    return {
        "type": "RPNHead",
        "in_channels": network.channels,
        "feat_channels": network.channels,
        "num_convs": network.rpn_convs,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "base_sizes": [sizes[0] for sizes in anchors.sizes],
            "scales": scales,
            "ratios": list(anchors.ratios),
            "strides": list(anchors.strides),
            "scale_major": False,  # sizes outside, ratios inside
        },
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [1.0] * 4},
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    }


def _describe_heads(config: ModelConfig) -> dict[str, Any]:
    network, classes = config.network, len(config.classes)
    norm = _describe_norm(network.norm, 1e-5)
    return {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": _describe_pooling(config, 7),
        "bbox_head": {
            "type": "Shared4Conv1FCBBoxHead" if network.box_head == "4conv1fc" else "Shared2FCBBoxHead",
            "in_channels": network.channels,
            "conv_out_channels": network.channels,
            "fc_out_channels": network.box_features,
            "roi_feat_size": 7,
            "num_classes": classes,
            **norm,
            "bbox_coder": {
                "type": "DeltaXYWHBBoxCoder",
                "target_means": [0.0] * 4,
                "target_stds": [0.1, 0.1, 0.2, 0.2],
            },
            "reg_class_agnostic": False,
            "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
            "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
        },
        "mask_roi_extractor": _describe_pooling(config, 14),
        "mask_head": {
            "type": "FCNMaskHead",
            "num_convs": 4,
            "in_channels": network.channels,
            "conv_out_channels": network.channels,
            "num_classes": classes,
            **norm,
            "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True, "loss_weight": 1.0},
        },
    }


def _describe_pooling(config: ModelConfig, side: int) -> dict[str, Any]:
    align = config.network.roi_align
    layer = {"type": "RoIAlign", "output_size": side, "sampling_ratio": align.samples, "aligned": align.aligned}
    return {
        "type": "SingleRoIExtractor",
        "roi_layer": layer,
        "out_channels": config.network.channels,
        "featmap_strides": [4, 8, 16, 32],
    }
