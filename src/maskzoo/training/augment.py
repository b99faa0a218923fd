"""An annotated image and what training does to it: resize, flip, large-scale jitter, pasted objects.

Nothing here draws: whoever calls decides by how much. Resizing and flipping round as the published loader does; the
rest is not part of the published recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from maskzoo.config import ResizeRule
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.images.resize import ResizedImage, resize_by, resize_image

__all__ = ["AnnotatedImage", "clip_polygon", "crop", "flip", "jitter", "paste", "resize"]

Polygon = NDArray[np.float64]
Outline = Sequence[Polygon]
Window = tuple[slice, slice]  # rows, columns
SMALLEST_SIDE = 1.0  # pixels of a box: what is smaller after a cut has no pixel of its own to learn from
SMALLEST_SHARE = 0.05  # of an object's area: of a person that is less than a hand, whose class nothing tells any more


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """RGB `pixels` uint8 `[H W 3]` and its G objects: `boxes` float32 `[G 4]`, `labels` int64 `[G]`, `outlines`.

    Boxes are x1 y1 x2 y2, an outline is one or more polygons, flat x y x y ..., float64: all in these pixels. `extent`:
    the height and width where boxes end, as in `ResizedImage`; None where the pixels do.
    """

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    outlines: Sequence[Outline]
    extent: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def take(self, objects: Sequence[int]) -> AnnotatedImage:
        """Return the image with some of its objects, in that order."""
        rows = np.asarray(objects, dtype=np.int64)
        return replace(
            self, boxes=self.boxes[rows], labels=self.labels[rows], outlines=[self.outlines[row] for row in rows.tolist()]
        )


def resize(image: AnnotatedImage, short_side: int, long_side: int, rule: ResizeRule) -> AnnotatedImage:
    """Resize to the targets of the network's input. Boxes are clipped to the extent, outlines are not, as published."""
    return _follow(image, resize_image(image.pixels, short_side, long_side, rule))


def _follow(image: AnnotatedImage, resized: ResizedImage) -> AnnotatedImage:
    """Bring the objects to the resized pixels; products are float32 ones, as published."""
    scale = np.array(resized.scale[::-1], dtype=np.float32)
    limits = np.array(resized.extent[::-1] * 2, dtype=np.float32)
    boxes = np.clip(image.boxes * np.tile(scale, 2), np.float32(0), limits)
    outlines = [
        [(polygon.astype(np.float32).reshape(-1, 2) * scale).ravel().astype(np.float64) for polygon in outline]
        for outline in image.outlines
    ]
    pixels = resized.pixels
    if pixels.dtype != np.uint8:  # training flips, cuts and pastes whole grey levels
        pixels = np.rint(pixels)
    return AnnotatedImage(pixels.astype(np.uint8, copy=False), boxes, image.labels, outlines, resized.extent)


def flip(image: AnnotatedImage) -> AnnotatedImage:
    """Mirror left and right: x becomes width - x, with the width in whole pixels. A polygon's points keep their order."""
    width = image.pixels.shape[1]
    boxes = image.boxes.copy()
    boxes[:, 0], boxes[:, 2] = width - image.boxes[:, 2], width - image.boxes[:, 0]
    outlines = [[_mirror(polygon, width) for polygon in outline] for outline in image.outlines]
    pixels = np.asarray(cv2.flip(image.pixels, 1), dtype=np.uint8)
    return replace(image, pixels=pixels, boxes=boxes, outlines=outlines)


def _mirror(polygon: Polygon, width: int) -> Polygon:
    mirrored = polygon.copy()
    mirrored[0::2] = width - polygon[0::2]
    return mirrored


def jitter(
    image: AnnotatedImage,
    canvas: tuple[int, int],
    factor: float,
    offset: tuple[float, float],
    colour: Sequence[int] = (0, 0, 0),
) -> AnnotatedImage:
    """Resize by `factor` relative to what fits into `canvas` (height, width), then crop or fill up to exactly that.

    `offset`, y and x in 0 <= share < 1, says which part of an image that is larger stays; a smaller one stands at the
    top left, `colour` fills the rest. Objects become those of `crop`.
    """
    height, width = image.size
    scale = factor * min(canvas[0] / height, canvas[1] / width)
    size = max(1, int(scale * height + 0.5)), max(1, int(scale * width + 0.5))
    top, left = (int(share * (max(0, new - limit) + 1)) for share, new, limit in zip(offset, size, canvas, strict=True))
    resized = resize_by(image.pixels, size[0] / height, size[1] / width)
    return crop(_follow(image, resized), top, left, canvas, colour)


