"""Training steps on made objects: forward, backward and the optimiser, at a learning rate that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import torch

from maskzoo.config import ModelConfig
from maskzoo.images.batch import batch_resized
from maskzoo.images.read import read_image
from maskzoo.images.resize import resize_photo
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.structures import GroundTruth, ImageBatch
from maskzoo.training.objective import Objective
from maskzoo.training.schedule import make_optimizer
from maskzoo.training.targets import shuffle_by

__all__ = ["TrainingSteps"]

OBJECTS = 8  # of an image; COCO's have 7 on average


class TrainingSteps:
    """Steps of a network on batches of the images, each with the same few objects; bfloat16 runs under autocast."""

    def __init__(
        self,
        network: MaskRCNN,
        config: ModelConfig,
        images: Sequence[str],
        batch: int,
        dtype: str,
        device: torch.device,
    ) -> None:
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config, self.batch, self.device, self.low = config, batch, device, dtype == "bfloat16"
        self.objective = Objective(network.train(), config.training, len(config.classes))
        self.optimizer = make_optimizer(network, config.training)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0  # random weights would leave every sensible range within a step
        self.images = cycle(images)
        self.shuffle = shuffle_by(torch.Generator().manual_seed(0))

    def run(self) -> None:
        """Do one step, reading the images included."""
        shape = self.config.input
        photos = [read_image(next(self.images)) for _ in range(self.batch)]
        batch = batch_resized([resize_photo(photo, shape) for photo in photos], shape)
        truth = _make_truth(batch.sizes, self.device)
        batch = ImageBatch(batch.pixels.to(self.device), batch.sizes.to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low):
            losses = self.objective(batch, truth, [self.shuffle] * self.batch)
        losses.total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def _make_truth(sizes: torch.Tensor, device: torch.device) -> GroundTruth:
    """Objects from a tenth to half of the image's sides, spread over it, each outlined by a diamond."""
    share = torch.linspace(0.1, 0.5, OBJECTS)
    corner = torch.stack([torch.linspace(0, 1, OBJECTS), torch.linspace(0, 1, OBJECTS).roll(3)], 1) * (1 - share)[:, None]
    boxes = torch.cat([corner, corner + share[:, None]], 1)[None] * sizes.flip(1).repeat(1, 2)[:, None]
    outlines = [[[_draw_diamond(box)] for box in image.tolist()] for image in boxes]
    labels = torch.zeros(boxes.shape[:2], dtype=torch.int64, device=device)
    crowd = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=device)
    return GroundTruth(boxes.to(device), labels, crowd, ~crowd, outlines)


def _draw_diamond(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    middle, centre = (left + right) / 2, (top + bottom) / 2
    return [middle, top, right, centre, middle, bottom, left, centre]
