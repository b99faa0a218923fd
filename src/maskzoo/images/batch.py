"""The only way into the network: resized photos become one padded, normalised batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import Input
from maskzoo.images.resize import ResizedImage
from maskzoo.structures import ImageBatch

__all__ = ["batch_resized", "canvas_size", "make_batch"]


def canvas_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return height and width rounded up to a multiple."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def make_batch(
    images: Sequence[NDArray[np.uint8] | NDArray[np.float32]],
    settings: Input,
    extents: Sequence[tuple[float, float]] | None = None,
) -> ImageBatch:
    """Normalise RGB images `[H W 3]` onto one canvas, zeros at the right and below; pixels `[B 3 H W]` are channels-last.

    Their channels are in `settings.order`. Images are uint8, or float32 of 0 to 255.

    The canvas is the largest height and width of the batch, rounded up to `settings.canvas_multiple`. `extents`: the
    height and width where the boxes of each image end, for images that were resized; left out, they end with the pixels.
    """
    tallest, widest = max(image.shape[0] for image in images), max(image.shape[1] for image in images)
    height, width = canvas_size(tallest, widest, settings.canvas_multiple)
    canvas = np.zeros((len(images), height, width, 3), np.float32)
    levels = _normalise(np.arange(256, dtype=np.float32)[:, None, None].repeat(3, axis=2), settings)
    for slot, image in zip(canvas[..., ::-1] if settings.order == "bgr" else canvas, images, strict=True):
        whole = image.dtype == np.uint8  # a table is five times as quick as indexing
        slot[: image.shape[0], : image.shape[1]] = cv2.LUT(image, levels) if whole else _normalise(image, settings)
    sizes = torch.tensor(extents or [image.shape[:2] for image in images], dtype=torch.float32)
    return ImageBatch(torch.from_numpy(canvas).permute(0, 3, 1, 2), sizes)


def batch_resized(images: Sequence[ResizedImage], settings: Input) -> ImageBatch:
    """Normalise resized photos onto one canvas, as `make_batch` does; their boxes end with their extents."""
    return make_batch([image.pixels for image in images], settings, [image.extent for image in images])


def _normalise(grey: NDArray[Any], settings: Input) -> NDArray[np.float32]:
    """Return grey levels `[... 3]` of 0 to 255 normalised, float32.

    PaddleDetection's rounding: times float32(1/255), then mean and std each in double, rounded to float32. The others
    compute in float32, with mean and std in grey levels.
    """
    mean, std = np.array(settings.mean), np.array(settings.std)
    if settings.resize in ("one_factor", "rounded"):
        centred = (grey * np.float32(1 / 255) - mean).astype(np.float32)
    else:
        centred = grey - (255 * mean).astype(np.float32)
        std = (255 * std).astype(np.float32)
    return np.asarray(centred / std, dtype=np.float32)
