"""A few steps of a network on the data's own images: how long they take, in which precision, and how many fit a GPU."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from maskzoo.config import ModelConfig
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.errors import ImageError
from maskzoo.images.read import read_image
from maskzoo.system.machine import inspect_processor
from maskzoo.training.trial_steps import TrainingSteps
from maskzoo.zoo.first_weights import make_first_weights

__all__ = ["can_bfloat16", "find_batch", "list_readable", "time_image"]

STEPS = 2  # that are timed, after one that is not
IMAGES = 8  # of the data set, on which a trial runs
LOOKED_AT = 64  # images that are tried, of which some may be damaged


def list_readable(annotations: AnnotationSet, folder: Path) -> list[str]:
    """Return the paths of some images that can be read. Raises ImageError, the last one, if none can."""
    found: list[str] = []
    reason = ImageError(f"{annotations.source}: has no image; expected one or more")
    for image in range(min(LOOKED_AT, len(annotations))):
        path = folder / annotations.file_name(image)
        try:
            read_image(path)
            found.append(str(path))
        except ImageError as error:
            reason = error
        if len(found) == IMAGES:
            break
    if not found:
        raise reason
    return found


def time_image(config: ModelConfig, images: list[str], batch: int, precision: str, device: torch.device) -> float:
    """Return the seconds of a training step for each image of it: the fastest of some steps."""
    steps = _start(config, images, batch, precision, device)
    steps.run()
    times = []
    for _ in range(STEPS):
        _wait(device)
        began = time.perf_counter()
        steps.run()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times) / batch


def can_bfloat16(device: torch.device) -> bool:
    """Say whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any("bfloat16" in name for name in inspect_processor().instructions)


def find_batch(config: ModelConfig, images: list[str], most: int, device: torch.device) -> int:
    """Return the largest power of two, at most `most`, of which a step fits the memory of a GPU; at least 1."""
    batch = 1 << (most.bit_length() - 1)
    while batch > 1:
        try:
            _start(config, images, batch, "float32", device).run()
            return batch
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            batch //= 2
    return 1


def _start(config: ModelConfig, images: list[str], batch: int, precision: str, device: torch.device) -> TrainingSteps:
    return TrainingSteps(make_first_weights(config, "none", seed=0).model, config, images, batch, precision, device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
