"""What happens to an annotated image before it trains: scale, flip, large-scale jitter, copy-paste.

Boxes, polygons and pixels move together. Scale and flip are the published training's, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.data.outlines import trace
from maskzoo.data.transforms import resize_image, target_size

__all__ = ["Sample", "crop", "flip", "jitter", "paste", "resize"]

Pixels = NDArray[np.uint8]
Polygon = NDArray[np.float32]
LEAST_SIDE = 1.0  # pixels of an object that is left after a crop or under a pasted one


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An image with its objects: `pixels` uint8 RGB `[H W 3]`, `boxes` float32 `[G 4]` x1 y1 x2 y2, `labels` int64 `[G]`.

    `outlines` has each object's polygons, flat x y x y ..., float32; they may reach beyond the image.
    """

    pixels: Pixels
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    outlines: Sequence[Sequence[Polygon]]

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Sample:
        """Return the image with some of its objects."""
        outlines = [self.outlines[int(row)] for row in rows]
        chosen = np.asarray(rows, dtype=np.int64)
        return Sample(self.pixels, self.boxes[chosen], self.labels[chosen], outlines)


def resize(sample: Sample, short_side: int, long_side: int) -> Sample:
    """Scale as the published training does: the cubic kernel on uint8, boxes clipped to the image, polygons not."""
    resized = resize_image(sample.pixels, short_side, long_side)
    scale = np.array(resized.scale[::-1], np.float32)  # x, y
    boxes = sample.boxes * np.tile(scale, 2)
    height, width = resized.pixels.shape[:2]
    return Sample(resized.pixels, _clip(boxes, height, width), sample.labels, _scale(sample.outlines, scale))


def flip(sample: Sample) -> Sample:
    """Mirror left and right: x becomes width - x."""
    width = np.float32(sample.pixels.shape[1])
    boxes = sample.boxes.copy()
    boxes[:, 0], boxes[:, 2] = width - sample.boxes[:, 2], width - sample.boxes[:, 0]
    outlines = []
    for polygons in sample.outlines:
        mirrored = [polygon.copy() for polygon in polygons]
        for polygon in mirrored:
            polygon[0::2] = width - polygon[0::2]
        outlines.append(mirrored)
    return Sample(np.ascontiguousarray(sample.pixels[:, ::-1]), boxes, sample.labels, outlines)


