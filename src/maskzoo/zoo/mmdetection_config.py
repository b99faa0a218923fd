"""mmdetection's config, of versions 2 and 3, translated into a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskzoo.errors import ConfigError
from maskzoo.models.resnet import DEEP
from maskzoo.zoo.choices import Draft, Settings

__all__ = ["find_classes", "translate_mmdetection"]

STAGES = ("stem", "res2", "res3", "res4", "res5")
ZEROS, ONES = [0, 0, 0, 0], [1, 1, 1, 1]
ROI = "model.roi_head"
EXTRACTORS = (f"{ROI}.bbox_roi_extractor", f"{ROI}.mask_roi_extractor")
DEFAULTS: Mapping[str, Any] = {  # of mmdetection's classes
    "model.backbone.style": "pytorch",
    "model.backbone.groups": 1,
    "model.backbone.base_width": 64,
    "model.backbone.num_stages": 4,
    "model.backbone.out_indices": [0, 1, 2, 3],
    "model.backbone.frozen_stages": -1,
    "model.backbone.deep_stem": False,
    "model.backbone.avg_down": False,
    "model.backbone.dilations": [1, 1, 1, 1],
    "model.backbone.strides": [1, 2, 2, 2],
    "model.backbone.stage_with_dcn": [False] * 4,
    "model.neck.add_extra_convs": False,
    "model.neck.start_level": 0,
    "model.rpn_head.anchor_generator.scale_major": True,
    "model.rpn_head.anchor_generator.center_offset": 0.0,
    "model.rpn_head.bbox_coder.target_means": ZEROS,
    "model.rpn_head.bbox_coder.target_stds": ONES,
    f"{ROI}.bbox_head.bbox_coder.target_means": ZEROS,
    f"{ROI}.bbox_head.bbox_coder.target_stds": [0.1, 0.1, 0.2, 0.2],
    **{f"{extractor}.roi_layer.sampling_ratio": 0 for extractor in EXTRACTORS},
    **{f"{extractor}.roi_layer.aligned": True for extractor in EXTRACTORS},
    **{f"{extractor}.finest_scale": 56 for extractor in EXTRACTORS},
    "test_cfg.rpn.min_bbox_size": 0,
    "test_cfg.rpn.nms_across_levels": False,
    "test_cfg.rcnn.nms.type": "nms",
    "test_cfg.rcnn.mask_thr_binary": 0.5,
    "input.pad": 1,
}
BOX_HEADS = ("Shared2FCBBoxHead", "Shared4Conv1FCBBoxHead", "ConvFCBBoxHead")


def translate_mmdetection(values: Mapping[str, Any], origin: str, draft: Draft) -> None:
    """Put a config's settings into a draft whose network the weights have shown.

    Args:
        values: The config, with its bases.
        origin: Its file's name.
        draft: Is changed.

    Raises:
        ConfigError: A setting is not computed here, makes no sense, or contradicts the weights.
    """
    if not isinstance(values.get("model"), Mapping):
        raise ConfigError(
            f"{origin}: has no plain `model = dict(...)`, and nothing in a config is run (`with read_base():`, "
            "`{{_base_.model}}`); expected the whole config that training wrote: the .py file in mmdetection's work_dirs"
        )
    settings = Settings(_unify(values), origin, DEFAULTS, "mmdetection")
    settings.need("model.type", "MaskRCNN", "mmdet.MaskRCNN")
    _translate_backbone(settings, draft)
    _translate_rpn(settings, draft)
    _translate_heads(settings, draft)
    _translate_limits(settings, draft)
    _translate_input(settings, draft)


def find_classes(values: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """Return the class names that a config gives its data sets, and under which key."""
    for key in ("metainfo", "class_name", "classes", "CLASSES", "train_dataloader", "data"):
        value = values.get(key)
        if key == "train_dataloader" and isinstance(value, Mapping):
            dataset = value.get("dataset")
            value = dataset.get("metainfo") if isinstance(dataset, Mapping) else None
        elif key == "data" and isinstance(value, Mapping):
            value = value.get("train")
        if isinstance(value, Mapping):
            value = value.get("classes", value.get("CLASSES"))
        if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
            return list(value), key
    return None


def _unify(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put what stands in several places by version into one: `test_cfg`, the limits; `input`, normalising and size."""
    model = values.get("model")
    if not isinstance(model, Mapping):
        return {"model": model, **{key: value for key, value in values.items() if key != "model"}}
    test = model.get("test_cfg") or values.get("test_cfg")
    return {"model": dict(model), "test_cfg": test, "input": _unify_input(values, model)}


