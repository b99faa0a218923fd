"""A contact sheet: annotated pictures in rows of one width, and a legend of the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.drawn_objects import describe_annotations
from maskzoo.drawing.colours import pick_color
from maskzoo.drawing.fonts import Line, can_write, set_text, write_name
from maskzoo.drawing.objects import draw_objects

__all__ = ["Cell", "draw_sheet"]

Box = tuple[int, int, int, int]
WIDTH, ROW_HEIGHT, TALLEST, GAP, CAPTION = 1920, 360, 900, 14, 30  # pixels of the sheet
BACKGROUND, TEXT, FAINT = (24, 26, 31), (235, 236, 240), (150, 154, 165)
FINE = 2  # pictures are drawn this many times larger and averaged, for smooth edges


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of the sheet: RGB `pixels` uint8 `[H W 3]`, its place in the data set."""

    pixels: NDArray[np.uint8]
    image: int


def draw_sheet(
    annotations: AnnotationSet, cells: Sequence[Cell], only: int | None = None, font: str | Path | None = None
) -> Image.Image:
    """Return the sheet of some pictures of a data set, in order; objects of the label `only`, if one is given.

    An object has its class's colour; a crowd is striped in grey. `font` is as for `draw_objects`.
    """
    places = _lay_out([cell.pixels.shape[1] / cell.pixels.shape[0] for cell in cells])
    objects = [_list_objects(annotations, cell.image, only) for cell in cells]
    counts = _count_labels(annotations, np.concatenate(objects))
    legend = _draw_legend(annotations, counts, font)
    bottom = max(y + height for _, y, _, height in places) + CAPTION + GAP
    sheet = Image.new("RGB", (WIDTH, bottom + legend.height + GAP), BACKGROUND)
    for cell, rows, (x, y, width, height) in zip(cells, objects, places, strict=True):
        # Of one class, the legend says it.
        sheet.paste(_draw_cell(annotations, cell, (width, height), rows, font, labels=len(counts) > 1), (x, y))
        _draw_caption(sheet, annotations, cell.image, len(rows), (x, y, width, height), font)
    sheet.paste(legend, (0, bottom))
    return sheet


def _lay_out(aspects: Sequence[float]) -> list[Box]:
    """Return each picture's x, y, width, height, in rows as wide as the sheet and of nearly one height."""
    shapes = np.clip(aspects, 0.3, 5.0)
    count = max(1, round(float(shapes.sum()) * ROW_HEIGHT / WIDTH))
    middle = np.cumsum(shapes) - shapes / 2
    row_of = np.minimum(middle * count // shapes.sum(), count - 1)
    places: list[Box] = []
    y = GAP
    for members in (shapes[row_of == row].tolist() for row in np.unique(row_of)):
        height = min((WIDTH - GAP * (len(members) + 1)) / sum(members), TALLEST)
        x = float(GAP)
        for shape in members:
            places.append((round(x), y, round(x + shape * height) - round(x), round(height)))
            x += shape * height + GAP
        y += round(height) + CAPTION + GAP
    return places


def _list_objects(annotations: AnnotationSet, image: int, only: int | None) -> NDArray[np.int64]:
    rows = np.arange(annotations.first[image], annotations.first[image + 1])
    return rows if only is None else rows[annotations.labels[rows] == only]


def _count_labels(annotations: AnnotationSet, rows: NDArray[np.int64]) -> dict[int, int]:
    """Return how many of some objects have each label, without crowds, the commonest first."""
    labels = annotations.labels[rows[~annotations.crowd[rows]]]
    found, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return dict(zip(found[order].tolist(), counts[order].tolist(), strict=True))


def _draw_cell(
    annotations: AnnotationSet,
    cell: Cell,
    size: tuple[int, int],
    rows: NDArray[np.int64],
    font: str | Path | None,
    *,
    labels: bool,
) -> Image.Image:
    """Return the photo and the objects `rows` as a picture of width, height `size`."""
    fine = size[0] * FINE, size[1] * FINE
    kernel = cv2.INTER_AREA if cell.pixels.shape[1] > fine[0] else cv2.INTER_CUBIC
    photo = np.asarray(cv2.resize(cell.pixels, fine, interpolation=kernel), np.uint8)
    picture = draw_objects(
        photo,
        describe_annotations(annotations, cell.image, rows, fine[::-1]),
        boxes=False,
        labels=labels,
        scores=False,
        width=FINE,
        font_size=14 * FINE,
        colors=[pick_color(label) for label in annotations.labels[rows].tolist()],
        crowd=annotations.crowd[rows],
        sparse=True,
        font=font,
    )
    return picture.reduce(FINE)


def _draw_caption(
    sheet: Image.Image, annotations: AnnotationSet, image: int, objects: int, place: Box, font: str | Path | None
) -> None:
    x, y, width, height = place
    count = set_text(f"{objects} object{'' if objects == 1 else 's'}" if objects else "no object", 15, font)
    room = width - count.width - 16
    name = _shorten(f"{annotations.image_ids[image]}  {annotations.file_name(image)}", room, 15, font)
    middle = y + height + CAPTION / 2
    name.draw(sheet, (x + 2, middle), TEXT)
    count.draw(sheet, (x + width - 2, middle), FAINT, "r")


def _shorten(text: str, room: float, size: int, font: str | Path | None) -> Line:
    """Return the text, without its end if there is no room; what no font can write becomes a question mark."""
    text = "".join(letter if letter.isprintable() and can_write(letter, font) else "?" for letter in text)
    line = set_text(text, size, font)
    while text and line.width > room:
        text = text[: -max(1, len(text) // 20)]
        line = set_text(text + "…" if text else "", size, font)
    return line


def _draw_legend(annotations: AnnotationSet, shown: dict[int, int], font: str | Path | None) -> Image.Image:
    """Return the strip of colours, names and counts, as many lines as it takes."""
    spots: list[tuple[int, int, int, Line]] = []
    x, y = GAP, 0
    for label, count in shown.items():
        name = write_name(annotations.classes.names[label], annotations.classes.ids[label], font)
        line = _shorten(f"{name}  {count}", WIDTH / 3, 16, font)
        wide = 26 + round(line.width) + 22
        if x + wide > WIDTH and x > GAP:
            x, y = GAP, y + 28
        spots.append((x, y, label, line))
        x += wide
    strip = Image.new("RGB", (WIDTH, y + 28 if spots else 1), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for left, top, label, line in spots:
        draw.rounded_rectangle((left, top + 5, left + 17, top + 22), radius=4, fill=pick_color(label))
        line.draw(strip, (left + 26, top + 14), TEXT)
    return strip