def jitter(sample: Sample, factor: float, place: tuple[float, float], short_side: int, long_side: int) -> Sample:
    """Scale to `factor` times the usual size, and cut what is larger back to that size, `place` (y, x, 0 to 1) saying where."""
    height, width = target_size(sample.pixels.shape[0], sample.pixels.shape[1], short_side, long_side)
    new = max(1, round(height * factor)), max(1, round(width * factor))
    pixels = np.asarray(cv2.resize(sample.pixels, new[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    scale = np.array([new[1] / sample.pixels.shape[1], new[0] / sample.pixels.shape[0]], np.float32)
    boxes = _clip(sample.boxes * np.tile(scale, 2), *new)
    scaled = Sample(pixels, boxes, sample.labels, _scale(sample.outlines, scale))
    top, left = (int(max(0, side - limit) * share) for side, limit, share in zip(new, (height, width), place, strict=True))
    if new[0] <= height and new[1] <= width:
        return scaled
    return crop(scaled, top, left, min(height, new[0]), min(width, new[1]))


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut out a window. Outlines are cut along its edges, boxes follow what is left; objects with nothing left go."""
    outlines, boxes, kept = [], [], []
    for row, polygons in enumerate(sample.outlines):
        shift = np.tile(np.array([left, top], np.float32), 1)
        cut = [_cut(polygon.reshape(-1, 2) - shift, height, width) for polygon in polygons]
        cut = [polygon for polygon in cut if len(polygon) >= 6]
        box = sample.boxes[row] - np.tile(shift, 2)
        if cut:
            points = np.concatenate(cut).reshape(-1, 2)
            box = np.concatenate([np.maximum(box[:2], points.min(axis=0)), np.minimum(box[2:], points.max(axis=0))])
        box = _clip(box[None], height, width)[0]
        if cut and (box[2:] - box[:2] >= LEAST_SIDE).all():
            kept.append(row)
            outlines.append(cut)
            boxes.append(box)
    pixels = np.ascontiguousarray(sample.pixels[top : top + height, left : left + width])
    return Sample(pixels, np.array(boxes, np.float32).reshape(-1, 4), sample.labels[kept], outlines)


def paste(onto: Sample, other: Sample) -> Sample:
    """Paste all objects of `other` onto `onto`, both from the upper left; what they hide of its objects goes.

    Simple copy-paste. Outlines that are partly hidden are traced anew from their masks.
    """
    height, width = onto.pixels.shape[:2]
    window = crop(other, 0, 0, min(height, other.pixels.shape[0]), min(width, other.pixels.shape[1]))
    if not len(window.boxes):
        return onto
    hidden = np.zeros((height, width), np.uint8)
    for polygons in window.outlines:
        hidden |= _fill(polygons, height, width)
    pixels = onto.pixels.copy()
    inside = hidden[: window.pixels.shape[0], : window.pixels.shape[1]] > 0
    pixels[: inside.shape[0], : inside.shape[1]][inside] = window.pixels[inside]
    below = _hide(onto, hidden)
    return Sample(
        pixels,
        np.concatenate([below.boxes, window.boxes]),
        np.concatenate([below.labels, window.labels]),
        [*below.outlines, *window.outlines],
    )


def _hide(sample: Sample, hidden: Pixels) -> Sample:
    """The objects as far as they are not hidden."""
    rows, boxes, outlines = [], [], []
    for row, polygons in enumerate(sample.outlines):
        mask = _fill(polygons, *hidden.shape)
        if not (mask & hidden).any():
            rows.append(row)
            boxes.append(sample.boxes[row])
            outlines.append(list(polygons))
            continue
        left = [polygon.astype(np.float32) for polygon in trace(mask & ~hidden)]
        if left:
            points = np.concatenate(left).reshape(-1, 2)
            rows.append(row)
            boxes.append(np.concatenate([points.min(axis=0), points.max(axis=0)]))
            outlines.append(left)
    return Sample(sample.pixels, np.array(boxes, np.float32).reshape(-1, 4), sample.labels[rows], outlines)


def _fill(polygons: Sequence[Polygon], height: int, width: int) -> Pixels:
    runs = hotcoco.mask.frPyObjects([polygon.tolist() for polygon in polygons], height, width)
    mask: Pixels = hotcoco.mask.decode(hotcoco.mask.merge(runs))
    return mask


def _clip(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    limit = np.array([width, height, width, height], np.float32)
    clipped: NDArray[np.float32] = np.minimum(np.maximum(boxes, np.float32(0)), limit)
    return clipped


def _scale(outlines: Sequence[Sequence[Polygon]], scale: NDArray[np.float32]) -> list[list[Polygon]]:
    """Each coordinate times its scale in float32."""
    return [
        [(polygon.reshape(-1, 2) * scale).astype(np.float32).ravel() for polygon in polygons] for polygons in outlines
    ]


def _cut(points: NDArray[np.float32], height: int, width: int) -> Polygon:
    """Cut a polygon `[N 2]` along the four edges of a window, one after the other (Sutherland and Hodgman)."""
    for axis, limit, sign in ((0, 0.0, 1.0), (0, float(width), -1.0), (1, 0.0, 1.0), (1, float(height), -1.0)):
        if not len(points):
            break
        distance = (points[:, axis].astype(np.float64) - limit) * sign
        following = np.roll(points, -1, axis=0)
        after = np.roll(distance, -1)
        result = []
        for point, to, here, there in zip(points, following, distance, after, strict=True):
            if here >= 0:
                result.append(point)
            if (here >= 0) != (there >= 0):
                crossing = point + (to - point) * np.float32(here / (here - there))
                crossing[axis] = limit
                result.append(crossing)
        points = np.array(result, np.float32).reshape(-1, 2)
    return points.ravel()
