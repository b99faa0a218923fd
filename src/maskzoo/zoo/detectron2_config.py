"""detectron2's config, translated into a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskzoo.errors import ConfigError, list_some
from maskzoo.models.resnet import DEEP
from maskzoo.zoo.choices import Draft, Settings, is_number

__all__ = ["DEFAULTS", "translate_detectron2"]

STAGES = ("stem", "res2", "res3", "res4", "res5")
NORMS = {"FrozenBN": "frozen", "BN": "bn", "SyncBN": "sync_bn", "nnSyncBN": "sync_bn", "naiveSyncBN": "sync_bn"}
# What detectron2 itself takes where a config says nothing (version 0.6).
DEFAULTS: Mapping[str, Any] = {
    "INPUT.FORMAT": "BGR",
    "INPUT.MAX_SIZE_TEST": 1333,
    "INPUT.MAX_SIZE_TRAIN": 1333,
    "INPUT.MIN_SIZE_TEST": 800,
    "INPUT.MIN_SIZE_TRAIN": [800],
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice",
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
    "MODEL.ANCHOR_GENERATOR.NAME": "DefaultAnchorGenerator",
    "MODEL.ANCHOR_GENERATOR.OFFSET": 0.0,
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32, 64, 128, 256, 512]],
    "MODEL.BACKBONE.FREEZE_AT": 2,
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.FPN.FUSE_TYPE": "sum",
    "MODEL.KEYPOINT_ON": False,
    "MODEL.MASK_ON": False,
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.PIXEL_MEAN": [103.53, 116.28, 123.675],
    "MODEL.PIXEL_STD": [1.0, 1.0, 1.0],
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": 0,
    "MODEL.PROPOSAL_GENERATOR.NAME": "RPN",
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False] * 4,
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.NORM": "FrozenBN",
    "MODEL.RESNETS.NUM_GROUPS": 1,
    "MODEL.RESNETS.RES5_DILATION": 1,
    "MODEL.RESNETS.STRIDE_IN_1X1": True,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 64,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": [10.0, 10.0, 5.0, 5.0],
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 14,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 0,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": 0.5,
    "MODEL.ROI_HEADS.NUM_CLASSES": 80,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.05,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 0,
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.RPN.BBOX_REG_WEIGHTS": [1.0, 1.0, 1.0, 1.0],
    "MODEL.RPN.HEAD_NAME": "StandardRPNHead",
    "MODEL.RPN.NMS_THRESH": 0.7,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 12000,
    "SOLVER.BASE_LR": 0.001,
    "SOLVER.IMS_PER_BATCH": 16,
    "TEST.DETECTIONS_PER_IMAGE": 100,
}


def translate_detectron2(values: Mapping[str, Any], origin: str, draft: Draft) -> None:
    """Put a config's settings into a draft whose network the weights have shown.

    Args:
        values: The config, with its bases.
        origin: Its file's name.
        draft: Is changed.

    Raises:
        ConfigError: A setting is not computed here, makes no sense, or contradicts the weights.
    """
    if "model" in values and "MODEL" not in values:
        raise ConfigError(
            f"{origin}: a LazyConfig of detectron2, which is a program's output and not read; expected a config of the older "
            "kind (MODEL: ...). Without it the model is taken as detectron2's defaults have it; change values with --set"
        )
    settings = Settings(values, origin, DEFAULTS, "detectron2")
    settings.need("MODEL.META_ARCHITECTURE", "GeneralizedRCNN")
    settings.need("MODEL.MASK_ON", True)
    settings.need("MODEL.KEYPOINT_ON", False)
    settings.need("MODEL.PROPOSAL_GENERATOR.NAME", "RPN")
    fpn, c4 = (draft.get("network.heads") == heads for heads in ("fpn", "c4"))
    settings.need("MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone" if fpn else "build_resnet_backbone")
    settings.need("MODEL.ROI_HEADS.NAME", "Res5ROIHeads" if c4 else "StandardROIHeads")
    _translate_backbone(settings, draft)
    _translate_anchors(settings, draft)
    _translate_heads(settings, draft, c4)
    _translate_input(settings, draft)
    _translate_training(settings, draft)
    _check_levels(settings, draft.get("network.heads"))
    unused = settings.list_unused()
    if unused:
        draft.notes.append(
            f"{origin}: not used, for they are about training or files, are shown by the weights, or are not detectron2's own: "
            f"{list_some(sorted(unused), 12)}"
        )


def _check_levels(settings: Settings, heads: str) -> None:
    """The maps that the RPN and the heads look at, where a config names them."""
    pyramid = ["p2", "p3", "p4", "p5", "p6"]
    single = ["res4" if heads == "c4" else "res5"]
    for key, wanted in {
        "MODEL.RPN.IN_FEATURES": pyramid if heads == "fpn" else single,
        "MODEL.ROI_HEADS.IN_FEATURES": pyramid[:4] if heads == "fpn" else single,
        "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
    }.items():
        if settings.has(key) and (heads == "fpn" or "FPN" not in key):
            settings.need(key, wanted)


def _translate_backbone(settings: Settings, draft: Draft) -> None:
    for key, name in (("depth", "DEPTH"), ("groups", "NUM_GROUPS"), ("group_width", "WIDTH_PER_GROUP")):
        theirs = f"MODEL.RESNETS.{name}"
        draft.agree(f"network.backbone.{key}", settings.whole(theirs), settings.tell(theirs))
    key = "MODEL.RESNETS.STRIDE_IN_1X1"
    in_1x1 = settings.flag(key) and draft.get("network.backbone.depth") >= DEEP  # else there is none
    draft.set("network.backbone.stride_in_1x1", in_1x1, settings.tell(key))
    settings.need("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False] * 4)
    settings.need("MODEL.RESNETS.RES5_DILATION", 2 if draft.get("network.heads") == "dc5" else 1)
    settings.need("MODEL.FPN.FUSE_TYPE", "sum")
    key = "MODEL.RESNETS.NORM"
    draft.set("network.backbone.norm", NORMS[settings.need(key, *NORMS)], settings.tell(key))
    key = "MODEL.BACKBONE.FREEZE_AT"
    most = 4 if draft.get("network.heads") == "c4" else 5
    draft.set("network.backbone.frozen", list(STAGES[: min(max(settings.whole(key), 0), most)]), settings.tell(key))


def _translate_anchors(settings: Settings, draft: Draft) -> None:
    settings.need("MODEL.ANCHOR_GENERATOR.NAME", "DefaultAnchorGenerator")
    settings.need("MODEL.ANCHOR_GENERATOR.OFFSET", 0)
    key, levels = "MODEL.ANCHOR_GENERATOR.SIZES", len(draft.get("network.anchors.strides"))
    sizes = _list_lists(settings, key)
    draft.set("network.anchors.sizes", sizes * levels if len(sizes) == 1 else sizes, settings.tell(key))
    key = "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"
    ratios = _list_lists(settings, key)
    if any(row != ratios[0] for row in ratios):
        raise ConfigError(f"{settings.tell(key)} differ from level to level, which is not computed here: {ratios}")
    draft.set("network.anchors.ratios", ratios[0], settings.tell(key))


def _list_lists(settings: Settings, key: str) -> list[list[float]]:
    value = settings.find(key)
    if isinstance(value, list) and value and all(map(is_number, value)):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        raise ConfigError(f"{settings.tell(key)} is {value!r:.80}; expected a list of numbers for each level")
    if not all(is_number(one) for row in value for one in row):
        raise ConfigError(f"{settings.tell(key)} is {value!r:.80}; expected numbers")
    return [[float(one) for one in row] for row in value]


def _translate_heads(settings: Settings, draft: Draft, c4: bool) -> None:
    settings.need("MODEL.RPN.HEAD_NAME", "StandardRPNHead")
    settings.need("MODEL.RPN.BBOX_REG_WEIGHTS", [1, 1, 1, 1])
    settings.need("MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", [10, 10, 5, 5])
    settings.need("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 14 if c4 else 7)
    heads = ("ROI_BOX_HEAD",) if c4 else ("ROI_BOX_HEAD", "ROI_MASK_HEAD")
    if not c4:
        settings.need("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14)
    kinds = [settings.need(f"MODEL.{head}.POOLER_TYPE", "ROIAlignV2", "ROIAlign") for head in heads]
    samples = [settings.whole(f"MODEL.{head}.POOLER_SAMPLING_RATIO") for head in heads]
    if len(set(kinds)) > 1 or len(set(samples)) > 1:
        raise ConfigError(f"{settings.origin}: RoIs are pooled differently for boxes and masks, which is not computed here")
    draft.set("network.roi_align.aligned", kinds[0] == "ROIAlignV2", settings.tell("MODEL.ROI_BOX_HEAD.POOLER_TYPE"))
    draft.set("network.roi_align.samples", samples[0], settings.tell("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO"))
    found, key = settings.whole("MODEL.ROI_HEADS.NUM_CLASSES"), "MODEL.ROI_HEADS.NUM_CLASSES"
    if found != len(draft.get("classes")):
        raise ConfigError(
            f"{settings.tell(key)} is {found}, and the weights have {len(draft.get('classes'))} classes; config and weights do "
            "not belong together"
        )
    least = settings.number("MODEL.PROPOSAL_GENERATOR.MIN_SIZE")
    if least > 0:
        draft.set("limits.proposals.min_side", least, settings.tell("MODEL.PROPOSAL_GENERATOR.MIN_SIZE"))
    for ours, theirs in (
        ("limits.proposals.before_nms", "MODEL.RPN.PRE_NMS_TOPK_TEST"),
        ("limits.proposals.after_nms", "MODEL.RPN.POST_NMS_TOPK_TEST"),
        ("limits.proposals.total", "MODEL.RPN.POST_NMS_TOPK_TEST"),
        ("limits.detections.total", "TEST.DETECTIONS_PER_IMAGE"),
    ):
        draft.set(ours, settings.whole(theirs), settings.tell(theirs))
    for ours, theirs in (
        ("limits.proposals.iou", "MODEL.RPN.NMS_THRESH"),
        ("limits.detections.score", "MODEL.ROI_HEADS.SCORE_THRESH_TEST"),
        ("limits.detections.iou", "MODEL.ROI_HEADS.NMS_THRESH_TEST"),
    ):
        draft.set(ours, settings.number(theirs), settings.tell(theirs))


def _translate_input(settings: Settings, draft: Draft) -> None:
    order = settings.need("INPUT.FORMAT", "BGR", "RGB")
    draft.set("input.order", order.lower(), settings.tell("INPUT.FORMAT"))
    for ours, theirs in (("mean", "MODEL.PIXEL_MEAN"), ("std", "MODEL.PIXEL_STD")):
        values = settings.numbers(theirs)
        if len(values) != 3:
            raise ConfigError(f"{settings.tell(theirs)} has {len(values)} values; expected three: only colour photos are read")
        draft.set(
            f"input.{ours}", [value / 255 for value in (values[::-1] if order == "BGR" else values)], settings.tell(theirs)
        )
    for ours, theirs in (("short_side", "INPUT.MIN_SIZE_TEST"), ("long_side", "INPUT.MAX_SIZE_TEST")):
        value = settings.whole(theirs)
        if value <= 0:
            raise ConfigError(
                f"{settings.tell(theirs)} is {value}: photos as they are, which is not computed here; expected 1 or more"
            )
        draft.set(f"input.{ours}", value, settings.tell(theirs))


def _translate_training(settings: Settings, draft: Draft) -> None:
    """What training on will find: the sides, and the learning rate. Epochs are not in a config that counts iterations."""
    sides = settings.numbers("INPUT.MIN_SIZE_TRAIN")
    if settings.find("INPUT.MIN_SIZE_TRAIN_SAMPLING") == "range" and len(sides) == 2:
        sides = [float(side) for side in range(int(sides[0]), int(sides[1]) + 1, 32)]
    if all(side >= 1 for side in sides):
        draft.set("training.short_sides", [int(side) for side in sides], settings.tell("INPUT.MIN_SIZE_TRAIN"))
    draft.set("training.long_side", settings.whole("INPUT.MAX_SIZE_TRAIN"), settings.tell("INPUT.MAX_SIZE_TRAIN"))
    draft.set("training.learning_rate", settings.number("SOLVER.BASE_LR"), settings.tell("SOLVER.BASE_LR"))
    draft.set("training.images_per_batch", settings.whole("SOLVER.IMS_PER_BATCH"), settings.tell("SOLVER.IMS_PER_BATCH"))
