"""A list of augmentations followed for one image: whether each happens, and how strongly, is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maskzoo.augmentations import Augmentation, Blur, ByDegrees, ByFactor, CutOut, Jpeg, Noise, Shear, WithoutStrength
from maskzoo.training.augment import AnnotatedImage, flip, turn, turn_around_centre, warp
from maskzoo.training.composites import Window, cut_out, mosaic
from maskzoo.training.pixels import (
    add_noise,
    blur,
    change_brightness,
    change_contrast,
    change_gamma,
    change_saturation,
    compress,
    turn_hue,
)

__all__ = ["augment"]

Colour = Sequence[int]
BY_FACTOR = {
    "brightness": change_brightness,
    "contrast": change_contrast,
    "saturation": change_saturation,
    "gamma": change_gamma,
}
MOSAIC_MARGIN = 0.25  # of a side: no part of a mosaic is narrower


def augment(
    image: AnnotatedImage,
    augmentations: Sequence[Augmentation],
    random: np.random.Generator,
    read_other: Callable[[], AnnotatedImage],
    colour: Colour,
) -> AnnotatedImage:
    """Follow a list of augmentations. `read_other` gives another image for a mosaic, `colour` fills what becomes bare."""
    for augmentation in augmentations:
        if random.random() < augmentation.probability:
            image = _apply(image, augmentation, random, read_other, colour)
    return image


def _apply(
    image: AnnotatedImage,
    augmentation: Augmentation,
    random: np.random.Generator,
    read_other: Callable[[], AnnotatedImage],
    colour: Colour,
) -> AnnotatedImage:
    match augmentation:
        case WithoutStrength(kind="vertical_flip"):
            return flip(image, vertically=True)
        case WithoutStrength(kind="quarter_turn"):
            return turn(image, int(random.integers(1, 4)))
        case WithoutStrength():
            return _join(image, random, read_other)
        case ByDegrees(kind="rotate"):
            angle = np.radians(random.uniform(*augmentation.degrees))
            linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            return warp(image, turn_around_centre(linear, image.size), colour)
        case Shear():
            across, down = np.tan(np.radians(random.uniform(*augmentation.degrees, size=2))).tolist()
            return warp(image, turn_around_centre(np.array([[1, across], [down, 1]]), image.size), colour)
        case CutOut():
            return cut_out(image, _draw_holes(image.size, augmentation, random), colour)
        case _:
            return image.with_pixels(_change_pixels(image.pixels, augmentation, random))


def _change_pixels(
    pixels: NDArray[np.uint8], augmentation: ByDegrees | ByFactor | Blur | Noise | Jpeg, random: np.random.Generator
) -> NDArray[np.uint8]:
    match augmentation:
        case ByDegrees():
            return turn_hue(pixels, random.uniform(*augmentation.degrees))
        case ByFactor():
            return BY_FACTOR[augmentation.kind](pixels, random.uniform(*augmentation.factor))
        case Blur():
            return blur(pixels, random.uniform(*augmentation.sigma))
        case Noise():
            return add_noise(pixels, random.uniform(*augmentation.deviation), random)
        case Jpeg():
            return compress(pixels, int(random.integers(*augmentation.quality, endpoint=True)))


def _draw_holes(size: tuple[int, int], augmentation: CutOut, random: np.random.Generator) -> list[Window]:
    """Return the windows of a drawn number of rectangles that lie anywhere inside, one of a pixel at least."""
    holes = []
    for _ in range(int(random.integers(*augmentation.holes, endpoint=True))):
        sides = [max(1, round(share * min(size))) for share in random.uniform(*augmentation.side, size=2).tolist()]
        top, left = (int(random.integers(limit - side, endpoint=True)) for limit, side in zip(size, sides, strict=True))
        holes.append((slice(top, top + sides[0]), slice(left, left + sides[1])))
    return holes


def _join(image: AnnotatedImage, random: np.random.Generator, read_other: Callable[[], AnnotatedImage]) -> AnnotatedImage:
    """Make a mosaic of the image, at a drawn place, and three others. One that is too small for four parts stays as it is."""
    if min(image.size) < 2:
        return image
    centre = tuple(int(random.uniform(MOSAIC_MARGIN, 1 - MOSAIC_MARGIN) * (side - 1)) + 1 for side in image.size)
    images = [image, read_other(), read_other(), read_other()]
    order = random.permutation(len(images)).tolist()
    offsets = [(float(y), float(x)) for y, x in random.random((len(images), 2))]
    return mosaic([images[place] for place in order], image.size, (centre[0], centre[1]), offsets)
