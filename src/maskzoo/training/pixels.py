"""What augmentation does to pixels alone: RGB uint8 `[H W 3]` in and out, objects stay where they are.

OpenCV does the work, which is a dependency already: a table of 256 entries, a matrix of colours, a blur, JPEG.
"""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "add_noise",
    "blur",
    "change_brightness",
    "change_contrast",
    "change_gamma",
    "change_saturation",
    "compress",
    "turn_hue",
]

Pixels = NDArray[np.uint8]
# Of the filter effects of SVG and CSS (W3C, feColorMatrix): how bright red, green and blue are, and the sine's part of
# turning the hue.
LUMA = np.array([0.213, 0.715, 0.072])
HUE_SINE = np.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])
LEVELS = np.arange(256, dtype=np.float64)
# The normal distribution in as many steps as a byte has, all as likely: a fifth of the time of its own generator.
NORMAL = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)])


def change_brightness(pixels: Pixels, factor: float) -> Pixels:
    """Multiply grey levels."""
    return _look_up(pixels, LEVELS * factor)


def change_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Multiply the distance of grey levels from the mean brightness."""
    mean = float(LUMA @ cv2.mean(pixels)[:3])
    return _look_up(pixels, mean + (LEVELS - mean) * factor)


def change_gamma(pixels: Pixels, exponent: float) -> Pixels:
    """Raise grey levels, as numbers of 0 to 1, to a power."""
    return _look_up(pixels, 255 * (LEVELS / 255) ** exponent)


def change_saturation(pixels: Pixels, factor: float) -> Pixels:
    """Multiply the distance of colours from the grey of the same brightness."""
    return _mix(pixels, factor * np.eye(3) + (1 - factor) * np.tile(LUMA, (3, 1)))


def turn_hue(pixels: Pixels, degrees: float) -> Pixels:
    """Turn colours around the axis of greys; brightness stays."""
    angle, grey = np.radians(degrees), np.tile(LUMA, (3, 1))
    return _mix(pixels, grey + np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * HUE_SINE)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Blur by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)


def add_noise(pixels: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    """Add normal noise of so many grey levels to each pixel and channel."""
    drawn = np.frombuffer(random.bytes(pixels.size), dtype=np.uint8).reshape(pixels.shape)
    noise = cv2.LUT(drawn, (deviation * NORMAL).astype(np.float32))
    return np.asarray(cv2.add(pixels, noise, dtype=cv2.CV_8U), dtype=np.uint8)  # rounds, and stops at 0 and 255


def compress(pixels: Pixels, quality: int) -> Pixels:
    """Write as a JPEG of a quality (1 to 100), and read that."""
    _, file = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _look_up(pixels: Pixels, table: NDArray[np.float64]) -> Pixels:
    return np.asarray(cv2.LUT(pixels, np.rint(np.clip(table, 0, 255)).astype(np.uint8)), dtype=np.uint8)


def _mix(pixels: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    """Multiply each colour by a matrix `[3 3]`."""
    return np.asarray(cv2.transform(pixels, matrix), dtype=np.uint8)
