"""Objects painted into one picture of numbers, small ones over large ones, and what that hides."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.datasets.exporters.outlines import Pixels, find_pixels

__all__ = ["encode_numbers", "find_all_pixels", "paint_numbers"]


def find_all_pixels(
    objects: Sequence[LabelledObject], size: tuple[int, int], lost: Counter[str]
) -> list[tuple[LabelledObject, Pixels]]:
    """Return the objects that have pixels, crowds first and then the largest first; the others are counted."""
    found = [(one, pixels) for one in objects if (pixels := find_pixels(one, size)) is not None]
    lost["empty"] += len(objects) - len(found)
    return sorted(found, key=lambda pair: (not pair[0].crowd, -int(np.count_nonzero(pair[1].mask))))


def paint_numbers(
    layers: Sequence[tuple[int, Pixels]], size: tuple[int, int], lost: Counter[str], skip: Sequence[int] = ()
) -> NDArray[np.uint16]:
    """Paint the pixels of each number, later ones over earlier ones; pixels that go under are counted.

    Those of the numbers in `skip` are painted and not counted.
    """
    numbers = np.zeros(size, np.uint16)
    for number, (mask, left, top) in layers:
        numbers[top : top + mask.shape[0], left : left + mask.shape[1]][mask > 0] = number
    kept = np.bincount(numbers.ravel(), minlength=max((number for number, _ in layers), default=0) + 1)
    for number, pixels in layers:
        if number not in skip:
            lost["pixels"] += int(np.count_nonzero(pixels.mask) - kept[number])
            lost["hidden"] += not kept[number]
    return numbers


def encode_numbers(numbers: NDArray[np.uint16], palette: bytes | None = None) -> bytes:
    """Return a PNG of 16 bits of grey, or of 8 bits with a palette."""
    stream = io.BytesIO()
    if palette is None:
        picture = Image.fromarray(numbers)
    else:
        picture = Image.fromarray(numbers.astype(np.uint8))
        picture.putpalette(palette)
    picture.save(stream, "PNG")
    return stream.getvalue()
