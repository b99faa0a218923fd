"""Annotated images put together, or partly covered: pasted objects, holes, mosaics.

Nothing here draws: whoever calls decides what goes where. None of it is part of the published recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.training.augment import SMALLEST_SHARE, AnnotatedImage, Outline, crop, find_box, stretch

__all__ = ["cut_out", "mosaic", "paste"]

Window = tuple[slice, slice]  # rows, columns


def paste(image: AnnotatedImage, source: AnnotatedImage) -> AnnotatedImage:
    """Copy all objects of `source` onto an image of the same size, over its own objects.

    Those that are partly covered get the outline and box of what is left; with less than 5 % left they are dropped.
    The pasted ones come last.
    """
    covered = np.zeros(image.size, np.bool_)
    for outline in source.outlines:
        window, mask = _rasterize(outline, image.size)
        covered[window] |= mask
    below = _cover(image, covered)
    pixels = image.pixels.copy()
    pixels[covered] = source.pixels[covered]
    return replace(
        image,
        pixels=pixels,
        boxes=np.concatenate([below.boxes, source.boxes]),
        labels=np.concatenate([below.labels, source.labels]),
        outlines=[*below.outlines, *source.outlines],
        lost=below.lost + source.lost,
    )


def cut_out(image: AnnotatedImage, holes: Sequence[Window], colour: Sequence[int]) -> AnnotatedImage:
    """Fill some windows of the image with a colour. Objects below them are treated as by `paste`."""
    covered = np.zeros(image.size, np.bool_)
    for window in holes:
        covered[window] = True
    pixels = image.pixels.copy()
    pixels[covered] = colour
    return replace(_cover(image, covered), pixels=pixels)


def mosaic(
    images: Sequence[AnnotatedImage], size: tuple[int, int], centre: tuple[int, int], offsets: Sequence[tuple[float, float]]
) -> AnnotatedImage:
    """Join four images in a picture of `size`; they meet at `centre`, y and x inside it.

    Each just covers its part: upper left, upper right, lower left, lower right. Its offset, y and x in 0 <= share < 1, says
    what of it is seen. Objects become those of `crop`.
    """
    (height, width), (middle, across) = size, centre
    corners = [(top, left) for top in (0, middle) for left in (0, across)]
    sizes = [(high, wide) for high in (middle, height - middle) for wide in (across, width - across)]
    pixels = np.empty((height, width, 3), np.uint8)
    parts = []
    for image, (top, left), part, offset in zip(images, corners, sizes, offsets, strict=True):
        seen = _fill(image, part, offset)
        pixels[top : top + part[0], left : left + part[1]] = seen.pixels
        outlines = [_shift(outline, (left, top)) for outline in seen.outlines]
        parts.append(replace(seen, boxes=seen.boxes + np.array([left, top] * 2, np.float32), outlines=outlines))
    return AnnotatedImage(
        pixels,
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.labels for part in parts]),
        [outline for part in parts for outline in part.outlines],
        lost=sum(part.lost for part in parts),
    )


def _fill(image: AnnotatedImage, size: tuple[int, int], offset: tuple[float, float]) -> AnnotatedImage:
    """Cut the largest window of the shape of `size` out of an image, and resize it to that."""
    scale = max(new / old for new, old in zip(size, image.size, strict=True))
    window = [min(old, max(1, round(new / scale))) for new, old in zip(size, image.size, strict=True)]
    top, left = (int(share * (old - new + 1)) for share, old, new in zip(offset, image.size, window, strict=True))
    return stretch(crop(image, top, left, (window[0], window[1])), size)


def _shift(outline: Outline, corner: tuple[int, int]) -> Outline:
    return [(polygon.reshape(-1, 2) + corner).ravel() for polygon in outline]


def _cover(image: AnnotatedImage, covered: NDArray[np.bool_]) -> AnnotatedImage:
    """Take what is covered, bool `[H W]`, from the objects of an image; its pixels stay."""
    boxes, outlines, kept = image.boxes.copy(), list(image.outlines), []
    for place, outline in enumerate(image.outlines):
        window, mask = _rasterize(outline, image.size)
        left = mask & ~covered[window]
        area, before = int(left.sum()), int(mask.sum())
        if area < before:
            if area < max(1, SMALLEST_SHARE * before):
                continue
            outlines[place] = _shift(trace(left), (window[1].start, window[0].start))
            boxes[place] = find_box(outlines[place])
        kept.append(place)
    lost = image.lost + len(outlines) - len(kept)
    return replace(image, boxes=boxes, outlines=outlines, lost=lost).take(kept)


def _rasterize(outline: Outline, size: tuple[int, int]) -> tuple[Window, NDArray[np.bool_]]:
    """Return the mask of an outline by COCO's rule inside the window of its box, and the window."""
    height, width = size
    x1, y1, x2, y2 = find_box(outline).tolist()
    top, left = min(max(int(y1), 0), height - 1), min(max(int(x1), 0), width - 1)
    bottom, right = max(top + 1, min(int(np.ceil(y2)), height)), max(left + 1, min(int(np.ceil(x2)), width))
    mask = rasterize_polygons(outline, (bottom - top, right - left), origin=(left, top))
    return (slice(top, bottom), slice(left, right)), mask.astype(np.bool_)