def _unify_input(values: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    norm = values.get("img_norm_cfg")
    if isinstance(norm, Mapping):  # version 2
        found |= {"mean": norm.get("mean"), "std": norm.get("std"), "rgb": norm.get("to_rgb", True)}
    steps = list(_walk_steps(_find_pipeline(values)))
    for step in steps:
        kind = step.get("type")
        if kind in ("Resize", "MultiScaleFlipAug"):
            for key in ("scale", "img_scale"):
                if step.get(key) is not None:
                    found["size"] = step[key]
            if kind == "Resize":
                found["keep_ratio"] = step.get("keep_ratio", kind == "Resize" and "img_scale" not in step)
        elif kind == "Normalize":
            found |= {"mean": step.get("mean"), "std": step.get("std"), "rgb": step.get("to_rgb", True)}
        elif kind == "Pad":
            found["pad"] = step.get("size_divisor", step.get("divisor", 1))
    preparing = model.get("data_preprocessor") or values.get("data_preprocessor")
    if isinstance(preparing, Mapping):  # version 3
        found |= {"mean": preparing.get("mean"), "std": preparing.get("std"), "rgb": preparing.get("bgr_to_rgb", False)}
        found["pad"] = preparing.get("pad_size_divisor", 1)
    return {key: value for key, value in found.items() if value is not None}


def _find_pipeline(values: Mapping[str, Any]) -> Any:
    """Return the steps of testing, where the versions have them; those that the data set itself has come first."""
    for path in (("test_dataloader", "dataset", "pipeline"), ("data", "test", "pipeline"), ("test_pipeline",)):
        value: Any = values
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, list) and value:
            return value
    return []


def _walk_steps(steps: Any) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, Mapping):
            found += [step, *_walk_steps(step.get("transforms"))]
    return found


def _translate_backbone(settings: Settings, draft: Draft) -> None:
    kind = settings.need("model.backbone.type", "ResNet", "ResNeXt", "mmdet.ResNet", "mmdet.ResNeXt")
    draft.agree("network.backbone.depth", settings.whole("model.backbone.depth"), settings.tell("model.backbone.depth"))
    if kind.endswith("ResNeXt"):
        for ours, theirs in (("groups", "groups"), ("group_width", "base_width")):
            key = f"model.backbone.{theirs}"
            draft.agree(f"network.backbone.{ours}", settings.whole(key), settings.tell(key))
    for key, wanted in (
        ("num_stages", 4),
        ("out_indices", [0, 1, 2, 3]),
        ("strides", [1, 2, 2, 2]),
        ("dilations", [1, 1, 1, 1]),
        ("deep_stem", False),
        ("avg_down", False),
        ("plugins", None),
    ):
        settings.need(f"model.backbone.{key}", wanted)
    if settings.find("model.backbone.dcn") is not None:
        settings.need("model.backbone.stage_with_dcn", [False] * 4)
    key = "model.backbone.style"
    caffe = settings.need(key, "pytorch", "caffe") == "caffe" and draft.get("network.backbone.depth") >= DEEP
    draft.set("network.backbone.stride_in_1x1", caffe, settings.tell(key))
    key = "model.backbone.norm_cfg.type"
    if settings.has(key):
        norm = settings.need(key, "BN", "BN2d", "SyncBN")
        still = settings.find("model.backbone.norm_cfg.requires_grad") is False
        kind = "frozen" if still else "sync_bn" if norm == "SyncBN" else "bn"
        draft.set("network.backbone.norm", kind, settings.tell(key.replace("type", "requires_grad") if still else key))
    if settings.has("model.backbone.norm_cfg.eps"):
        draft.set(
            "network.backbone.epsilon",
            settings.number("model.backbone.norm_cfg.eps"),
            settings.tell("model.backbone.norm_cfg.eps"),
        )
    key = "model.backbone.frozen_stages"
    draft.set("network.backbone.frozen", list(STAGES[: min(max(settings.whole(key) + 1, 0), 5)]), settings.tell(key))
    settings.need("model.neck.type", "FPN", "mmdet.FPN")
    settings.need("model.neck.num_outs", 5)
    settings.need("model.neck.add_extra_convs", False)
    settings.need("model.neck.start_level", 0)


