"""The arguments of torchvision's `maskrcnn_resnet50_fpn`, which no file holds, translated into a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskzoo.errors import ConfigError, suggest
from maskzoo.model_file import parse_yaml
from maskzoo.zoo.choices import Draft, Settings

__all__ = ["translate_torchvision"]

WHOLE = {
    "max_size": ("input.long_side",),
    "rpn_pre_nms_top_n_test": ("limits.proposals.before_nms",),
    "rpn_post_nms_top_n_test": ("limits.proposals.after_nms", "limits.proposals.total"),
    "box_detections_per_img": ("limits.detections.total",),
    "rpn_batch_size_per_image": ("training.rpn.samples",),
    "box_batch_size_per_image": ("training.boxes.samples",),
    "rpn_pre_nms_top_n_train": ("training.proposals.before_nms",),
    "rpn_post_nms_top_n_train": ("training.proposals.after_nms", "training.proposals.total"),
}
NUMBERS = {
    "rpn_nms_thresh": ("limits.proposals.iou", "training.proposals.iou"),
    "box_score_thresh": ("limits.detections.score",),
    "box_nms_thresh": ("limits.detections.iou",),
    "rpn_fg_iou_thresh": ("training.rpn.positive_iou",),
    "rpn_bg_iou_thresh": ("training.rpn.negative_iou",),
    "rpn_positive_fraction": ("training.rpn.positive_fraction",),
    "box_fg_iou_thresh": ("training.boxes.foreground_iou",),
    "box_positive_fraction": ("training.boxes.foreground_fraction",),
}
TRIPLES = {"image_mean": "input.mean", "image_std": "input.std"}
OTHERS = ("min_size", "rpn_score_thresh", "trainable_backbone_layers")


def translate_torchvision(options: Sequence[str], draft: Draft) -> None:
    """Put the arguments of torchvision's function into a draft.

    Args:
        options: `name=value` texts: "min_size=600", "image_mean=[0.5, 0.5, 0.5]".
        draft: Is changed.

    Raises:
        ConfigError: An argument is not known, makes no sense or is not computed here.
    """
    settings = Settings(dict(map(_parse, options)), "--option", {}, "torchvision")
    for name in settings.values:
        source = f"--option {name}"
        if name in WHOLE:
            for key in WHOLE[name]:
                draft.set(key, settings.whole(name), source)
        elif name in NUMBERS:
            for key in NUMBERS[name]:
                draft.set(key, settings.number(name), source)
        elif name in TRIPLES:
            draft.set(TRIPLES[name], settings.numbers(name), source)
        elif name == "min_size":
            sides = settings.numbers(name)  # several: one is drawn in training, the last one tests
            draft.set("input.short_side", int(sides[-1]), source)
            draft.set("training.short_sides", [int(side) for side in sides], source)
        elif name == "trainable_backbone_layers":
            layers = settings.whole(name)
            frozen = ["stem", "res2", "res3", "res4", "res5"][: max(0, 5 - layers)]
            draft.set("network.backbone.frozen", frozen, source)
        elif name == "rpn_score_thresh":
            settings.need(name, 0)
        else:
            known = (*WHOLE, *NUMBERS, *TRIPLES, *OTHERS)
            raise ConfigError(
                f"--option {name}: not an argument of torchvision's maskrcnn_resnet50_fpn that is read here; "
                f"{suggest(name, known) or 'known are ' + ', '.join(known)}"
            )


def _parse(option: str) -> tuple[str, Any]:
    name, equals, value = option.partition("=")
    if not equals or not name:
        raise ConfigError(f"--option {option}: expected an argument of torchvision's function, such as min_size=600")
    return name.strip(), parse_yaml(value.strip().replace("(", "[").replace(")", "]"), f"--option {option:.200}")
