"""From a decoded photo to the network's input size: the one place that knows the rules of resizing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.config import Input, ResizeRule

__all__ = ["ResizedImage", "find_factors", "resize_by", "resize_image", "resize_photo"]


@dataclass(frozen=True, slots=True)
class ResizedImage:
    """`pixels` RGB `[H W 3]` at the network's input size; `scale` (y, x): resized / original side, float32.

    Pixels are uint8; by the rule `float` they are float32 of 0 to 255, not rounded to whole grey levels.
    `extent`: where boxes end, the photo's height and width times the scale, float32: a fraction of the last pixel may be
    missing, or be beyond it.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    scale: tuple[float, float]
    extent: tuple[float, float]


def find_factors(height: int, width: int, short_side: int, long_side: int, rule: ResizeRule) -> tuple[float, float]:
    """Return by how much a photo grows, down and across: its short side reaches `short_side`, or its long one `long_side`.

    `one_factor`: both axes grow by the same. PaddleDetection did so until 2.6.0, and its published weights are from then.
    `rounded`: sides are rounded half up to whole pixels first, and each axis has the factor that follows, as from 2.6.1 on;
    so it is by the rules `opencv`, which is mmdetection's, and `pillow`, detectron2's, where the short side comes first. By
    `float`, torchvision's, sides are rounded down. A side that would vanish becomes one pixel.
    """
    factor = min(short_side / min(height, width), long_side / max(height, width))
    if rule == "one_factor":
        return factor if round(factor * height) else 1 / height, factor if round(factor * width) else 1 / width
    sides, half = (factor * height, factor * width), 0.0 if rule == "float" else 0.5
    if rule == "pillow":  # in two steps, whose rounding in double precision decides where a side is half a pixel
        factor = short_side / min(height, width)
        sides = (short_side, factor * width) if height < width else (factor * height, short_side)
        if max(sides) > long_side:
            factor = long_side / max(sides)
            sides = sides[0] * factor, sides[1] * factor
    return max(1, int(sides[0] + half)) / height, max(1, int(sides[1] + half)) / width


def resize_image(image: NDArray[np.uint8], short_side: int, long_side: int, rule: ResizeRule) -> ResizedImage:
    """Resize an RGB image `[H W 3]` by the factors of a rule, with its kernel."""
    height, width = image.shape[:2]
    return resize_by(image, *find_factors(height, width, short_side, long_side, rule), rule)


def resize_photo(photo: NDArray[np.uint8], settings: Input) -> ResizedImage:
    """Resize an RGB photo `[H W 3]` to the network's input."""
    return resize_image(photo, settings.short_side, settings.long_side, settings.resize)


def resize_by(image: NDArray[np.uint8], down: float, across: float, rule: ResizeRule = "rounded") -> ResizedImage:
    """Resize an RGB image `[H W 3]` by two factors, with the kernel of a rule. Pixels are the nearest whole number, or even.

    PaddleDetection's is OpenCV's cubic one on uint8. Linear ones: `pillow`, which takes the mean of pixels where it shrinks,
    `opencv` on uint8, and `float` on numbers that stay unrounded.
    """
    height, width = image.shape[:2]
    size = max(1, round(across * width)), max(1, round(down * height))
    resized: NDArray[np.uint8] | NDArray[np.float32]
    if rule == "pillow":
        resized = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    elif rule == "opencv":
        resized = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    elif rule == "float":
        resized = _interpolate(image, size[::-1])
    else:  # factors, not a size, which would stretch each axis to whole pixels
        resized = np.asarray(cv2.resize(image, None, fx=across, fy=down, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return ResizedImage(resized, _to_single(down, across), _to_single(down * height, across * width))


def _interpolate(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize to a `size` (height, width) as torch does: OpenCV's linear kernel on floats is off by 1/200 of a grey level."""
    import torch  # at its first use: it takes seconds, and other rules need none of it

    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    whole: NDArray[np.float32] = resized[0].permute(1, 2, 0).numpy()
    return whole


def _to_single(down: float, across: float) -> tuple[float, float]:
    return float(np.float32(down)), float(np.float32(across))