def _translate_rpn(settings: Settings, draft: Draft) -> None:
    settings.need("model.rpn_head.type", "RPNHead", "mmdet.RPNHead")
    anchors = "model.rpn_head.anchor_generator"
    settings.need(f"{anchors}.type", "AnchorGenerator", "mmdet.AnchorGenerator")
    settings.need(f"{anchors}.center_offset", 0)
    settings.need("model.rpn_head.bbox_coder.target_means", ZEROS)
    settings.need("model.rpn_head.bbox_coder.target_stds", ONES)
    strides = settings.numbers(f"{anchors}.strides")
    wanted = draft.get("network.anchors.strides")
    if strides != wanted:
        raise ConfigError(f"{settings.tell(f'{anchors}.strides')} are {strides}; expected {wanted}")
    bases = settings.numbers(f"{anchors}.base_sizes") if settings.has(f"{anchors}.base_sizes") else strides
    if settings.has(f"{anchors}.scales"):
        scales, source = settings.numbers(f"{anchors}.scales"), settings.tell(f"{anchors}.scales")
    else:
        base, steps = settings.number(f"{anchors}.octave_base_scale"), settings.whole(f"{anchors}.scales_per_octave")
        scales, source = [base * 2 ** (step / steps) for step in range(steps)], settings.tell(f"{anchors}.octave_base_scale")
    if len(scales) > 1:
        settings.need(f"{anchors}.scale_major", False)  # ours is: sizes outer, ratios inner
    draft.set("network.anchors.sizes", [[base * scale for scale in scales] for base in bases], source)
    draft.set("network.anchors.ratios", settings.numbers(f"{anchors}.ratios"), settings.tell(f"{anchors}.ratios"))


def _translate_heads(settings: Settings, draft: Draft) -> None:
    settings.need(f"{ROI}.type", "StandardRoIHead", "mmdet.StandardRoIHead")
    pooled = []
    for extractor, side in zip(EXTRACTORS, (7, 14), strict=True):
        if settings.find(extractor) is None:
            continue  # masks are pooled as boxes are told to be only where it stands
        settings.need(f"{extractor}.type", "SingleRoIExtractor", "mmdet.SingleRoIExtractor")
        layer = f"{extractor}.roi_layer"
        settings.need(f"{layer}.type", "RoIAlign")
        settings.need(_choose(settings, f"{layer}.output_size", f"{layer}.out_size"), side, [side, side])
        settings.need(f"{extractor}.finest_scale", 56)
        settings.need(f"{extractor}.featmap_strides", [4, 8, 16, 32])
        samples = _choose(settings, f"{layer}.sampling_ratio", f"{layer}.sample_num")
        pooled.append((settings.flag(f"{layer}.aligned"), settings.whole(samples)))
    if len(set(pooled)) != 1:
        raise ConfigError(f"{settings.origin}: RoIs are pooled differently for boxes and masks, which is not computed here")
    layer = f"{EXTRACTORS[0]}.roi_layer"
    draft.set("network.roi_align.aligned", pooled[0][0], settings.tell(f"{layer}.aligned"))
    draft.set("network.roi_align.samples", pooled[0][1], settings.tell(f"{layer}.sampling_ratio"))
    settings.need(f"{ROI}.bbox_head.type", *BOX_HEADS, *(f"mmdet.{name}" for name in BOX_HEADS))
    settings.need(f"{ROI}.bbox_head.bbox_coder.target_means", ZEROS)
    settings.need(f"{ROI}.bbox_head.bbox_coder.target_stds", [0.1, 0.1, 0.2, 0.2])
    settings.need(f"{ROI}.mask_head.type", "FCNMaskHead", "mmdet.FCNMaskHead")
    key = f"{ROI}.bbox_head.num_classes"
    if settings.has(key) and settings.whole(key) != len(draft.get("classes")):
        raise ConfigError(
            f"{settings.tell(key)} is {settings.whole(key)}, and the weights have {len(draft.get('classes'))} classes; config "
            "and weights do not belong together"
        )


