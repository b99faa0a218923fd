"""The size of a network: parameters and floating-point operations, counted without computing anything."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from maskzoo.models.build import build
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.roi_heads import MASK_SIDE
from maskzoo.models.settings import Limits, Network

__all__ = ["count_operations", "count_parameters", "measure_cost"]

STATISTICS = (".mean", ".variance", ".running_mean", ".running_var")  # frozen norms keep weight and bias as buffers too


def measure_cost(network: Network, classes: int, limits: Limits, canvas: tuple[int, int]) -> tuple[int, float]:
    """Count a network's parameters, and the GFLOPs of one image on a `canvas` (height, width).

    The image has as many proposals and detections as `limits` allow.
    """
    with torch.device("meta"):
        model = build(network, classes, limits)
    operations = count_operations(model, canvas, limits.proposals.total, limits.detections.total)
    return count_parameters(model), round(operations / 1e9, 1)


def count_parameters(model: MaskRCNN) -> int:
    """Count the numbers in all weights and biases, frozen ones included, running statistics not."""
    return sum(tensor.numel() for name, tensor in model.state_dict().items() if not name.endswith(STATISTICS))


def count_operations(model: MaskRCNN, canvas: tuple[int, int], proposals: int, detections: int) -> int:
    """Count the floating-point operations of one image on a `canvas` (height, width), with so many boxes and masks.

    A multiply-add counts as two. Convolutions are counted as direct ones: Winograd's algorithm needs fewer operations, so
    that a share of the machine's peak may exceed 1. `model` must be on the meta device.
    """
    heads = model.heads
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        features = model.features(torch.empty(1, 3, *canvas))
        model.score_anchors(features)
        channels = features[0].shape[1]
        for stage in heads.stages:
            stage.box(stage.box_head(torch.empty(proposals, channels, heads.box_side, heads.box_side)))
        labels = torch.zeros(detections, dtype=torch.int64)
        heads.mask(heads.mask_head(torch.empty(detections, channels, MASK_SIDE, MASK_SIDE)), labels)
    return int(counter.get_total_flops())
