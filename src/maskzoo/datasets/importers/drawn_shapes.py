"""The outlines of what annotation tools draw: points as they are written, turned rectangles, ellipses, pictures of masks.

Each function raises ValueError with a sentence for a file's reader where there is no outline.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.sifted import LARGEST_NUMBER, is_number
from maskzoo.errors import ImageError
from maskzoo.images.read import read_image

__all__ = ["Points", "cut_holes", "draw_ellipse", "draw_mask", "draw_rectangle", "read_base64", "read_numbers", "read_points"]

ROUNDNESS = 0.1  # pixels that the polygon of an ellipse may lie inside of it
LARGEST_RADIUS = 1e6  # pixels: keeps the number of points small
Points = NDArray[np.float64]


def read_points(points: Any) -> Points:
    """Return a list of [x, y] as float64 `[N 2]`."""
    # Sets of types and lengths, because a look at each number takes longer than all else about an object.
    pairs = isinstance(points, list) and set(map(type, points)) <= {list} and set(map(len, points)) <= {2}
    if pairs and set(map(type, chain.from_iterable(points))) <= {int, float}:
        with suppress(OverflowError):  # a whole number that no float holds
            found = np.array(points, dtype=np.float64).reshape(-1, 2)
            if (np.abs(found) < LARGEST_NUMBER).all():
                return found
    raise ValueError(f"points are {points!r:.60}; expected a list of finite [x, y]")


def read_numbers(row: Any, *names: str) -> list[float]:
    """Return the fields of an object that have to be finite numbers."""
    found = [row.get(name) if isinstance(row, dict) else None for name in names]
    if not all(map(is_number, found)):
        said = ", ".join(f"{name} {value!r:.30}" for name, value in zip(names, found, strict=True))
        raise ValueError(f"found {said}; expected finite numbers")
    return [float(value) for value in found if value is not None]


def cut_holes(outline: Points, holes: Sequence[Points]) -> Points:
    """Return an outline `[N 2]` with its holes as one polygon, flat: a line to each hole is walked both ways.

    Holes are walked the other way round, so that the polygon's area is without them.
    """
    points = outline
    for hole in holes:
        if len(hole) < 3:
            raise ValueError(f"a hole of {len(hole)} points; expected 3 or more")
        if (hole.max(axis=0) < outline.min(axis=0)).any() or (hole.min(axis=0) > outline.max(axis=0)).any():
            continue  # it lies beside the outline, and takes nothing away
        inner = hole if _turn(hole) * _turn(outline) < 0 else hole[::-1]
        near = int(np.hypot(*(points - inner[0]).T).argmin())
        points = np.concatenate([points[: near + 1], inner, inner[:1], points[near:]])
    flat: Points = points.ravel()
    return flat


def _turn(points: Points) -> float:
    x, y = (points - points[0]).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def draw_rectangle(x: float, y: float, width: float, height: float, degrees: float = 0) -> Points:
    """Return the corners, flat, of a rectangle turned about its corner x, y, clockwise as one sees it."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return _place(corners, (x, y), degrees)


def draw_ellipse(x: float, y: float, across: float, down: float, degrees: float = 0) -> Points:
    """Return points, flat, that look round: an ellipse about x, y, its radii, turned clockwise as one sees it."""
    largest = max(across, down)
    if not (min(across, down) > 0 and largest <= LARGEST_RADIUS):
        found = f"radius {across:g}" if across == down else f"radii {across:g} and {down:g}"
        raise ValueError(f"a {found}; expected more than 0 and at most {LARGEST_RADIUS:g} pixels")
    count = max(8, math.ceil(math.pi / math.acos(1 - min(1.0, ROUNDNESS / largest))))
    angle = 2 * math.pi * np.arange(count) / count
    points = np.stack([across * np.cos(angle), down * np.sin(angle)], axis=1)
    return _place(points, (x, y), degrees)


def _place(points: Points, centre: tuple[float, float], degrees: float) -> Points:
    """Turn points about 0, 0 and move that to `centre`; flat."""
    if degrees:
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        points = points @ np.array([[cosine, sine], [-sine, cosine]])
    flat: Points = (points + np.array(centre)).ravel()
    return flat


def draw_mask(picture: Any, start: Points, size: tuple[int, int]) -> list[Points]:
    """Return the outlines of a mask that is written as base64 text of a picture, whose first pixel is at x, y `start`."""
    try:
        mask = read_image(read_base64(picture), max_pixels=size[0] * size[1])
    except (ValueError, ImageError) as error:
        raise ValueError(f"its mask cannot be read: {error}") from None
    polygons = [polygon + np.tile(start, len(polygon) // 2) for polygon in trace(mask[:, :, 0])]
    if not polygons:
        raise ValueError("its mask is empty")
    return polygons


def read_base64(text: Any) -> bytes:
    """Return the bytes of base64 text, also of a data URL (`data:image/png;base64,...`)."""
    try:
        return base64.b64decode(text.split(",", 1)[1] if text.startswith("data:") else text, validate=True)
    except (AttributeError, IndexError, binascii.Error, ValueError):
        raise ValueError(f"found {text!r:.40}; expected base64 text of a picture") from None
