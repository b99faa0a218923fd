"""Pictures of masks as numbers: which pixel belongs to which object or class, and whether they can be masks at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.importers.class_lists import pack_colour
from maskzoo.datasets.mask_outlines import trace
from maskzoo.errors import ImageError
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.read import MAX_PIXELS, read_stored

__all__ = [
    "MASK_SUFFIXES",
    "VOID",
    "VOID_COLOUR",
    "MaskPicture",
    "NumberedObject",
    "find_soft_edges",
    "read_mask",
    "trace_objects",
]

Integers = NDArray[np.int64]
MASK_SUFFIXES = IMAGE_SUFFIXES | {".npy"}
VOID, VOID_COLOUR = 255, pack_colour(224, 224, 192)  # VOC's: a border, or an object too difficult to tell
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")  # files that change numbers
SMALLEST_SOFT = 40  # pixels in steps: fewer are no evidence
SOFT_PART = 0.3  # of the objects' edges lie in steps
FEW = 50  # pixels of a number


@dataclass(frozen=True, slots=True)
class MaskPicture:
    """A mask: `numbers` int64 `[H W]`, palette places, greys, or colours as one number each (`colours`), 0 for nothing.

    `palette` is the colour of each place, if it has one.
    """

    path: Path
    numbers: Integers
    colours: bool = False
    palette: Integers | None = None

    @property
    def void(self) -> int:
        """The number of VOC's void."""
        return VOID_COLOUR if self.colours else VOID

    def describe(self, number: int) -> str:
        """Return a number as a user knows it."""
        return f"{number >> 16}, {number >> 8 & 255}, {number & 255}" if self.colours else str(number)

    def to_colours(self) -> MaskPicture:
        """Return the same mask in colours."""
        if self.colours:
            return self
        if self.palette is not None:
            return MaskPicture(self.path, self.palette[self.numbers], True)
        return MaskPicture(self.path, np.minimum(self.numbers, 255) * pack_colour(1, 1, 1), True)


class NumberedObject(NamedTuple):
    """The pixels of one number: its outlines, and `pixels` int64, their places in the flattened picture."""

    number: int
    polygons: list[NDArray[np.float64]]
    pixels: Integers


def read_mask(path: Path, size: tuple[int, int] | None, threshold: int | None = None) -> MaskPicture:
    """Read a mask as stored: palette places, grey of 8, 16 or 32 bits, colours, or a NumPy file's whole numbers.

    Colours that are greys are their grey. Transparent pixels are nothing; where all is black, the others are the object.
    With a `threshold` the mask is 1 where the grey, or the mean of the colour, is above it.

    Raises ImageError if it cannot be read so, or is not of height, width `size`, if that is given.
    """
    mask = MaskPicture(path, _read_npy(path)) if path.suffix.lower() == ".npy" else _from_picture(path, read_stored(path))
    if size is not None and mask.numbers.shape != size:
        height, width = mask.numbers.shape
        raise ImageError(f"{path}: {width} x {height} pixels; expected its picture's {size[1]} x {size[0]}")
    if threshold is None:
        return mask
    grey = sum(mask.numbers >> shift & 255 for shift in (0, 8, 16)) / 3 if mask.colours else mask.numbers
    return MaskPicture(path, np.asarray(grey > threshold, np.int64))


def _read_npy(path: Path) -> Integers:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # takes no pickles, and no archives of arrays
        if array.ndim != 2 or array.dtype.kind not in "biu" or array.size > MAX_PIXELS:
            raise ImageError(f"{path}: found {array.dtype} of the shape {array.shape}; expected whole numbers, height x width")
        numbers: Integers = array.astype(np.int64)
        return np.maximum(numbers, 0)  # labelme's -1 is to be ignored
    except ImageError:
        raise
    except Exception as error:  # on a damaged header NumPy raises whatever its code runs into
        raise ImageError(f"{path}: cannot be read as a NumPy array: {error}; write it again with numpy.save") from error


