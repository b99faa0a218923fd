"""PaddleDetection's config, translated into a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskzoo.errors import ConfigError, list_some
from maskzoo.zoo.choices import Draft, Settings

__all__ = ["translate_paddledetection"]

STAGES = ("stem", "res2", "res3", "res4", "res5")
DEFAULTS: Mapping[str, Any] = {  # of PaddleDetection's classes
    "num_classes": 80,
    "ResNet.depth": 50,
    "ResNet.variant": "b",
    "ResNet.groups": 1,
    "ResNet.base_width": 64,
    "ResNet.norm_type": "bn",
    "ResNet.freeze_norm": True,
    "ResNet.freeze_at": 0,
    "ResNet.dcn_v2_stages": [-1],
    "ResNet.std_senet": False,
    "FPN.out_channel": 256,
    "FPN.norm_type": None,
    "FPN.use_c5": True,
    "RPNHead.anchor_generator.aspect_ratios": [0.5, 1.0, 2.0],
    "RPNHead.anchor_generator.anchor_sizes": [[32], [64], [128], [256], [512]],
    "RPNHead.anchor_generator.strides": [4, 8, 16, 32, 64],
    "RPNHead.anchor_generator.offset": 0.0,
    "RPNHead.train_proposal.pre_nms_top_n": 12000,
    "RPNHead.train_proposal.post_nms_top_n": 2000,
    "RPNHead.train_proposal.nms_thresh": 0.7,
    "RPNHead.test_proposal.pre_nms_top_n": 6000,
    "RPNHead.test_proposal.post_nms_top_n": 1000,
    "RPNHead.test_proposal.nms_thresh": 0.7,
    "RPNHead.test_proposal.min_size": 0.0,
    "BBoxHead.reg_class_agnostic": False,
    "BBoxHead.bbox_weight": [10.0, 10.0, 5.0, 5.0],
    "BBoxPostProcess.nms.keep_top_k": 100,
    "BBoxPostProcess.nms.score_threshold": 0.05,
    "BBoxPostProcess.nms.nms_threshold": 0.5,
    "MaskPostProcess.binary_thresh": 0.5,
    **{f"{head}.roi_extractor.sampling_ratio": 0 for head in ("BBoxHead", "MaskHead")},
    **{f"{head}.roi_extractor.aligned": True for head in ("BBoxHead", "MaskHead")},
}
# Ours, theirs; whole numbers, then other numbers.
WHOLE = (
    ("limits.proposals.before_nms", "RPNHead.test_proposal.pre_nms_top_n"),
    ("limits.proposals.after_nms", "RPNHead.test_proposal.post_nms_top_n"),
    ("limits.proposals.total", "RPNHead.test_proposal.post_nms_top_n"),
    ("limits.detections.total", "BBoxPostProcess.nms.keep_top_k"),
    ("training.proposals.before_nms", "RPNHead.train_proposal.pre_nms_top_n"),
    ("training.proposals.total", "RPNHead.train_proposal.post_nms_top_n"),
    ("training.rpn.samples", "RPNHead.rpn_target_assign.batch_size_per_im"),
    ("training.boxes.samples", "BBoxAssigner.batch_size_per_im"),
    ("training.epochs", "epoch"),
)
NUMBERS = (
    ("limits.proposals.iou", "RPNHead.test_proposal.nms_thresh"),
    ("limits.detections.score", "BBoxPostProcess.nms.score_threshold"),
    ("limits.detections.iou", "BBoxPostProcess.nms.nms_threshold"),
    ("limits.detections.mask_threshold", "MaskPostProcess.binary_thresh"),
    ("training.proposals.iou", "RPNHead.train_proposal.nms_thresh"),
    ("training.rpn.positive_fraction", "RPNHead.rpn_target_assign.fg_fraction"),
    ("training.rpn.positive_iou", "RPNHead.rpn_target_assign.positive_overlap"),
    ("training.rpn.negative_iou", "RPNHead.rpn_target_assign.negative_overlap"),
    ("training.boxes.foreground_fraction", "BBoxAssigner.fg_fraction"),
    ("training.boxes.foreground_iou", "BBoxAssigner.fg_thresh"),
    ("training.learning_rate", "LearningRate.base_lr"),
    ("training.momentum", "OptimizerBuilder.optimizer.momentum"),
    ("training.weight_decay", "OptimizerBuilder.regularizer.factor"),
)
LEAST_SIDE = 1.0  # PaddleDetection drops proposals below a pixel, whatever min_size says


def translate_paddledetection(values: Mapping[str, Any], origin: str, draft: Draft) -> None:
    """Put a config's settings into a draft; what its weights have shown must agree.

    Args:
        values: The config, with its bases.
        origin: Its file's name.
        draft: Is changed.

    Raises:
        ConfigError: A setting is not computed here, makes no sense, or contradicts the weights.
    """
    settings = Settings(values, origin, DEFAULTS, "PaddleDetection")
    settings.need("architecture", "MaskRCNN")
    settings.need("MaskRCNN.backbone", "ResNet")
    fpn = settings.find("MaskRCNN.neck") == "FPN"
    settings.need("MaskRCNN.neck", "FPN", None)
    draft.agree("network.heads", "fpn" if fpn else "c4", settings.tell("MaskRCNN.neck"))
    _translate_network(settings, draft, fpn)
    for ours, theirs in WHOLE:
        if settings.find(theirs) is not None:
            draft.set(ours, settings.whole(theirs), settings.tell(theirs))
    for ours, theirs in NUMBERS:
        if settings.find(theirs) is not None:
            draft.set(ours, settings.number(theirs), settings.tell(theirs))
    key = "RPNHead.test_proposal.min_size"
    draft.set("limits.proposals.min_side", max(LEAST_SIDE, settings.number(key)), settings.tell(key))
    _translate_classes(settings, draft)
    _translate_readers(settings, draft)
    _translate_schedule(settings, draft)
    unused = settings.list_unused()
    if unused:
        draft.notes.append(f"{origin}: not used: {list_some(sorted(unused), 20)}")


def _translate_network(settings: Settings, draft: Draft, fpn: bool) -> None:
    for ours, theirs in (("depth", "depth"), ("groups", "groups"), ("group_width", "base_width")):
        draft.agree(f"network.backbone.{ours}", settings.whole(f"ResNet.{theirs}"), settings.tell(f"ResNet.{theirs}"))
    variant = settings.need("ResNet.variant", "b", "d")
    draft.agree("network.backbone.variant", variant, settings.tell("ResNet.variant"))
    settings.need("ResNet.dcn_v2_stages", [-1], [], None)
    settings.need("ResNet.std_senet", False)
    kind = settings.need("ResNet.norm_type", "bn", "sync_bn")
    still = settings.flag("ResNet.freeze_norm")
    draft.set("network.backbone.norm", "frozen" if still else kind, settings.tell("ResNet.freeze_norm"))
    last = settings.whole("ResNet.freeze_at")  # 0 is res2, and -1 nothing
    draft.set("network.backbone.frozen", list(STAGES[: last + 2] if last >= 0 else ()), settings.tell("ResNet.freeze_at"))
    if fpn:
        settings.need("FPN.norm_type", None)
        settings.need("FPN.use_c5", True)
        settings.need("BBoxHead.head", "TwoFCHead")
        if settings.find("MaskFeat.num_convs") is not None:
            settings.need("MaskFeat.num_convs", 4)
        draft.agree("network.channels", settings.whole("FPN.out_channel"), settings.tell("FPN.out_channel"))
        if settings.has("TwoFCHead.out_channel"):
            draft.agree("network.box_features", settings.whole("TwoFCHead.out_channel"), settings.tell("TwoFCHead.out_channel"))
    else:
        settings.need("BBoxHead.head", "Res5Head")
    settings.need("BBoxHead.reg_class_agnostic", False)
    settings.need("BBoxHead.bbox_weight", [10, 10, 5, 5], [0.1, 0.1, 0.2, 0.2])
    heads = ("BBoxHead", "MaskHead") if fpn else ("BBoxHead",)
    for head, side in zip(heads, (7, 14) if fpn else (14,), strict=True):
        if settings.has(f"{head}.roi_extractor.resolution"):
            settings.need(f"{head}.roi_extractor.resolution", side)
    _translate_pooling(settings, draft, heads)
    _translate_anchors(settings, draft)


def _translate_pooling(settings: Settings, draft: Draft, heads: Sequence[str]) -> None:
    keys = [f"{head}.roi_extractor" for head in heads]
    pooled = {(settings.flag(f"{key}.aligned"), settings.whole(f"{key}.sampling_ratio")) for key in keys}
    if len(pooled) != 1:
        raise ConfigError(f"{settings.origin}: RoIs are pooled differently for boxes and masks, which is not computed here")
    ((aligned, samples),) = pooled
    draft.set("network.roi_align.aligned", aligned, settings.tell("BBoxHead.roi_extractor.aligned"))
    draft.set("network.roi_align.samples", max(samples, 0), settings.tell("BBoxHead.roi_extractor.sampling_ratio"))


def _translate_anchors(settings: Settings, draft: Draft) -> None:
    anchors = "RPNHead.anchor_generator"
    settings.need(f"{anchors}.offset", 0)
    settings.need(f"{anchors}.strides", draft.get("network.anchors.strides"))
    sizes = settings.find(f"{anchors}.anchor_sizes")
    sizes = [sizes] if isinstance(sizes, list) and not any(isinstance(row, list) for row in sizes) else sizes
    draft.set("network.anchors.sizes", sizes, settings.tell(f"{anchors}.anchor_sizes"))
    draft.set("network.anchors.ratios", settings.numbers(f"{anchors}.aspect_ratios"), settings.tell(f"{anchors}.aspect_ratios"))


def _translate_classes(settings: Settings, draft: Draft) -> None:
    count, known = settings.whole("num_classes"), len(draft.get("classes"))
    if count == known:
        return
    if "classes" in draft.sources:
        raise ConfigError(
            f"{settings.tell('num_classes')} is {count}, and the weights have {known} classes; config and weights do not "
            "belong together"
        )
    names = {number: f"class {number}" for number in range(1, count + 1)}
    draft.set("classes", names, settings.tell("num_classes"))
    draft.notes.append(
        f"{settings.origin}: names no classes; they are called class 1 to class {count}: write their names there"
    )


def _translate_readers(settings: Settings, draft: Draft) -> None:
    reader = next((name for name in ("TestReader", "EvalReader") if settings.has(f"{name}.sample_transforms")), None)
    if reader is not None:
        steps = _list_steps(settings, f"{reader}.sample_transforms")
        _translate_resize(settings, draft, reader, steps)
        norm = steps.get("NormalizeImage", {})
        if norm.get("norm_type", "mean_std") == "none":
            raise ConfigError(f"{settings.origin}: {reader}'s NormalizeImage has norm_type none, which is not computed here")
        scale = 1.0 if norm.get("is_scale", True) else 255.0
        for key in ("mean", "std"):
            if isinstance(norm.get(key), list):
                draft.set(f"input.{key}", [float(one) / scale for one in norm[key]], f"{settings.origin}: {reader}")
        batch = _list_steps(settings, f"{reader}.batch_transforms") if settings.has(f"{reader}.batch_transforms") else {}
        if "PadBatch" in batch:
            pad = batch["PadBatch"].get("pad_to_stride", 0)
            draft.set("input.canvas_multiple", max(1, int(pad)), f"{settings.origin}: {reader}")
    if settings.has("TrainReader.sample_transforms"):
        resize = _list_steps(settings, "TrainReader.sample_transforms").get("RandomResize", {})
        sizes = resize.get("target_size")
        if isinstance(sizes, list) and sizes and all(isinstance(size, list) and len(size) == 2 for size in sizes):
            draft.set("training.short_sides", [min(size) for size in sizes], f"{settings.origin}: TrainReader")
            draft.set("training.long_side", max(max(size) for size in sizes), f"{settings.origin}: TrainReader")


def _translate_resize(settings: Settings, draft: Draft, reader: str, steps: Mapping[str, Mapping[str, Any]]) -> None:
    resize = steps.get("Resize", {})
    size = resize.get("target_size", [800, 1333])
    size = [size, size] if type(size) is int else size
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        raise ConfigError(f"{settings.origin}: {reader}'s Resize has target_size {size!r:.60}; expected two sides")
    if resize.get("keep_ratio", True) is not True or resize.get("interp", 2) != 2:
        raise ConfigError(
            f"{settings.origin}: {reader}'s Resize has keep_ratio {resize.get('keep_ratio')}, interp {resize.get('interp')}, "
            "which is not computed here; expected true and 2 (cubic)"
        )
    draft.set("input.short_side", min(size), f"{settings.origin}: {reader}")
    draft.set("input.long_side", max(size), f"{settings.origin}: {reader}")


def _list_steps(settings: Settings, key: str) -> dict[str, Mapping[str, Any]]:
    """Return a reader's steps by name. Each is written as a mapping of one name to its settings."""
    steps = settings.find(key)
    found: dict[str, Mapping[str, Any]] = {}
    for step in steps if isinstance(steps, list) else ():
        for name, inner in step.items() if isinstance(step, dict) else ():
            found[name] = inner if isinstance(inner, dict) else {}
    return found


def _translate_schedule(settings: Settings, draft: Draft) -> None:
    rates = settings.find("LearningRate.schedulers")
    for step in rates if isinstance(rates, list) else ():
        step = step if isinstance(step, dict) else {}
        source = f"{settings.origin}: LearningRate"
        if step.get("name") == "PiecewiseDecay":
            draft.set("training.milestones", step.get("milestones", []), source)
            if type(step.get("gamma")) in (int, float):
                draft.set("training.decay", step["gamma"], source)
        elif step.get("name") == "LinearWarmup":
            draft.set("training.warmup.iterations", step.get("steps", 500), source)
            draft.set("training.warmup.start_factor", step.get("start_factor", 1 / 3), source)
        else:
            draft.notes.append(f"{source}: {step.get('name', step)} is not used; the learning rate falls at milestones here")
