"""Recipes that have a name: each stands for some `KEY=VALUE` texts, as `--set` takes them."""

from __future__ import annotations

from collections.abc import Mapping

from maskzoo.augmentations import PRESETS
from maskzoo.errors import ConfigError, suggest

__all__ = ["RECIPES", "find_recipe"]

# Large-scale jitter on 1024 x 1024 and 100 epochs: detectron2's configs/new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py (184,375
# steps of 64 images, the rate lowered after 163,889 and 177,546). In mmdetection's configs/common/lsj_100e_coco_instance.py
# are the same values, and torchvision trained maskrcnn_resnet50_fpn_v2 by them for 400 epochs (pytorch/vision, pull request
# 5773). Norms that learn over all processes, and larger heads, belong to the network: the rows ..._LSJ have them.
LSJ = (
    "training.epochs=100",
    "training.milestones=[89, 96]",
    "training.learning_rate=0.1",
    "training.decay=0.1",
    "training.warmup={iterations: 500, start_factor: 0.067}",
    "training.momentum=0.9",
    "training.weight_decay=0.00004",
    "training.images_per_batch=64",
    "training.short_sides=[1024]",
    "training.long_side=1024",
    "training.flip=0.5",
    "run.jitter=[0.1, 2.0]",
)
RECIPES: Mapping[str, tuple[str, ...]] = {"lsj": LSJ, **{name: (f"training.augmentation={name}",) for name in PRESETS}}


def find_recipe(name: str) -> tuple[str, ...]:
    """Return what a recipe sets. Raises ConfigError that names those there are."""
    if name not in RECIPES:
        raise ConfigError(f"{name}: no recipe has this name (--recipe); {suggest(name, RECIPES)} known: {', '.join(RECIPES)}")
    return RECIPES[name]
