"""Pictures of predictions: a clear outline and a light fill for every object, and labels that can be read.

Strokes and letters grow with the photo, so that a picture looks the same at 400 and at 4000 pixels once it is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maskzoo.drawing.colours import Color, choose_ink, pick_color
from maskzoo.errors import ConfigError

__all__ = ["draw_prediction"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

USUAL_FONT, SMALLEST_FONT = 11, 9  # pixels: at least, on a small photo; and in a crowd, where letters still part
CROWD = 0.25  # labels shrink where they would cover more than this part of the photo
RINGS = 6  # how far, in label heights, a label may stand from an object in a crowd


class Outlines(Protocol):
    """The masks of drawn objects, each as its smallest rectangle of pixels."""

    def crop(self, index: int) -> tuple[NDArray[np.bool_], tuple[int, int]]: ...


class Objects(Protocol):
    """What is drawn: boxes x1 y1 x2 y2 `[N 4]` in pixels of the photo, scores `[N]`, N names, N masks."""

    @property
    def boxes(self) -> NDArray[np.float32]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def masks(self) -> Outlines: ...
    def __len__(self) -> int: ...


def draw_prediction(
    image: NDArray[np.uint8],
    prediction: Objects,
    *,
    masks: bool = True,
    boxes: bool = True,
    labels: bool = True,
    scores: bool = True,
    alpha: float = 0.4,
    width: int | None = None,
    font_size: int | None = None,
) -> Image.Image:
    """Return a picture of the RGB photo uint8 `[H W 3]` with the objects of the prediction on it.

    Every object has its own colour, the same in every run. Large objects lie below small ones, labels above all. The labels
    have the `scores` behind the names.
    `alpha` is how much of the colour covers the object, 0 to 1. `width` (strokes) and `font_size` in pixels; by
    default they fit the photo's size, and letters shrink where many labels would hide it. Raises ConfigError if
    `alpha` is not from 0 to 1, or a size is below 1.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha is {alpha}, expected 0 (outlines only) to 1 (nothing shines through)")
    for name, size in (("width", width), ("font_size", font_size)):
        if size is not None and size < 1:
            raise ConfigError(f"{name} is {size}, expected 1 pixel or more; leave it out to fit the photo")
    canvas = Image.fromarray(np.ascontiguousarray(image))
    scale = math.sqrt(canvas.width * canvas.height)
    width = width or max(1, round(scale / 320))
    font_size = font_size or max(USUAL_FONT, round(scale / 42))
    colors = [pick_color(i) for i in range(len(prediction))]
    order = np.argsort(-_areas(prediction.boxes), kind="stable")
    for i in order.tolist():
        if masks:
            _draw_mask(canvas, prediction, i, colors[i], alpha, width)
        if boxes:
            _draw_box(canvas, prediction.boxes[i], colors[i], width)
    if labels:
        _draw_labels(canvas, prediction, colors, font_size, scores)
    return canvas


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _draw_mask(canvas: Image.Image, prediction: Objects, i: int, color: Color, alpha: float, width: int) -> None:
    """Blend the colour into the mask's own rectangle: `alpha` of it inside, all of it along the edge."""
    mask, offset = prediction.masks.crop(i)
    if mask.size == 0:
        return
    cover = np.where(_shrink(mask, width), np.uint8(round(255 * alpha)), np.uint8(255)) * mask
    canvas.paste(color, offset, Image.fromarray(cover))


