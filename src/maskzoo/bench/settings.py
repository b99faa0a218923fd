"""What is measured: the settings, and the photos and weights they all share."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maskzoo.config import ModelConfig
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.structures import ImageBatch
from maskzoo.system.machine import BackendFacts
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.first_weights import make_first_weights

__all__ = ["TRAINED", "Setting", "fix_size", "list_settings", "make_photo", "write_random_weights"]

TRAINED = ("float32", "bfloat16")
PROBE = 256  # pixels of the photo that random scores are spread on
SPREAD = 2.0  # of random class logits: some hundred candidates of 1,000 proposals pass a threshold of 0.05


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run the network: `backend` and `dtype` as `maskzoo.load` knows them, or "training" as the backend."""

    backend: str
    dtype: str
    threads: int
    batch: int

    @property
    def trains(self) -> bool:
        return self.backend == "training"

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.backend} {self.dtype}, {threads}" + (f", batch {self.batch}" if self.batch > 1 else "")


def list_settings(
    backends: Sequence[str], dtypes: Sequence[str], threads: Sequence[int], batch: int, present: Sequence[BackendFacts]
) -> tuple[list[Setting], list[BackendFacts]]:
    """Return the settings of the asked backends that are here, and those backends that are absent."""
    found = {backend.name: backend for backend in present}
    here = [name for name in backends if name not in found or found[name].version is not None]
    settings = [Setting(name, dtype, count, batch) for count, name, dtype in product(threads, here, dtypes)]
    return settings, [found[name] for name in backends if name not in here]


def fix_size(height: int, width: int) -> tuple[str, str]:
    """Return the overrides by which a photo of this size reaches the network as it is."""
    return f"input.short_side={min(height, width)}", f"input.long_side={max(height, width)}"


def make_photo(height: int, width: int) -> bytes:
    """Return a JPEG with structure at every size, as a photo has, the same at every call."""
    random = np.random.default_rng(0)
    canvas = np.zeros((height, width, 3), np.float32)
    for side in (4, 12, 40, 120, 400):  # a photo's spectrum falls with 1 / frequency
        grain = random.normal(0, 12, (max(2, height // side), max(2, width // side), 3)).astype(np.float32)
        canvas += _enlarge(grain, height, width)
    stream = io.BytesIO()
    Image.fromarray((canvas + 120).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write_random_weights(path: Path, config: ModelConfig) -> None:
    """Write a checkpoint of random weights whose scores differ enough that boxes are found and masks computed."""
    network = make_first_weights(config, "none", seed=0).model
    _spread_scores(network)
    write_checkpoint(path, network.state_dict(), config, {"source": "random weights of maskzoo bench"})


def _enlarge(grain: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    planes = [Image.fromarray(grain[..., channel]).resize((width, height), Image.Resampling.BICUBIC) for channel in range(3)]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=2)


@torch.inference_mode()
def _spread_scores(network: MaskRCNN) -> None:
    """Fresh class scores are all alike, so that nothing or everything passes the threshold: stretch them."""
    random = torch.Generator().manual_seed(0)
    batch = ImageBatch(torch.randn(1, 3, PROBE, PROBE, generator=random), torch.tensor([[PROBE, PROBE]]).float())
    features = network.eval().features(batch.pixels)
    boxes = network.propose(*network.score_anchors(features), batch.sizes, network.limits.proposals).boxes
    for place, stage in enumerate(network.heads.stages):
        scores, deltas = network.heads.boxes(network.heads.table(features), boxes, place)
        stage.box.score.weight.mul_(SPREAD / scores.std().clamp_min(1e-6))
        stage.box.delta.weight.mul_(0.5 / deltas.std().clamp_min(1e-6))  # boxes stay where their proposals are