def _translate_limits(settings: Settings, draft: Draft) -> None:
    settings.need("test_cfg.rpn.nms_across_levels", False)
    settings.need("test_cfg.rcnn.nms.type", "nms")
    total = _choose(settings, "test_cfg.rpn.max_per_img", "test_cfg.rpn.max_num")
    after = "test_cfg.rpn.nms_post" if settings.has("test_cfg.rpn.nms_post") else total
    iou = _choose(settings, "test_cfg.rpn.nms.iou_threshold", "test_cfg.rpn.nms_thr", "test_cfg.rpn.nms.iou_thr")
    box_iou = _choose(settings, "test_cfg.rcnn.nms.iou_threshold", "test_cfg.rcnn.nms.iou_thr")
    for ours, theirs in (
        ("limits.proposals.before_nms", "test_cfg.rpn.nms_pre"),
        ("limits.proposals.after_nms", after),
        ("limits.proposals.total", total),
        ("limits.detections.total", "test_cfg.rcnn.max_per_img"),
    ):
        draft.set(ours, settings.whole(theirs), settings.tell(theirs))
    for ours, theirs in (
        ("limits.proposals.iou", iou),
        ("limits.detections.score", "test_cfg.rcnn.score_thr"),
        ("limits.detections.iou", box_iou),
        ("limits.detections.mask_threshold", "test_cfg.rcnn.mask_thr_binary"),
    ):
        draft.set(ours, settings.number(theirs), settings.tell(theirs))
    least = settings.number("test_cfg.rpn.min_bbox_size")
    if least > 0:
        draft.set("limits.proposals.min_side", least, settings.tell("test_cfg.rpn.min_bbox_size"))


def _choose(settings: Settings, first: str, *others: str) -> str:
    return next((key for key in (first, *others) if settings.has(key)), first)


def _translate_input(settings: Settings, draft: Draft) -> None:
    rgb = settings.flag("input.rgb")
    source = f"{settings.origin}: mean, std and order of data_preprocessor or Normalize"
    draft.set("input.order", "rgb" if rgb else "bgr", source)
    for key in ("mean", "std"):
        values = settings.numbers(f"input.{key}")
        if len(values) != 3:
            raise ConfigError(f"{settings.origin}: {key} of the photos has {len(values)} values; expected three")
        draft.set(f"input.{key}", [value / 255 for value in (values if rgb else values[::-1])], source)
    source = f"{settings.origin}: Resize of the test pipeline"
    if settings.has("input.size"):
        size = settings.find("input.size")
        size = size[0] if isinstance(size, list) and len(size) == 1 else size  # img_scale=[(1333, 800)]
        if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
            raise ConfigError(f"{source} is {size!r:.60}; expected one pair of sides, such as (1333, 800)")
        settings.need("input.keep_ratio", True)
        draft.set("input.short_side", min(size), source)
        draft.set("input.long_side", max(size), source)
    else:
        draft.notes.append(f"{settings.origin}: has no Resize in a test pipeline; sides are mmdetection's usual ones")
    pad = settings.whole("input.pad")
    draft.set("input.canvas_multiple", max(1, pad), f"{settings.origin}: Pad, or pad_size_divisor")
