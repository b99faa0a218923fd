"""What a network costs: parameters and floating-point operations."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from maskzoo.config import ModelConfig
from maskzoo.models.build import build
from maskzoo.models.roi_heads import MASK_SIDE

__all__ = ["count_operations", "measure"]


STATISTICS = (".mean", ".variance", ".running_mean", ".running_var")  # what no optimiser moves
BENCHMARK_SIZE = (800, 1216)  # a 4:3 .. 3:2 photo at the published test size, padded


def measure(config: ModelConfig) -> tuple[int, float]:
    """Count a network's parameters (without running statistics) and the GFLOPs of one image, without computing for real."""
    import torch  # takes seconds, and a table of the published rows needs none of it
    from torch.utils.flop_counter import FlopCounterMode

    from maskzoo.models.build import build
    from maskzoo.models.roi_heads import MASK_SIDE

    with torch.device("meta"):
        model = build(config.network, len(config.classes), config.limits)
        heads, side = model.heads, model.heads.box_side
        with FlopCounterMode(display=False) as counter:
            features = model.features(torch.empty(1, 3, *BENCHMARK_SIZE))
            model.rpn(features)
            channels = features[0].shape[1]
            heads.box(heads.embed(torch.empty(config.limits.proposals.total, channels, side, side)))
            labels = torch.zeros(config.limits.detections.total, dtype=torch.int64)
            heads.mask(heads.look(torch.empty(len(labels), channels, MASK_SIDE, MASK_SIDE)), labels)
    statistics = sum(buffer.numel() for name, buffer in model.named_buffers() if name.endswith(STATISTICS))
    parameters = sum(tensor.numel() for tensor in model.state_dict().values()) - statistics
    return parameters, round(counter.get_total_flops() / 1e9, 1)


def count_operations(config: ModelConfig, canvas: tuple[int, int], proposals: int, detections: int) -> int:
    """Return the floating-point operations of one image on a `canvas` (height, width), with so many boxes and masks.

    Those of direct convolutions, whatever algorithm runs: Winograd's needs fewer, so that a share of the peak may pass 1.
    """
    with torch.device("meta"):
        model = build(config.network, len(config.classes), config.limits)
        heads, side = model.heads, model.heads.box_side
        with FlopCounterMode(display=False) as counter:
            features = model.features(torch.empty(1, 3, *canvas))
            model.rpn(features)
            channels = features[0].shape[1]
            heads.box(heads.embed(torch.empty(proposals, channels, side, side)))
            labels = torch.zeros(detections, dtype=torch.int64)
            heads.mask(heads.look(torch.empty(detections, channels, MASK_SIDE, MASK_SIDE)), labels)
    total: int = counter.get_total_flops()
    return total