def _shrink(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Take `width` pixels off the mask all around; outside the array is outside the mask."""
    small = np.pad(mask, 1)
    for _ in range(width):
        inner = small[1:-1, 1:-1] & small[:-2, 1:-1] & small[2:, 1:-1] & small[1:-1, :-2] & small[1:-1, 2:]
        small = np.pad(inner, 1)
    return small[1:-1, 1:-1]


def _draw_box(canvas: Image.Image, box: NDArray[np.float32], color: Color, width: int) -> None:
    x1, y1, x2, y2 = (round(side) for side in box.tolist())
    x1, y1 = min(x1, canvas.width - 1), min(y1, canvas.height - 1)
    corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
    ImageDraw.Draw(canvas).rectangle(corners, outline=color, width=max(1, width // 2))


@dataclass(frozen=True, slots=True)
class _Label:
    text: str
    font: Font
    color: Color
    box: NDArray[np.float32]
    width: int
    height: int


def _draw_labels(canvas: Image.Image, prediction: Objects, colors: list[Color], font_size: int, scores: bool) -> None:
    """Write the labels. The best score chooses its place first, and is written last, over the others.

    A label that found no room at its object is tied to it by a line.
    """
    draw = ImageDraw.Draw(canvas)
    labels = [_make_label(draw, prediction, i, colors[i], font_size, scores) for i in range(len(prediction))]
    crowd = sum(label.width * label.height for label in labels) / (canvas.width * canvas.height)
    if crowd > CROWD:
        font_size = max(min(SMALLEST_FONT, font_size), round(font_size * math.sqrt(CROWD / crowd)))
        labels = [_make_label(draw, prediction, i, colors[i], font_size, scores) for i in range(len(prediction))]
    spots: list[tuple[_Label, NDArray[np.int64]]] = []
    for i in np.argsort(-prediction.scores, kind="stable").tolist():
        taken = np.array([spot for _, spot in spots]).reshape(-1, 4)
        spots.append((labels[i], _find_spot(labels[i], canvas.size, taken, prediction.boxes)))
    for label, spot in spots:
        _draw_leader(draw, label, spot, max(1, font_size // 14))
    for label, (x1, y1, x2, y2) in reversed(spots):
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=label.color)
        middle = (x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2)
        draw.text(middle, label.text, fill=choose_ink(label.color), font=label.font, anchor="mm")


def _make_label(draw: ImageDraw.ImageDraw, prediction: Objects, i: int, color: Color, font_size: int, score: bool) -> _Label:
    """Small objects get small letters, so that a crowd of them stays visible."""
    box = prediction.boxes[i]
    side = math.sqrt(float(_areas(box[None])[0]))
    size = max(min(USUAL_FONT, font_size), min(font_size, round(font_size * (0.6 + side / font_size / 15))))
    font = ImageFont.load_default(size)
    words = f"{prediction.names[i]} {prediction.scores[i]:.2f}" if score else prediction.names[i]
    text = " ".join(words.split())
    width = math.ceil(draw.textlength(text, font=font)) + size // 2 + 2
    return _Label(text, font, color, box, width, round(size * 1.3))


def _find_spot(label: _Label, size: tuple[int, int], taken: NDArray[np.int64], boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the x1 y1 x2 y2 inside the picture, at the object or near it, that hides least of labels and objects."""
    wide, high = min(label.width, size[0]), min(label.height, size[1])
    corners = np.array(_list_spots(label.box, wide, high), dtype=np.int64)
    inside = corners.clip(0, [size[0] - wide, size[1] - high])
    spots = np.concatenate([inside, inside + np.array([wide, high])], axis=1)
    hidden = _overlap(spots, boxes) * np.minimum(1, wide * high / np.maximum(_areas(boxes), 1))
    cost = _overlap(spots, taken).sum(axis=1) + 0.5 * hidden.sum(axis=1)
    cost += wide * high * 0.01 * np.arange(len(spots)) + np.abs(inside - corners).sum(axis=1)
    best: NDArray[np.int64] = spots[int(cost.argmin())]
    return best


def _list_spots(box: NDArray[np.float32], wide: int, high: int) -> list[tuple[int, int]]:
    """List the top left corners that a label may have, the usual ones first, then rings around the object."""
    x1, y1, x2, y2 = (round(side) for side in box.tolist())
    middle = (x1 + x2 - wide) // 2, (y1 + y2 - high) // 2
    spots = [
        (x1, y1 - high), (x1, y1), (x2 - wide, y1 - high), (x1, y2), (x2 - wide, y1), (x2 - wide, y2),
        (x2, y1), (x1 - wide, y1), (x2, y2 - high), (x1 - wide, y2 - high), (x1, y2 - high), (x2 - wide, y2 - high),
        middle,
    ]  # fmt: skip
    for ring in range(1, RINGS + 1):
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


def _draw_leader(draw: ImageDraw.ImageDraw, label: _Label, spot: NDArray[np.int64], width: int) -> None:
    """Draw a line from a label that stands apart to the middle of its object."""
    x1, y1, x2, y2 = label.box.tolist()
    apart = max(x1 - spot[2], spot[0] - x2, y1 - spot[3], spot[1] - y2)
    if apart > label.height / 2:
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        near = min(max(middle[0], spot[0]), spot[2] - 1), min(max(middle[1], spot[1]), spot[3] - 1)
        draw.line([near, middle], fill=label.color, width=width)
