"""An annotated image and what moves its pixels and its objects alike: resize, flip, turn, warp, crop, large-scale jitter.

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
from maskzoo.images.resize import ResizedImage, resize_by, resize_image

__all__ = [
    "AnnotatedImage",
    "clip_polygon",
    "crop",
    "find_box",
    "flip",
    "jitter",
    "polygon_area",
    "resize",
    "stretch",
    "turn",
    "turn_around_centre",
    "warp",
]

Polygon = NDArray[np.float64]
Outline = Sequence[Polygon]
SMALLEST_SIDE = 1.0  # pixels of a box: what is smaller after a cut has no pixel of its own to learn from
SMALLEST_SHARE = 0.05  # of an object's area: of a person that is less than a hand, whose class nothing tells any more


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """RGB `pixels` uint8 `[H W 3]` and its G objects: `boxes` float32 `[G 4]`, `labels` int64 `[G]`, `outlines`.

    Boxes are x1 y1 x2 y2, an outline is one or more polygons, flat x y x y ..., float64: all in these pixels. `extent`:
    the height and width where boxes end, as in `ResizedImage`; None where the pixels do. `lost`: how many objects were
    dropped on the way here, because they left the picture or were covered.
    """

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    outlines: Sequence[Outline]
    extent: tuple[float, float] | None = None
    lost: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def with_pixels(self, pixels: NDArray[np.uint8]) -> AnnotatedImage:
        """Return the image with other pixels of the same size."""
        return replace(self, pixels=pixels)

    def take(self, objects: Sequence[int]) -> AnnotatedImage:
        """Return the image with some of its objects, in that order."""
        rows = np.asarray(objects, dtype=np.int64)
        return replace(
            self, boxes=self.boxes[rows], labels=self.labels[rows], outlines=[self.outlines[row] for row in rows.tolist()]
        )


def resize(image: AnnotatedImage, short_side: int, long_side: int, rule: ResizeRule) -> AnnotatedImage:
    """Resize to the targets of the network's input. Boxes are clipped to the extent, outlines are not, as published."""
    return _follow(image, resize_image(image.pixels, short_side, long_side, rule))


def stretch(image: AnnotatedImage, size: tuple[int, int]) -> AnnotatedImage:
    """Resize to exactly `size`, height and width, by the cubic kernel."""
    height, width = image.size
    return _follow(image, resize_by(image.pixels, size[0] / height, size[1] / width))


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
    return AnnotatedImage(pixels.astype(np.uint8, copy=False), boxes, image.labels, outlines, resized.extent, image.lost)


def flip(image: AnnotatedImage, *, vertically: bool = False) -> AnnotatedImage:
    """Mirror left and right, or up and down: x becomes width - x, y height - y, with sides in whole pixels.

    A polygon's points keep their order.
    """
    axis = int(vertically)  # of a point: x, y
    side = image.pixels.shape[1 - axis]
    boxes = image.boxes.copy()
    boxes[:, axis], boxes[:, axis + 2] = side - image.boxes[:, axis + 2], side - image.boxes[:, axis]
    outlines = [[_mirror(polygon, axis, side) for polygon in outline] for outline in image.outlines]
    pixels = np.asarray(cv2.flip(image.pixels, 1 - axis), dtype=np.uint8)
    return replace(image, pixels=pixels, boxes=boxes, outlines=outlines)


def _mirror(polygon: Polygon, axis: int, side: int) -> Polygon:
    mirrored = polygon.copy()
    mirrored[axis::2] = side - polygon[axis::2]
    return mirrored


def turn(image: AnnotatedImage, quarters: int) -> AnnotatedImage:
    """Turn by so many quarters clockwise: after one, x is height - y, and y what x was. Height and width change places."""
    for _ in range(quarters % 4):
        height = image.pixels.shape[0]
        pixels = np.asarray(cv2.rotate(image.pixels, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)
        x1, y1, x2, y2 = image.boxes.T
        boxes = np.stack([height - y2, x1, height - y1, x2], axis=1)
        outlines = [
            [np.stack([height - polygon[1::2], polygon[0::2]], axis=1).ravel() for polygon in outline]
            for outline in image.outlines
        ]
        extent = None if image.extent is None else image.extent[::-1]
        image = replace(image, pixels=pixels, boxes=boxes, outlines=outlines, extent=extent)
    return image


def warp(image: AnnotatedImage, matrix: NDArray[np.float64], colour: Sequence[int] = (0, 0, 0)) -> AnnotatedImage:
    """Move every point to `matrix` `[2 3]` times (x, y, 1), in a picture of the same size; `colour` fills what is bare.

    Boxes become those of the outlines; what leaves the picture is cut and dropped as by `crop`.
    """
    height, width = image.size
    linear, shift = matrix[:, :2], matrix[:, 2]
    by_centres = linear @ (0.5, 0.5) + shift - 0.5  # OpenCV's origin is the centre of the first pixel
    pixels = cv2.warpAffine(image.pixels, np.column_stack([linear, by_centres]), (width, height), borderValue=list(colour))
    outlines = [[(polygon.reshape(-1, 2) @ linear.T + shift).ravel() for polygon in outline] for outline in image.outlines]
    boxes = np.array([find_box(outline) for outline in outlines], dtype=np.float32).reshape(-1, 4)
    moved = AnnotatedImage(np.asarray(pixels, dtype=np.uint8), boxes, image.labels, outlines, lost=image.lost)
    return crop(moved, 0, 0, image.size)


def turn_around_centre(linear: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the matrix of `warp` that applies `linear` `[2 2]` and leaves the centre of an image of `size` in its place."""
    centre = np.array(size[::-1]) / 2
    return np.column_stack([linear, centre - linear @ centre])


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
    return crop(stretch(image, size), top, left, canvas, colour)


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
    lost = image.lost + len(outlines) - len(kept)
    return AnnotatedImage(np.asarray(pixels, dtype=np.uint8), boxes, image.labels, outlines, lost=lost).take(kept)


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
