"""Detectron's weights of 2018, Caffe2's blobs, under detectron2's names: as detectron2 takes them over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.models.norms import EPS
from maskzoo.weights import detectron2

__all__ = ["C4_NAMES", "NAMES", "is_caffe2", "rename_blobs"]

Array = NDArray[Any]

NAMES = replace(detectron2.NAMES, background_first=True)
C4_NAMES = replace(detectron2.C4_NAMES, background_first=True)

_SIGN = re.compile(r"^(res\d+_\d+_branch\d[abc]?|conv1)_w$")
_STEPS = (  # in this order
    (re.compile(r"^_?\[(mask|box)\]_?"), ""),
    (re.compile(r"_"), "."),
    (re.compile(r"\.w$"), ".weight"),
    (re.compile(r"\.b$"), ".bias"),
    (re.compile(r"\.bn\.s$"), ".norm.weight"),
    (re.compile(r"\.bn\.bias$"), ".norm.bias"),
    (re.compile(r"^(?:res\.)?conv1\.(norm\.)?(weight|bias)$"), r"stem.conv1.\1\2"),
    (re.compile(r"\.branch1\."), ".shortcut."),
    (re.compile(r"\.branch2a\."), ".conv1."),
    (re.compile(r"\.branch2b\."), ".conv2."),
    (re.compile(r"\.branch2c\."), ".conv3."),
    (re.compile(r"^(stem|res[2-4])\."), r"BACKBONE.\1."),
    (re.compile(r"^res5\."), "RES5."),
    (re.compile(r"^fpn\.inner\.res(\d)\.\d+\.sum(?:\.lateral)?\."), r"backbone.fpn_lateral\1."),
    (re.compile(r"^fpn\.res(\d)\.\d+\.sum\."), r"backbone.fpn_output\1."),
    (re.compile(r"^conv\.rpn(?:\.fpn2)?\."), "proposal_generator.rpn_head.conv."),
    (re.compile(r"^rpn\.cls\.logits(?:\.fpn2)?\."), "proposal_generator.rpn_head.objectness_logits."),
    (re.compile(r"^rpn\.bbox\.pred(?:\.fpn2)?\."), "proposal_generator.rpn_head.anchor_deltas."),
    (re.compile(r"^fc([67])\."), lambda found: f"roi_heads.box_head.fc{int(found[1]) - 5}."),
    (re.compile(r"^(cls\.score|bbox\.pred)\."), lambda found: f"roi_heads.box_predictor.{found[1].replace('.', '_')}."),
    (re.compile(r"^(?:mask\.)?fcn(\d)\."), r"roi_heads.mask_head.mask_fcn\1."),
    (re.compile(r"^conv5\.mask\."), "roi_heads.mask_head.deconv."),
    (re.compile(r"^mask\.fcn\.logits\."), "roi_heads.mask_head.predictor."),
)


def is_caffe2(names: Mapping[str, Any]) -> bool:
    """Tell whether these are names of Caffe2's blobs of a ResNet."""
    return any(_SIGN.match(name) for name in names)


def rename_blobs(blobs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the blobs under detectron2's names, and norms with the statistics that they had none of.

    Detectron's norms are a factor and a shift alone: mean 0, and a variance that is 1 with the epsilon added. What the
    optimiser kept (`_momentum`) and biases of zero before a norm are left out.
    """
    pyramid = any(name.startswith("fpn_inner_") for name in blobs)
    places = {
        "BACKBONE": "backbone.bottom_up" if pyramid else "backbone",
        "RES5": "backbone.bottom_up.res5" if pyramid else "roi_heads.res5",
    }
    renamed: dict[str, Array] = {}
    for blob, array in blobs.items():
        if blob.endswith("_momentum") or (blob == "conv1_b" and not array.any()):
            continue
        name = blob
        for pattern, to in _STEPS:
            name = pattern.sub(to, name)
        head, dot, rest = name.partition(".")
        name = places.get(head, head) + dot + rest
        renamed[name] = array
        if name.endswith(".norm.weight"):
            stem = name.removesuffix("weight")
            renamed[f"{stem}running_mean"] = np.zeros(array.shape, np.float32)
            renamed[f"{stem}running_var"] = np.full(array.shape, 1 - EPS, np.float32)
    return renamed
