"""From a decoded photo to the network's input size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ResizedImage", "resize_image", "resize_to", "target_size"]


@dataclass(frozen=True, slots=True)
class ResizedImage:
    """`pixels` uint8 RGB `[H W 3]` at the network's input size; `scale` (y, x): resized / original side, float32."""

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]


def target_size(height: int, width: int, short_side: int, long_side: int) -> tuple[int, int]:
    """Return the resized height and width: the short side reaches `short_side` unless the long one would pass `long_side`.

    Rounded half up, at least one pixel.
    """
    scale = min(short_side / min(height, width), long_side / max(height, width))
    return max(1, int(scale * height + 0.5)), max(1, int(scale * width + 0.5))


def resize_image(image: NDArray[np.uint8], short_side: int, long_side: int) -> ResizedImage:
    """Resize an RGB image `[H W 3]` as the published networks were trained: OpenCV's cubic kernel on uint8."""
    height, width = image.shape[:2]
    return resize_to(image, *target_size(height, width, short_side, long_side))


def resize_to(image: NDArray[np.uint8], new_height: int, new_width: int) -> ResizedImage:
    """Resize an RGB image `[H W 3]` to a size, as `resize_image` does."""
    height, width = image.shape[:2]
    scale_y, scale_x = new_height / height, new_width / width
    # Factors, not the size, are what the published pipeline hands to OpenCV; a side of one pixel could round to 0 there.
    if min(new_height, new_width) > 1:
        resized = cv2.resize(image, None, fx=scale_x, fy=scale_y, interpolation=cv2.INTER_CUBIC)
    else:
        resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_CUBIC)
    return ResizedImage(np.asarray(resized, dtype=np.uint8), (float(np.float32(scale_y)), float(np.float32(scale_x))))
