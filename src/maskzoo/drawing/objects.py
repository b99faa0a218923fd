"""Pictures of objects on a photo: a clear outline and a light fill for each, and labels that can be read.

Strokes and letters grow with the photo, so that a picture looks the same at 400 and at 4000 pixels once it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskzoo.drawing.colours import Color, pick_color
from maskzoo.drawing.fonts import write_name
from maskzoo.drawing.labels import draw_labels, measure_areas
from maskzoo.errors import ConfigError

__all__ = ["CROWD", "Objects", "draw_objects"]

Bools = NDArray[np.bool_]
USUAL_FONT = 11  # pixels: at least, on a small photo
CROWD = (205, 207, 212)  # the colour of a region of many objects
STRIPE = 12  # stroke widths from one stripe of a crowd to the next; a third of it is coloured
STRIPE_ALPHA, GAP_ALPHA = 0.75, 0.12


class CroppedMasks(Protocol):
    """The masks of drawn objects, each as its smallest rectangle of pixels and the x, y of its first one."""

    def crop(self, index: int) -> tuple[Bools, tuple[int, int]]: ...


class Objects(Protocol):
    """What is drawn: boxes x1 y1 x2 y2 `[N 4]` in pixels of the photo, scores `[N]`, N names, N masks.

    The category ids `[N]` are written where no font has the letters of a name.
    """

    @property
    def boxes(self) -> NDArray[np.float32]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def category_ids(self) -> NDArray[np.int64]: ...
    @property
    def masks(self) -> CroppedMasks: ...
    def __len__(self) -> int: ...


def draw_objects(
    image: NDArray[np.uint8],
    objects: Objects,
    *,
    masks: bool = True,
    boxes: bool = True,
    labels: bool = True,
    scores: bool = True,
    alpha: float = 0.4,
    width: int | None = None,
    font_size: int | None = None,
    colors: Sequence[Color] | None = None,
    crowd: Bools | None = None,
    sparse: bool = False,
    font: str | Path | None = None,
) -> Image.Image:
    """Draw objects on a photo. Large objects lie below small ones, labels above all.

    Args:
        image: the photo, RGB uint8 `[H W 3]`; it stays as it is.
        objects: what is drawn.
        masks: draw the masks.
        boxes: draw the boxes.
        labels: write the names.
        scores: write the scores behind the names.
        alpha: how much of the colour covers an object, 0 to 1; its edge is covered wholly.
        width: of strokes, in pixels; left out, it fits the photo's size.
        font_size: in pixels; left out, it fits the photo's size. Letters shrink where many labels would hide the photo.
        colors: one for each object; left out, each has its own, the same in every run.
        crowd: bool `[N]`, which objects are regions of many: these are striped in grey and lie below the others.
        sparse: leave out the labels of small objects, and those that would hide another, instead of making them smaller.
        font: the file of a font, .ttf, .otf or .ttc; left out, that of MASKZOO_FONT, else fonts of this machine that have
            the letters. A name that none can write becomes `category 3`.

    Returns:
        The picture, of the photo's size.

    Raises:
        ConfigError: `alpha` is not from 0 to 1, a size is below 1, or the font cannot be read.
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
    striped = np.zeros(len(objects), np.bool_) if crowd is None else crowd
    chosen = [pick_color(i) for i in range(len(objects))] if colors is None else colors
    chosen = [CROWD if many else color for color, many in zip(chosen, striped, strict=True)]
    for i in np.lexsort((-measure_areas(objects.boxes), ~striped)).tolist():
        if masks:
            _draw_mask(canvas, objects.masks.crop(i), chosen[i], alpha, width, striped=bool(striped[i]))
        if boxes:
            _draw_box(canvas, objects.boxes[i], chosen[i], width)
    if labels:
        pairs = zip(objects.names, objects.category_ids.tolist(), strict=True)
        texts = [write_name(name, number, font) for name, number in pairs]
        texts = [f"{text} {score:.2f}" if scores else text for text, score in zip(texts, objects.scores, strict=True)]
        draw_labels(canvas, objects.boxes, texts, objects.scores, chosen, font_size, sparse=sparse, font=font)
    return canvas


def _draw_mask(
    canvas: Image.Image, crop: tuple[Bools, tuple[int, int]], color: Color, alpha: float, width: int, *, striped: bool
) -> None:
    """Blend the colour into the mask's own rectangle: `alpha` of it inside, or stripes, all of it along the edge."""
    mask, offset = crop
    if mask.size == 0:
        return
    fill = np.array(alpha)
    if striped:
        y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
        fill = np.where((x + y) % (STRIPE * width) < STRIPE * width // 3, STRIPE_ALPHA, GAP_ALPHA)
    cover = np.where(_shrink(mask, width), np.round(255 * fill).astype(np.uint8), np.uint8(255)) * mask
    canvas.paste(color, offset, Image.fromarray(cover))


def _shrink(mask: Bools, width: int) -> Bools:
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
