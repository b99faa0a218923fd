"""What runs the network for a predictor."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.models.layers import pack
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.structures import Detections, ImageBatch

__all__ = ["Backend", "Eager", "PhotoBackend"]

MOST_WORKERS = 8  # each holds the features of its own images, about 1 GB at 800 x 1333


class Backend(Protocol):
    """A network that is ready to run: PyTorch's, or one inside another runtime."""

    name: str
    dtype: str

    def detect(self, batch: ImageBatch) -> Detections:
        """Return detections with masks, without empty slots, on the CPU, in pixels of the resized images."""
        ...

    def choose_workers(self) -> int:
        """Return how many images to work on at once, in threads."""
        ...

    def hash_weights(self) -> str:
        """Return the SHA-256 of the weights, as they lie in this backend."""
        ...


class PhotoBackend(Backend, Protocol):
    """A backend whose network takes whole photos as well."""

    def detect_photo(self, pixels: NDArray[np.uint8]) -> Detections:
        """Return what is on one photo, RGB `[H W 3]`, in pixels of the photo."""
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

    def choose_workers(self) -> int:
        """One for each thread of the CPU, or enough to keep a GPU fed."""
        return min(torch.get_num_threads() if self.device.type == "cpu" else 2, MOST_WORKERS)

    def hash_weights(self) -> str:
        """Return the SHA-256 of the weights; ask before the first image, which puts them into oneDNN's order."""
        digest = hashlib.sha256()
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

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
