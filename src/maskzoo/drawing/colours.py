"""Colours that are told apart: one for each object, the same in every run."""

from __future__ import annotations

import math

__all__ = ["Color", "choose_ink", "pick_color"]

Color = tuple[int, int, int]
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
TONES = ((0.70, 0.19), (0.82, 0.16), (0.62, 0.22))  # OKLCH lightness and chroma: neighbours differ in both
YELLOW = math.radians(90)  # dark yellow and orange are olive and brown: these hues are kept light


def pick_color(index: int) -> Color:
    """Return a colour for object `index`: hues a golden angle apart, so that any few in a row are far apart."""
    lightness, chroma = TONES[index % len(TONES)]
    hue = 0.45 + index * GOLDEN_ANGLE
    lightness += (0.85 - lightness) * max(0.0, math.cos(hue - YELLOW)) ** 2
    while True:
        color = _to_srgb(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if all(-1e-4 <= part <= 1.0001 for part in color) or chroma < 0.01:
            break
        chroma -= 0.005  # not every screen colour exists at every hue
    red, green, blue = (round(255 * min(max(part, 0.0), 1.0)) for part in color)
    return red, green, blue


def _to_srgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """OKLab to sRGB, 0 to 1; the constants are those of Ottosson, "A perceptual color space for image processing"."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    red, green, blue = (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055 for x in linear)
    return red, green, blue


def choose_ink(color: Color) -> Color:
    """Return black or white, whichever reads better on the colour (WCAG's relative luminance)."""
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)
