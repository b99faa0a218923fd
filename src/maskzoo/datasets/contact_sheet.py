"""A contact sheet: annotated pictures in rows of one width, and a legend of the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import hotcoco.mask
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.mask_outlines import decode_runs
from maskzoo.drawing.colours import pick_color

__all__ = ["Cell", "draw_sheet"]

Bytes = NDArray[np.uint8]
Box = tuple[int, int, int, int]
WIDTH, ROW_HEIGHT, TALLEST, GAP, CAPTION = 1920, 360, 900, 14, 30  # pixels of the sheet
BACKGROUND, TEXT, FAINT, CROWD = (24, 26, 31), (235, 236, 240), (150, 154, 165), (205, 207, 212)
FINE = 2  # masks are rasterised this many times finer and averaged, for smooth edges
FILL, EDGE = 0.42, 1.0  # how much of the colour covers an object, and its edge
STRIPE = 12  # pixels from one stripe of a crowd to the next
LABELLED = 22  # pixels: smaller objects get no label, their colour tells


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of the sheet: RGB `pixels` uint8 `[H W 3]`, its place in the data set."""

    pixels: Bytes
    image: int


def draw_sheet(annotations: AnnotationSet, cells: Sequence[Cell], only: int | None = None) -> Image.Image:
    """Return the sheet of some pictures of a data set, in order; objects of the label `only`, if one is given.

    An object has its class's colour; a crowd is striped in grey.
    """
    rows = _lay_out([cell.pixels.shape[1] / cell.pixels.shape[0] for cell in cells])
    shown = _find_labels(annotations, cells, only)
    legend = _draw_legend(annotations, shown)
    height = GAP + sum(row[0][2] + CAPTION + GAP for row in rows) + legend.height + GAP
    sheet = Image.new("RGB", (WIDTH, height), BACKGROUND)
    y, place = GAP, 0
    for row in rows:
        for x, width, row_height in row:
            _draw_cell(sheet, annotations, cells[place], (x, y, width, row_height), only)
            if len(shown) > 1:  # of one class, the legend says it
                _draw_labels(sheet, annotations, cells[place].image, (x, y, width, row_height), only)
            place += 1
        y += row[0][2] + CAPTION + GAP
    sheet.paste(legend, (0, y))
    return sheet


def _lay_out(aspects: Sequence[float]) -> list[list[tuple[int, int, int]]]:
    """Return rows of x, width, height, each as wide as the sheet, and of nearly one height."""
    shapes = np.clip(aspects, 0.3, 5.0)
    count = max(1, round(float(shapes.sum()) * ROW_HEIGHT / WIDTH))
    middle = np.cumsum(shapes) - shapes / 2
    row_of = np.minimum(middle * count // shapes.sum(), count - 1)
    rows = []
    for members in (shapes[row_of == row].tolist() for row in np.unique(row_of)):
        height = min((WIDTH - GAP * (len(members) + 1)) / sum(members), TALLEST)
        row, x = [], float(GAP)
        for shape in members:
            row.append((round(x), round(x + shape * height) - round(x), round(height)))
            x += shape * height + GAP
        rows.append(row)
    return rows


def _find_labels(annotations: AnnotationSet, cells: Sequence[Cell], only: int | None) -> dict[int, int]:
    """Return how many objects of each label the pictures show, crowds apart, the commonest first."""
    rows = np.concatenate([_list_objects(annotations, cell.image, only) for cell in cells])
    labels = annotations.labels[rows[~annotations.crowd[rows]]]
    found, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return dict(zip(found[order].tolist(), counts[order].tolist(), strict=True))


def _list_objects(annotations: AnnotationSet, image: int, only: int | None) -> NDArray[np.int64]:
    rows = np.arange(annotations.first[image], annotations.first[image + 1])
    return rows if only is None else rows[annotations.labels[rows] == only]


def _draw_cell(sheet: Image.Image, annotations: AnnotationSet, cell: Cell, place: Box, only: int | None) -> None:
    x, y, width, height = place
    kernel = cv2.INTER_AREA if cell.pixels.shape[1] > width else cv2.INTER_CUBIC
    photo: NDArray[np.float32] = np.asarray(cv2.resize(cell.pixels, (width, height), interpolation=kernel), np.float32)
    rows = _list_objects(annotations, cell.image, only)
    # Crowds lie below all, large objects below small ones.
    order = sorted(rows.tolist(), key=lambda row: (not annotations.crowd[row], -annotations.area[row]))
    for row in order:
        crowd = bool(annotations.crowd[row])
        color = CROWD if crowd else pick_color(int(annotations.labels[row]))
        mask = _rasterize(annotations, row, (height, width))
        left, top, wide, high = cv2.boundingRect(mask)
        left, top, right, bottom = left // FINE, top // FINE, -(-(left + wide) // FINE), -(-(top + high) // FINE)
        cover = _cover(mask[top * FINE : bottom * FINE, left * FINE : right * FINE], crowd)[:, :, None]
        photo[top:bottom, left:right] += cover * (np.array(color, np.float32) - photo[top:bottom, left:right])
    sheet.paste(Image.fromarray(photo.round().clip(0, 255).astype(np.uint8)), (x, y))
    _draw_caption(sheet, annotations, cell.image, len(rows), place)


def _rasterize(annotations: AnnotationSet, row: int, size: tuple[int, int]) -> Bytes:
    """Return the 0/1 mask of an object at `FINE` times the height, width `size` of its cell."""
    full = annotations.sizes[annotations.image_index[row]].tolist()
    height, width = size[0] * FINE, size[1] * FINE
    outline = annotations.outline(row)
    if isinstance(outline, bytes):
        mask = cv2.resize(decode_runs(outline, full) * np.uint8(255), (width, height), interpolation=cv2.INTER_LINEAR)
        return (mask > 127).astype(np.uint8)
    scale = np.array([width / full[1], height / full[0]])
    moved = [(polygon.reshape(-1, 2) * scale).ravel().tolist() for polygon in outline]
    return np.asarray(hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(moved, height, width))))


