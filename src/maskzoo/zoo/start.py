"""Where training starts: random weights, an ImageNet backbone, or a network that has learnt already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from maskzoo.config import ModelConfig
from maskzoo.models.build import build
from maskzoo.models.initial import initialize
from maskzoo.models.mask_rcnn import MaskRCNN

__all__ = ["Start", "start"]


@dataclass(frozen=True, slots=True)
class Start:
    """A `model` ready to train, float32 on the CPU, and a `report` of where its weights come from."""

    model: MaskRCNN
    report: str


def start(config: ModelConfig, source: str | Path | None, *, seed: int) -> Start:
    model = build(config.network, len(config.classes), config.limits)
    initialize(model, torch.Generator().manual_seed(seed))
    return Start(model, "random weights")