def _from_picture(path: Path, image: Image.Image) -> MaskPicture:
    if image.mode == "P":
        colours = np.array(image.getpalette("RGB"), np.int64).reshape(-1, 3)
        palette = np.zeros(256, np.int64)
        palette[: len(colours)] = colours @ [pack_colour(1, 0, 0), pack_colour(0, 1, 0), 1]
        return MaskPicture(path, np.asarray(image).astype(np.int64), palette=palette)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return MaskPicture(path, _check_whole(path, np.asarray(image)))
    if image.mode not in ("RGB", "RGBX", "RGBA", "LA", "PA", "YCbCr"):
        raise ImageError(f"{path}: pixels of the mode {image.mode}; expected numbers of objects, or a colour for each")
    pixels = np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA") else "RGB")).astype(np.int64)
    red, green, blue = pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2]
    grey = bool((red == green).all() and (green == blue).all())
    numbers = red if grey else pack_colour(1, 0, 0) * red + pack_colour(0, 1, 0) * green + blue
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3]
        shaped = not numbers.any() and alpha.min() < alpha.max()  # all black: the object is what is not transparent
        numbers = alpha if shaped else np.where(alpha > 0, numbers, 0)
    return MaskPicture(path, numbers, not grey)


def _check_whole(path: Path, array: NDArray[Any]) -> Integers:
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        raise ImageError(f"{path}: has numbers that are not whole; expected the number of an object, or 0, at each pixel")
    if array.size and array.min() < 0:
        raise ImageError(f"{path}: has numbers below 0, {array.min():g}; expected the number of an object, or 0, at each pixel")
    return array.astype(np.int64)


def find_soft_edges(mask: MaskPicture, ignored: Sequence[int] = ()) -> str | None:
    """Return the evidence that a mask was smoothed, resized or saved as JPEG, so that its numbers are no objects; or None.

    In such a mask most of the edges are thin steps from one number to the next; objects touch each other in few places. In a
    JPEG file one number may stand, no more.
    """
    numbers = np.pad(np.where(np.isin(mask.numbers, ignored), 0, mask.numbers) if ignored else mask.numbers, 1)
    square = (
        (numbers[1:, 1:] == numbers[:-1, 1:]) & (numbers[1:, 1:] == numbers[1:, :-1]) & (numbers[1:, 1:] == numbers[:-1, :-1])
    )
    thick = square[:-1, :-1] | square[:-1, 1:] | square[1:, :-1] | square[1:, 1:]  # in a square of four of one number
    here = numbers[1:-1, 1:-1]
    around = (numbers[:-2, 1:-1], numbers[2:, 1:-1], numbers[1:-1, :-2], numbers[1:-1, 2:])
    edge = np.logical_or.reduce([other == 0 for other in around]) & (here > 0)
    step = ~thick & (here > 0) & np.logical_or.reduce([(other > 0) & (other != here) for other in around])
    part = int(np.count_nonzero(step & edge)) / max(1, int(np.count_nonzero(edge)))
    counts = np.unique(here[here > 0], return_counts=True)[1]
    lossy = mask.path.suffix.lower() in LOSSY and len(counts) > 1
    if not lossy and (np.count_nonzero(step) < SMALLEST_SOFT or part < SOFT_PART):
        return None
    kind = "colours" if mask.colours else "numbers"
    found = "most on a few pixels" if np.median(counts) <= FEW else f"in thin steps along {part:.0%} of the edges"
    looks = "looks like a mask with soft edges (smoothed, resized or saved as JPEG)"
    return f"has {len(counts) + 1} different {kind}, {found}: {looks}"


def trace_objects(numbers: NDArray[Any], ignored: Sequence[int] = ()) -> Iterator[NumberedObject]:
    """Give the object of each number in `[H W]` but 0 and the `ignored`, in rising order."""
    flat = numbers.ravel()
    order = np.argsort(flat, kind="stable")
    found, first = np.unique(flat[order], return_index=True)
    for number, pixels in zip(found.tolist(), np.split(order, first[1:]), strict=True):
        if number == 0 or number in ignored:
            continue
        y, x = np.divmod(pixels, numbers.shape[1])
        top, left = int(y.min()), int(x.min())
        crop = np.zeros((int(y.max()) + 1 - top, int(x.max()) + 1 - left), np.uint8)
        crop[y - top, x - left] = 1
        polygons = [polygon + np.tile([left, top], len(polygon) // 2) for polygon in trace(crop)]
        yield NumberedObject(number, polygons, pixels)