def _cover(mask: Bytes, crowd: bool) -> NDArray[np.float32]:
    """Return how much of the colour each pixel of the cell gets, 0 to 1."""
    if mask.size == 0:
        return np.zeros(mask.shape, np.float32)
    kernel = np.ones((2 * FINE + 1, 2 * FINE + 1), np.uint8)
    inner = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    fill = np.full(mask.shape, FILL, np.float32)
    if crowd:
        y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
        fill = np.where((x + y) % (STRIPE * FINE) < STRIPE * FINE // 3, np.float32(0.75), np.float32(0.12))
    fine = np.where(inner > 0, fill, np.float32(EDGE)) * mask
    coarse = fine.reshape(mask.shape[0] // FINE, FINE, mask.shape[1] // FINE, FINE).mean(axis=(1, 3))
    return np.asarray(coarse, np.float32)


def _draw_labels(sheet: Image.Image, annotations: AnnotationSet, image: int, place: Box, only: int | None) -> None:
    """Write the classes where there is room, the largest objects first; a label that would hide another is left out."""
    x0, y0, width, height = place
    full = annotations.sizes[image].tolist()
    scale = np.array([width / full[1], height / full[0]] * 2)
    draw, font = ImageDraw.Draw(sheet), _font(14)
    taken: list[Box] = []
    for row in sorted(_list_objects(annotations, image, only).tolist(), key=lambda row: -annotations.area[row]):
        x1, y1, x2, y2 = (round(side) for side in (annotations.boxes[row] * scale).clip(0, [width, height] * 2).tolist())
        if min(x2 - x1, y2 - y1) < LABELLED:
            continue
        crowd = bool(annotations.crowd[row])
        color = CROWD if crowd else pick_color(int(annotations.labels[row]))
        text = annotations.classes.names[int(annotations.labels[row])] + (" crowd" if crowd else "")
        wide, high = round(draw.textlength(text, font=font)) + 10, 20
        spot = _find_spot((x1, y1, x2, y2), wide, high, (width, height), taken)
        if spot is None:
            continue
        taken.append(spot)
        left, top, right, bottom = spot[0] + x0, spot[1] + y0, spot[2] + x0, spot[3] + y0
        draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=4, fill=color)
        draw.text(((left + right) / 2, (top + bottom) / 2), text, fill=_contrast(color), font=font, anchor="mm")


def _find_spot(box: Box, wide: int, high: int, size: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    x1, y1, x2, y2 = box
    spots = ((x1, y1 - high), (x1 + 3, y1 + 3), (x2 - wide - 3, y1 + 3), (x1 + 3, y2 - high - 3), (x2 - wide, y2))
    for x, y in ((min(x, size[0] - wide), y) for x, y in spots):
        clear = all(x >= other[2] or x + wide <= other[0] or y >= other[3] or y + high <= other[1] for other in taken)
        if x >= 0 and y >= 0 and y + high <= size[1] and clear:
            return x, y, x + wide, y + high
    return None


def _draw_caption(sheet: Image.Image, annotations: AnnotationSet, image: int, objects: int, place: Box) -> None:
    x, y, width, height = place
    draw, font = ImageDraw.Draw(sheet), _font(15)
    count = f"{objects} object{'' if objects == 1 else 's'}" if objects else "no object"
    room = width - draw.textlength(count, font=font) - 16
    name = _shorten(draw, f"{annotations.image_ids[image]}  {annotations.file_name(image)}", room, font)
    middle = y + height + CAPTION / 2
    draw.text((x + 2, middle), name, fill=TEXT, font=font, anchor="lm")
    draw.text((x + width - 2, middle), count, fill=FAINT, font=font, anchor="rm")


def _shorten(draw: ImageDraw.ImageDraw, text: str, room: float, font: Any) -> str:
    """Return the text, without its end if there is no room; what cannot be printed becomes a question mark."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    if draw.textlength(text, font=font) <= room:
        return text
    while text and draw.textlength(text + "…", font=font) > room:
        text = text[: -max(1, len(text) // 20)]
    return text + "…" if text else ""


def _draw_legend(annotations: AnnotationSet, shown: dict[int, int]) -> Image.Image:
    """Return the strip of colours, names and counts, as many lines as it takes."""
    font = _font(16)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    spots: list[tuple[int, int, int, str]] = []
    x, y = GAP, 0
    for label, count in shown.items():
        text = _shorten(ruler, f"{annotations.classes.names[label]}  {count}", WIDTH / 3, font)
        wide = 26 + round(ruler.textlength(text, font=font)) + 22
        if x + wide > WIDTH and x > GAP:
            x, y = GAP, y + 28
        spots.append((x, y, label, text))
        x += wide
    strip = Image.new("RGB", (WIDTH, y + 28 if spots else 1), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for left, top, label, text in spots:
        draw.rounded_rectangle((left, top + 5, left + 17, top + 22), radius=4, fill=pick_color(label))
        draw.text((left + 26, top + 14), text, fill=TEXT, font=font, anchor="lm")
    return strip


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _contrast(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever reads better on a light or dark colour (luma of ITU-R BT.601)."""
    return (0, 0, 0) if color[0] * 0.299 + color[1] * 0.587 + color[2] * 0.114 > 130 else (255, 255, 255)
