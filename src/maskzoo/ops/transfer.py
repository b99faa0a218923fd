"""The way from the host to a device that does not wait for what the device still does."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["send"]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a host tensor to `device`. On a GPU the copy starts from pinned memory: from any other, the host waits."""
    if tensor.device == device:
        return tensor
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
