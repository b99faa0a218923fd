"""What runs the network for a predictor."""

from __future__ import annotations

from typing import Protocol

import torch

from maskzoo.models.layers import pack
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.structures import Detections, ImageBatch

__all__ = ["Backend", "Eager"]


class Backend(Protocol):
    """A network that is ready to run: PyTorch's, or one inside another runtime."""

    name: str
    dtype: str

    def detect(self, batch: ImageBatch) -> Detections:
        """Return detections with masks, without empty slots, on the CPU, in pixels of the resized images."""
        ...


class Eager:
    """PyTorch, operator by operator. The network is packed: norms folded, layers fused, memory channels-last.

    It takes the network over, which cannot train any more.
    """

    name = "eager"

    def __init__(self, model: MaskRCNN, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, str(dtype).removeprefix("torch.")
        self.model = model.eval().requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pack(self.model)
        self.model.to(device, dtype)
        self._dtype = dtype

    @torch.inference_mode()
    def detect(self, batch: ImageBatch) -> Detections:
        """Run the network on a batch: the mask head on real detections only."""
        on_device = ImageBatch(batch.pixels.to(self.device, self._dtype), batch.sizes.to(self.device))
        detections, table = self.model.find(on_device)
        done = self.model.add_masks(detections.trimmed(), table)
        masks = None if done.masks is None else done.masks.cpu()
        return Detections(
            done.boxes.cpu(), done.scores.cpu(), done.labels.cpu(), done.rois.cpu(), done.valid.cpu(), masks
        )
