"""Names beside the objects of a picture, each where it hides least of other labels and of objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskzoo.drawing.colours import Color, choose_ink
from maskzoo.drawing.fonts import Line, set_text

__all__ = ["draw_labels", "measure_areas"]

Floats = NDArray[np.float32]
Spot = NDArray[np.int64]  # x1 y1 x2 y2
SMALL_OBJECT_FONT = 11  # pixels: at least, beside a small object
SMALLEST_FONT = 9  # pixels: at least, in a crowd of labels, where letters still part
CROWD = 0.25  # labels shrink where they would cover more than this part of the photo
RINGS = 6  # how far, in label heights, a label may stand from an object in a crowd
ROOM = 1.5  # font sizes that the sides of an object have at least to get one of sparse labels


@dataclass(frozen=True, slots=True)
class _Label:
    line: Line
    color: Color
    box: Floats
    width: int
    height: int


def draw_labels(
    canvas: Image.Image,
    boxes: Floats,
    texts: Sequence[str],
    order: Floats,
    colors: Sequence[Color],
    font_size: int,
    *,
    sparse: bool,
    font: str | Path | None = None,
) -> None:
    """Write the texts of the objects in `boxes` `[N 4]` on their colours.

    The highest in `order` `[N]`, of equal ones the first, if `sparse` the largest, chooses its place first, and is written
    last, over the others. A label that found no room at its object is tied to it by a line. See `draw_objects`.
    """
    draw = ImageDraw.Draw(canvas)
    labels = [_make_label(*row, font_size, font, shrink=not sparse) for row in zip(texts, colors, boxes, strict=True)]
    crowd = sum(label.width * label.height for label in labels) / (canvas.width * canvas.height)
    if crowd > CROWD and not sparse:
        font_size = max(min(SMALLEST_FONT, font_size), round(font_size * math.sqrt(CROWD / crowd)))
        labels = [_make_label(*row, font_size, font, shrink=True) for row in zip(texts, colors, boxes, strict=True)]
    spots: list[tuple[_Label, Spot]] = []
    for i in np.lexsort((-measure_areas(boxes) if sparse else np.arange(len(boxes)), -order)).tolist():
        if sparse and (boxes[i, 2:] - boxes[i, :2]).min() < ROOM * font_size:
            continue
        taken = np.array([spot for _, spot in spots]).reshape(-1, 4)
        spot = _find_spot(labels[i], canvas.size, taken, boxes, sparse=sparse)
        spots += [] if spot is None else [(labels[i], spot)]
    for label, spot in spots:
        _draw_leader(draw, label, spot, max(1, font_size // 14))
    for label, (x1, y1, x2, y2) in reversed(spots):
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=label.color)
        middle = (x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2)
        label.line.draw(canvas, middle, choose_ink(label.color), "m")


def measure_areas(boxes: Floats) -> Floats:
    """Return the areas `[N]` of boxes x1 y1 x2 y2 `[N 4]`."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _make_label(words: str, color: Color, box: Floats, font_size: int, font: str | Path | None, *, shrink: bool) -> _Label:
    """Return the label of an object; small ones get small letters (`shrink`), so that a crowd of them stays visible."""
    side = math.sqrt(float(measure_areas(box[None])[0]))
    size = max(min(SMALL_OBJECT_FONT, font_size), min(font_size, round(font_size * (0.6 + side / font_size / 15))))
    size = size if shrink else font_size
    line = set_text(" ".join(words.split()), size, font)
    return _Label(line, color, box, math.ceil(line.width) + size // 2 + 2, round(size * 1.3))


def _find_spot(label: _Label, size: tuple[int, int], taken: Spot, boxes: Floats, *, sparse: bool) -> Spot | None:
    """Return the place inside the picture, at the object or near it, that hides least of labels and objects.

    `sparse`: at the object, and none if all its places would hide another label.
    """
    wide, high = min(label.width, size[0]), min(label.height, size[1])
    corners = np.array(_list_spots(label.box, wide, high, rings=0 if sparse else RINGS), dtype=np.int64)
    inside = corners.clip(0, [size[0] - wide, size[1] - high])
    spots = np.concatenate([inside, inside + np.array([wide, high])], axis=1)
    hidden = _overlap(spots, boxes) * np.minimum(1, wide * high / np.maximum(measure_areas(boxes), 1))
    covered = _overlap(spots, taken).sum(axis=1)
    cost = covered + 0.5 * hidden.sum(axis=1)
    cost += wide * high * 0.01 * np.arange(len(spots)) + np.abs(inside - corners).sum(axis=1)
    if sparse:
        cost = np.where(covered > 0, np.inf, cost)
    best = int(cost.argmin())
    return spots[best] if np.isfinite(cost[best]) else None


def _list_spots(box: Floats, wide: int, high: int, rings: int) -> list[tuple[int, int]]:
    """List the top left corners that a label may have, the usual ones first, then rings around the object."""
    x1, y1, x2, y2 = (round(side) for side in box.tolist())
    middle = (x1 + x2 - wide) // 2, (y1 + y2 - high) // 2
    spots = [
        (x1, y1 - high), (x1, y1), (x2 - wide, y1 - high), (x1, y2), (x2 - wide, y1), (x2 - wide, y2),
        (x2, y1), (x1 - wide, y1), (x2, y2 - high), (x1 - wide, y2 - high), (x1, y2 - high), (x2 - wide, y2 - high),
        middle,
    ]  # fmt: skip
    for ring in range(1, rings + 1):
        gap = ring * high
        columns = (x1 - wide - gap, (x1 + middle[0] - wide) // 2, middle[0], (x2 + middle[0]) // 2, x2 + gap)
        rows = (y1 - high - gap, middle[1] - gap // 2, middle[1] + gap // 2, y2 + gap)
        spots += [(x, y) for x in columns for y in (rows[0], rows[-1])]
        spots += [(x, y) for x in (columns[0], columns[-1]) for y in rows[1:-1]]
    return spots


def _overlap(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return the shared area `[N M]` of rectangles `[N 4]` and `[M 4]`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: NDArray[Any] = (high - low).clip(0).prod(axis=-1)
    return shared


def _draw_leader(draw: ImageDraw.ImageDraw, label: _Label, spot: Spot, width: int) -> None:
    """Draw a line from a label that stands apart to the middle of its object."""
    x1, y1, x2, y2 = label.box.tolist()
    apart = max(x1 - spot[2], spot[0] - x2, y1 - spot[3], spot[1] - y2)
    if apart > label.height / 2:
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        near = min(max(middle[0], spot[0]), spot[2] - 1), min(max(middle[1], spot[1]), spot[3] - 1)
        draw.line([near, middle], fill=label.color, width=width)
