"""What a network costs: parameters and floating-point operations, counted without computing."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from maskzoo.models.build import build
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.roi_heads import MASK_SIDE
from maskzoo.models.settings import Limits, Network

__all__ = ["count_operations", "count_parameters", "measure_cost"]

STATISTICS = (".mean", ".variance", ".running_mean", ".running_var")  # what no optimiser moves


def measure_cost(network: Network, classes: int, limits: Limits, canvas: tuple[int, int]) -> tuple[int, float]:
    """Return a network's parameters, and the GFLOPs of one image on a `canvas` (height, width) with all that `limits` allow."""
    with torch.device("meta"):
        model = build(network, classes, limits)
    operations = count_operations(model, canvas, limits.proposals.total, limits.detections.total)
    return count_parameters(model), round(operations / 1e9, 1)


def count_parameters(model: MaskRCNN) -> int:
    """Return how many numbers training may move; running statistics are not among them."""
    statistics = sum(buffer.numel() for name, buffer in model.named_buffers() if name.endswith(STATISTICS))
    return sum(int(tensor.numel()) for tensor in model.state_dict().values()) - statistics


def count_operations(model: MaskRCNN, canvas: tuple[int, int], proposals: int, detections: int) -> int:
    """Return the floating-point operations of one image on a `canvas` (height, width), with so many boxes and masks.

    A multiply-add counts as two. The count is that of direct convolutions, whatever algorithm runs: Winograd's needs
    fewer, so that a share of the peak may pass 1. `model` lies on the meta device.
    """
    heads = model.heads
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        features = model.features(torch.empty(1, 3, *canvas))
        model.score_anchors(features)
        channels = features[0].shape[1]
        heads.box(heads.box_head(torch.empty(proposals, channels, heads.box_side, heads.box_side)))
        labels = torch.zeros(detections, dtype=torch.int64)
        heads.mask(heads.mask_head(torch.empty(detections, channels, MASK_SIDE, MASK_SIDE)), labels)
    return int(counter.get_total_flops())
