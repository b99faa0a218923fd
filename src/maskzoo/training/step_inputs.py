"""What a step computes on: its way to the device, and into a file where nothing finite came of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from maskzoo.errors import TrainingError
from maskzoo.ops.transfer import send
from maskzoo.structures import GroundTruth, ImageBatch, Losses
from maskzoo.system.files import write_file
from maskzoo.training.loader import TrainingBatch

__all__ = ["TERMS", "move", "write_inputs"]

TERMS = tuple(field.name for field in dataclasses.fields(Losses))


def move(batch: TrainingBatch, device: torch.device) -> tuple[ImageBatch, GroundTruth]:
    """Bring a batch to the device; outlines stay."""
    images, truth = batch.images, batch.truth
    boxes, labels, crowd, valid = (send(each, device) for each in (truth.boxes, truth.labels, truth.crowd, truth.valid))
    moved = GroundTruth(boxes, labels, crowd, valid, truth.outlines)
    return ImageBatch(send(images.pixels, device), send(images.sizes, device)), moved


def write_inputs(path: Path, batch: TrainingBatch, losses: Mapping[str, float]) -> None:
    """Write the inputs of a batch whose `losses` or (then without any) gradients are not finite, for a look at them.

    Raises TrainingError if they cannot be written.
    """
    tensors = {
        "pixels": batch.images.pixels.contiguous(),
        "sizes": batch.images.sizes,
        **{name: getattr(batch.truth, name) for name in ("boxes", "labels", "valid")},
    }
    terms = {name: str(loss) for name, loss in losses.items()}
    metadata = {"image_ids": json.dumps(batch.image_ids), "seeds": json.dumps(batch.seeds), "losses": json.dumps(terms)}
    write_file(path, save(tensors, metadata), TrainingError)
