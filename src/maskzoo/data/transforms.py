"""From a decoded photo to the network's input size: the one place that knows the rules of resizing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskzoo.config import Input, ResizeRule

__all__ = ["ResizedImage", "find_factors", "resize_by", "resize_image", "resize_photo"]


@dataclass(frozen=True, slots=True)
class ResizedImage:
    """`pixels` uint8 RGB `[H W 3]` at the network's input size; `scale` (y, x): resized / original side, float32.

    `extent`: where boxes end, the photo's height and width times the scale, float32: a fraction of the last pixel may be
    missing, or be beyond it.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]
    extent: tuple[float, float]


def find_factors(height: int, width: int, short_side: int, long_side: int, rule: ResizeRule) -> tuple[float, float]:
    """Return by how much a photo grows, down and across: its short side reaches `short_side`, or its long one `long_side`.

    `one_factor`: both axes grow by the same. PaddleDetection did so until 2.6.0, and its published weights are from then.
    `rounded`: sides are rounded half up to whole pixels first, and each axis has the factor that follows, as from 2.6.1 on.
    A side that would vanish becomes one pixel.
    """
    factor = min(short_side / min(height, width), long_side / max(height, width))
    if rule == "rounded":
        return max(1, int(factor * height + 0.5)) / height, max(1, int(factor * width + 0.5)) / width
    return factor if round(factor * height) else 1 / height, factor if round(factor * width) else 1 / width


def resize_image(image: NDArray[np.uint8], short_side: int, long_side: int, rule: ResizeRule) -> ResizedImage:
    """Resize an RGB image `[H W 3]` by the factors of a rule."""
    height, width = image.shape[:2]
    return resize_by(image, *find_factors(height, width, short_side, long_side, rule))


def resize_photo(photo: NDArray[np.uint8], settings: Input) -> ResizedImage:
    """Resize an RGB photo `[H W 3]` to the network's input."""
    return resize_image(photo, settings.short_side, settings.long_side, settings.resize)


def resize_by(image: NDArray[np.uint8], down: float, across: float) -> ResizedImage:
    """Resize an RGB image `[H W 3]` by two factors, as the published networks were trained: OpenCV's cubic kernel on uint8.

    The number of pixels is the nearest whole one, of two the even one.
    """
    # Factors, not a size, which would stretch each axis to whole pixels.
    resized = np.asarray(cv2.resize(image, None, fx=across, fy=down, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    height, width = image.shape[:2]
    return ResizedImage(resized, _to_single(down, across), _to_single(down * height, across * width))


def _to_single(down: float, across: float) -> tuple[float, float]:
    return float(np.float32(down)), float(np.float32(across))