def crop(
    image: AnnotatedImage, top: int, left: int, size: tuple[int, int], colour: Sequence[int] = (0, 0, 0)
) -> AnnotatedImage:
    """Cut out `size` (height, width) pixels from `top`, `left` on; what is not in the image gets `colour`.

    Outlines are cut to the pixels that are left, and an object that lost something gets its outline's box. Objects with
    a side below a pixel, or with less than 5 % of their area left, are dropped.
    """
    part = image.pixels[top : top + size[0], left : left + size[1]]
    height, width = part.shape[:2]
    pixels = cv2.copyMakeBorder(part, 0, size[0] - height, 0, size[1] - width, cv2.BORDER_CONSTANT, value=list(colour))
    boxes = image.boxes - np.array([left, top] * 2, dtype=np.float32)
    boxes = np.clip(boxes, np.float32(0), np.array([width, height] * 2, dtype=np.float32))
    outlines: list[Outline] = []
    kept = []
    for place, outline in enumerate(image.outlines):
        moved = [(polygon.reshape(-1, 2) - (left, top)).ravel() for polygon in outline]
        cut = [piece for polygon in moved if len(piece := clip_polygon(polygon, width, height))]
        outlines.append(cut)
        if any(new is not old for new, old in zip(cut, moved, strict=False)) or len(cut) < len(moved):
            if not cut or polygon_area(cut) < SMALLEST_SHARE * polygon_area(moved):
                continue
            boxes[place] = find_box(cut)
        if (boxes[place, 2:] - boxes[place, :2]).min() >= SMALLEST_SIDE:
            kept.append(place)
    return AnnotatedImage(np.asarray(pixels, dtype=np.uint8), boxes, image.labels, outlines).take(kept)


def clip_polygon(polygon: Polygon, width: float, height: float) -> Polygon:
    """Return the part of a polygon within 0..width, 0..height; the polygon itself if all of it is, empty if none.

    Sutherland and Hodgman's way, one side after the other. Parts that fall apart stay joined along the side, where the
    joint encloses nothing.
    """
    points = polygon.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    if (low >= 0).all() and (high <= (width, height)).all():
        return polygon
    for axis, limit in ((0, width), (1, height)):
        points = _clip_side(points, axis, 0, 1)
        points = _clip_side(points, axis, limit, -1)
    return points.ravel() if _area(points) > 0 else np.empty(0)


def _clip_side(points: Polygon, axis: int, limit: float, sign: int) -> Polygon:
    """Keep what lies above `limit` along an axis (`sign` 1) or below it (-1)."""
    inside = sign * points[:, axis] >= sign * limit
    crossing = inside != np.roll(inside, -1)
    begin, end = points[crossing], np.roll(points, -1, axis=0)[crossing]
    share = (limit - begin[:, axis]) / (end[:, axis] - begin[:, axis])
    both = np.stack([points, points], axis=1)  # each point, then where its edge crosses
    both[crossing, 1] = begin + share[:, None] * (end - begin)
    both[crossing, 1, axis] = limit
    kept: Polygon = both[np.stack([inside, crossing], axis=1)]
    return kept


def _area(points: Polygon) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def polygon_area(outline: Outline) -> float:
    """Return the area inside an outline's polygons, in pixels."""
    return sum(_area(polygon.reshape(-1, 2)) for polygon in outline)


def find_box(outline: Outline) -> NDArray[np.float32]:
    """Return the box x1 y1 x2 y2 of an outline of one polygon or more."""
    points = np.concatenate(list(outline)).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def paste(image: AnnotatedImage, source: AnnotatedImage) -> AnnotatedImage:
    """Copy all objects of `source` onto an image of the same size, over its own objects.

    Those that are partly covered get the outline and box of what is left; with less than 5 % left they are dropped.
    The pasted ones come last.
    """
    covered = np.zeros(image.size, np.bool_)
    for outline in source.outlines:
        window, mask = _rasterize(outline, image.size)
        covered[window] |= mask
    pixels = image.pixels.copy()
    pixels[covered] = source.pixels[covered]
    boxes, outlines, kept = image.boxes.copy(), list(image.outlines), []
    for place, outline in enumerate(image.outlines):
        window, mask = _rasterize(outline, image.size)
        left = mask & ~covered[window]
        area, before = int(left.sum()), int(mask.sum())
        if area < before:
            if area < max(1, SMALLEST_SHARE * before):
                continue
            corner = np.array([window[1].start, window[0].start])
            outlines[place] = [(polygon.reshape(-1, 2) + corner).ravel() for polygon in trace(left)]
            boxes[place] = find_box(outlines[place])
        kept.append(place)
    below = replace(image, boxes=boxes, outlines=outlines).take(kept)
    return replace(
        image,
        pixels=pixels,
        boxes=np.concatenate([below.boxes, source.boxes]),
        labels=np.concatenate([below.labels, source.labels]),
        outlines=[*below.outlines, *source.outlines],
    )


def _rasterize(outline: Outline, size: tuple[int, int]) -> tuple[Window, NDArray[np.bool_]]:
    """Return the mask of an outline by COCO's rule inside the window of its box, and the window."""
    height, width = size
    x1, y1, x2, y2 = find_box(outline).tolist()
    top, left = min(max(int(y1), 0), height - 1), min(max(int(x1), 0), width - 1)
    bottom, right = max(top + 1, min(int(np.ceil(y2)), height)), max(left + 1, min(int(np.ceil(x2)), width))
    mask = rasterize_polygons(outline, (bottom - top, right - left), origin=(left, top))
    return (slice(top, bottom), slice(left, right)), mask.astype(np.bool_)
