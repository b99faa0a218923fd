"""PaddleDetection's config, translated into a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskzoo.errors import ConfigError
from maskzoo.zoo.choices import Draft, Settings
from maskzoo.zoo.paddledetection_readers import READERS, name_steps, translate_input, translate_training

__all__ = ["DEFAULTS", "translate_paddledetection"]

PARTS = {  # which classes a Mask R-CNN is made of
    "MaskRCNN.backbone": "ResNet",
    "MaskRCNN.rpn_head": "RPNHead",
    "MaskRCNN.bbox_head": "BBoxHead",
    "MaskRCNN.mask_head": "MaskHead",
    "MaskRCNN.bbox_post_process": "BBoxPostProcess",
    "MaskRCNN.mask_post_process": "MaskPostProcess",
    "BBoxHead.bbox_assigner": "BBoxAssigner",
    "MaskHead.mask_assigner": "MaskAssigner",
    "MaskHead.head": "MaskFeat",
    "BBoxPostProcess.decode": "RCNNBox",
    "BBoxPostProcess.nms.name": "MultiClassNMS",
}
MOST_CLASSES = 10_000
STAGES = ("stem", "res2", "res3", "res4", "res5")
# What PaddleDetection itself takes where a config says nothing (version 2.8).
DEFAULTS: Mapping[str, Any] = {
    "BBoxAssigner.batch_size_per_im": 512,
    "BBoxAssigner.bg_thresh": 0.5,
    "BBoxAssigner.fg_fraction": 0.25,
    "BBoxAssigner.fg_thresh": 0.5,
    "BBoxHead.bbox_weight": [10.0, 10.0, 5.0, 5.0],
    "BBoxHead.roi_extractor.aligned": False,
    "BBoxHead.roi_extractor.sampling_ratio": 0,
    "BBoxPostProcess.nms.keep_top_k": 100,
    "BBoxPostProcess.nms.nms_threshold": 0.5,
    "BBoxPostProcess.nms.score_threshold": 0.05,
    "FPN.extra_stage": 1,
    "FPN.has_extra_convs": False,
    "LearningRate.base_lr": 0.01,
    "LearningRate.schedulers.LinearWarmup.start_factor": 1 / 3,
    "LearningRate.schedulers.LinearWarmup.steps": 500,
    "LearningRate.schedulers.PiecewiseDecay.gamma": [0.1, 0.01],
    "LearningRate.schedulers.PiecewiseDecay.milestones": [8, 11],
    "MaskFeat.out_channel": 256,
    "MaskHead.roi_extractor.aligned": False,
    "MaskHead.roi_extractor.sampling_ratio": 0,
    "MaskPostProcess.binary_thresh": 0.5,
    "OptimizerBuilder.optimizer.momentum": 0.9,
    "OptimizerBuilder.optimizer.type": "Momentum",
    "OptimizerBuilder.regularizer.factor": 0.0001,
    "OptimizerBuilder.regularizer.type": "L2",
    "RPNHead.anchor_generator.aspect_ratios": [0.5, 1.0, 2.0],
    "RPNHead.anchor_generator.offset": 0.0,
    "RPNHead.anchor_generator.variance": [1.0, 1.0, 1.0, 1.0],
    "RPNHead.rpn_target_assign.batch_size_per_im": 256,
    "RPNHead.rpn_target_assign.fg_fraction": 0.5,
    "RPNHead.rpn_target_assign.negative_overlap": 0.3,
    "RPNHead.rpn_target_assign.positive_overlap": 0.7,
    "ResNet.base_width": 64,
    "ResNet.ch_in": 64,
    "ResNet.dcn_v2_stages": [-1],
    "ResNet.depth": 50,
    "ResNet.freeze_at": 0,
    "ResNet.freeze_norm": True,
    "ResNet.freeze_stem_only": False,
    "ResNet.groups": 1,
    "ResNet.lr_mult_list": [1.0, 1.0, 1.0, 1.0],
    "ResNet.norm_type": "bn",
    "ResNet.std_senet": False,
    "ResNet.variant": "b",
    "TrainReader.batch_size": 1,
    "TrainReader.sample_transforms.RandomFlip.prob": 0.5,
    "TrainReader.sample_transforms.RandomResize.keep_ratio": True,
    "TrainReader.sample_transforms.RandomResize.random_range": False,
    "TwoFCHead.out_channel": 1024,
    "XConvNormHead.out_channel": 1024,
    "num_classes": 80,
    **{
        f"RPNHead.{part}_proposal.{key}": value
        for part in ("train", "test")
        for key, value in (("pre_nms_top_n", 12000), ("post_nms_top_n", 2000), ("nms_thresh", 0.5), ("min_size", 0.1))
    },
    **{
        f"{reader}.{key}": value
        for reader in READERS
        for key, value in (
            ("batch_transforms.PadBatch.pad_to_stride", 0),
            ("sample_transforms.NormalizeImage.is_scale", True),
            ("sample_transforms.NormalizeImage.mean", [0.485, 0.456, 0.406]),
            ("sample_transforms.NormalizeImage.norm_type", "mean_std"),
            ("sample_transforms.NormalizeImage.std", [0.229, 0.224, 0.225]),
            ("sample_transforms.Resize.interp", 1),
        )
    },
}


def translate_paddledetection(values: Mapping[str, Any], origin: str, draft: Draft) -> list[str]:
    """Put a config's settings into a draft; what weights have shown of the network must agree.

    Args:
        values: The config, with its bases.
        origin: Its file's name.
        draft: Is changed.

    Returns:
        The keys of the config that were not used.

    Raises:
        ConfigError: A setting is not computed here, makes no sense, or contradicts the weights.
    """
    shared = {"ResNet.norm_type": values["norm_type"]} if isinstance(values.get("norm_type"), str) else {}
    settings = Settings(name_steps(values, origin), origin, {**DEFAULTS, **shared}, "PaddleDetection")
    settings.used |= {"norm_type", "pretrain_weights"}
    if settings.find("architecture") == "CascadeRCNN":
        raise ConfigError(
            f"{settings.tell('architecture')} is 'CascadeRCNN', whose config is not translated; take the network from its "
            "weights without the config (`maskzoo convert model.pdparams mine.safetensors`), or a row of `maskzoo models`"
        )
    settings.need("architecture", "MaskRCNN")
    for key, kind in PARTS.items():
        settings.need(key, kind, None)
    fpn = settings.need("MaskRCNN.neck", "FPN", None) == "FPN"
    draft.agree("network.heads", "fpn" if fpn else "c4", settings.tell("MaskRCNN.neck"))
    _translate_backbone(settings, draft, fpn)
    _translate_anchors(settings, draft, fpn)
    _translate_heads(settings, draft, fpn)
    _translate_limits(settings, draft)
    translate_input(settings, draft)
    translate_training(settings, draft)
    _translate_classes(settings, draft)
    return settings.list_unused()


def _translate_classes(settings: Settings, draft: Draft) -> None:
    """Names are not in a config; their number must be that of the names that are known otherwise."""
    count, source, known = settings.whole("num_classes"), settings.tell("num_classes"), draft.get("classes")
    if "classes" in draft.sources and count != len(known):
        raise ConfigError(
            f"{source} is {count}, and there are {len(known)} classes ({draft.sources['classes']}); expected as many"
        )
    if not 0 < count <= MOST_CLASSES:
        raise ConfigError(f"{source} is {count}; expected 1 to {MOST_CLASSES}")
    if "classes" in draft.sources:
        return
    if count == len(known):
        draft.set("classes", known, f"{source}, as many as COCO has: its names")
        return
    draft.set("classes", {number: f"class {number}" for number in range(1, count + 1)}, source)
    draft.notes.append(
        f"{settings.origin} has no class names: they are called class 1 to class {count}; name them in the order of training "
        "(of the annotations' category ids) with --classes names.txt or --classes cat,dog"
    )


def _translate_backbone(settings: Settings, draft: Draft, fpn: bool) -> None:
    for key, fixed in (("ch_in", 64), ("std_senet", False)):
        settings.need(f"ResNet.{key}", fixed)
    deformable = settings.need("ResNet.dcn_v2_stages", [-1], -1, [], *([[1, 2, 3], [2, 3], [3], 3] if fpn else []))
    places = [deformable] if isinstance(deformable, int) else deformable
    names = [STAGES[int(place) + 1] for place in places if place >= 0]
    draft.agree("network.backbone.deformable", names, settings.tell("ResNet.dcn_v2_stages"))
    settings.need("ResNet.variant", "b", "d")
    settings.need("ResNet.num_stages", 4 if fpn else 3, None)
    settings.need("ResNet.return_idx", *([[0, 1, 2, 3]] if fpn else [[2], 2]), None)
    for key in ("depth", "variant", "groups"):
        value = settings.text(f"ResNet.{key}") if key == "variant" else settings.whole(f"ResNet.{key}")
        draft.agree(f"network.backbone.{key}", value, settings.tell(f"ResNet.{key}"))
    width = settings.whole("ResNet.base_width") if settings.whole("ResNet.groups") > 1 else 64
    draft.agree("network.backbone.group_width", width, settings.tell("ResNet.base_width"))
    kind, frozen = settings.need("ResNet.norm_type", "bn", "sync_bn"), settings.flag("ResNet.freeze_norm")
    key = "ResNet.freeze_norm" if frozen else "ResNet.norm_type"
    draft.set("network.backbone.norm", "frozen" if frozen else kind, settings.tell(key))
    depth = settings.whole("ResNet.freeze_at") + 2  # 0 freezes the stem and res2
    stages = STAGES[: max(0, min(depth, 5 if fpn else 4))] if depth > 1 else ()
    if settings.flag("ResNet.freeze_stem_only") and stages:
        stages = STAGES[:1]
    draft.set("network.backbone.frozen", list(stages), settings.tell("ResNet.freeze_at"))
    rates = settings.numbers("ResNet.lr_mult_list")
    if len(rates) != 4:
        raise ConfigError(f"{settings.tell('ResNet.lr_mult_list')} has {len(rates)} values; expected one each for res2 to res5")
    draft.set("training.stage_rates", dict(zip(STAGES[1:], rates, strict=True)), settings.tell("ResNet.lr_mult_list"))


def _translate_anchors(settings: Settings, draft: Draft, fpn: bool) -> None:
    key = "RPNHead.anchor_generator"
    settings.need(f"{key}.offset", 0)
    settings.need(f"{key}.variance", [1, 1, 1, 1])
    settings.need(f"{key}.strides", [4, 8, 16, 32, 64] if fpn else [16], None)
    draft.set("network.anchors.strides", [4, 8, 16, 32, 64] if fpn else [16], settings.tell(f"{key}.strides"))
    ratios = f"{key}.aspect_ratios"
    draft.set("network.anchors.ratios", settings.numbers(ratios), settings.tell(ratios))
    if not settings.has(f"{key}.anchor_sizes"):
        return  # PaddleDetection's default is for a single level
    sizes = settings.find(f"{key}.anchor_sizes")
    nested = isinstance(sizes, list) and bool(sizes) and all(isinstance(row, list) for row in sizes)
    levels = sizes if nested else [settings.numbers(f"{key}.anchor_sizes")] * (5 if fpn else 1)
    draft.set("network.anchors.sizes", levels, settings.tell(f"{key}.anchor_sizes"))


def _translate_heads(settings: Settings, draft: Draft, fpn: bool) -> None:
    head = settings.need("BBoxHead.head", *(("TwoFCHead", "XConvNormHead") if fpn else ("Res5Head",)))
    settings.need("BBoxHead.bbox_weight", [10, 10, 5, 5])
    for key, fixed in (
        ("BBoxHead.roi_extractor.resolution", 7 if fpn else 14),
        ("BBoxHead.with_pool", not fpn),
        ("MaskHead.roi_extractor.resolution", 14),
        ("MaskHead.share_bbox_feat", not fpn),
        ("MaskFeat.num_convs", 4 if fpn else 0),
        ("MaskAssigner.mask_resolution", 28 if fpn else 14),
    ):
        settings.need(key, fixed, None)
    channels = "FPN.out_channel" if fpn else "MaskFeat.out_channel"
    if fpn:
        for key, value in (("has_extra_convs", False), ("extra_stage", 1)):
            settings.need(f"FPN.{key}", value)
        if settings.has("MaskFeat.out_channel"):
            settings.need("MaskFeat.out_channel", settings.whole(channels))
        norm = settings.need("FPN.norm_type", None, "gn")
        settings.need("MaskFeat.norm_type", norm)
        draft.agree("network.norm", norm or "none", settings.tell("FPN.norm_type"))
        if head == "XConvNormHead":
            _check_box_convs(settings, settings.whole(channels))
            draft.set("training.norm_decay", 0.0, f"rule of PaddleDetection's {head}")
        draft.agree("network.box_head", "2fc" if head == "TwoFCHead" else "4conv1fc", settings.tell("BBoxHead.head"))
        key = f"{head}.out_channel"
        if settings.has(key) or "network.box_features" not in draft.sources:  # what weights show is stronger than a default
            draft.agree("network.box_features", settings.whole(key), settings.tell(key))
    draft.agree("network.channels", settings.whole(channels), settings.tell(channels))
    for ours, theirs in (("aligned", "aligned"), ("samples", "sampling_ratio")):
        key = f"BBoxHead.roi_extractor.{theirs}"
        value = settings.flag(key) if ours == "aligned" else settings.whole(key)
        settings.need(f"MaskHead.roi_extractor.{theirs}", value)
        draft.set(f"network.roi_align.{ours}", value, settings.tell(key))


def _check_box_convs(settings: Settings, channels: int) -> None:
    settings.need("FPN.norm_type", "gn")
    for key, fixed in (("num_convs", 4), ("norm_type", "gn"), ("conv_dim", channels), ("freeze_norm", False)):
        settings.need(f"XConvNormHead.{key}", fixed, None)


def _translate_limits(settings: Settings, draft: Draft) -> None:
    for section, part in (("limits", "test_proposal"), ("training", "train_proposal")):
        theirs, ours = f"RPNHead.{part}", f"{section}.proposals"
        before, after = settings.whole(f"{theirs}.pre_nms_top_n"), settings.whole(f"{theirs}.post_nms_top_n")
        late = settings.find(f"{theirs}.topk_after_collect") is True  # then a level keeps all that went in
        draft.set(f"{ours}.before_nms", before, settings.tell(f"{theirs}.pre_nms_top_n"))
        draft.set(f"{ours}.after_nms", before if late else after, settings.tell(f"{theirs}.topk_after_collect"))
        draft.set(f"{ours}.total", after, settings.tell(f"{theirs}.post_nms_top_n"))
        draft.set(f"{ours}.iou", settings.number(f"{theirs}.nms_thresh"), settings.tell(f"{theirs}.nms_thresh"))
        least = max(1.0, settings.number(f"{theirs}.min_size"))  # Paddle takes no smaller limit than a pixel
        draft.set(f"{ours}.min_side", least, settings.tell(f"{theirs}.min_size"))
    for ours, theirs in (("score", "score_threshold"), ("iou", "nms_threshold")):
        key = f"BBoxPostProcess.nms.{theirs}"
        draft.set(f"limits.detections.{ours}", settings.number(key), settings.tell(key))
    key = "BBoxPostProcess.nms.keep_top_k"
    draft.set("limits.detections.total", settings.whole(key), settings.tell(key))
    key = "MaskPostProcess.binary_thresh"
    draft.set("limits.detections.mask_threshold", settings.number(key), settings.tell(key))
