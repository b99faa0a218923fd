"""What a labelling tool's file says about one picture, and whether that can be the picture that was found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.importers.drawn_shapes import Points

__all__ = ["LabelledPicture", "LabelledShape", "Size", "compare_size", "prove_exchanged"]

ASPECT = 0.01  # that a picture's width to height may differ from its labels', where coordinates are parts of it
Size = tuple[int, int]  # height, width


@dataclass(slots=True)
class LabelledShape:
    """One drawn shape: its `label`, where it stands (`region 3`), and `draw`, which returns its outlines in pixels.

    `draw` is called with the picture's height and width, and raises ValueError that says why there is no outline; of a box
    it returns the four corners. Shapes of one label with the same `group` are one object. `fault` says why the label is
    none that can be used.
    """

    label: Any
    row: str
    draw: Callable[[Size], list[Points]]
    is_box: bool = False
    crowd: bool = False
    group: Hashable = None
    attributes: dict[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(slots=True)
class LabelledPicture:
    """What a file says about one picture: its path as `named` there, its `size` (None where unsaid), its shapes.

    `relative`: coordinates are parts of the picture, so that it may have another size. `stem` is the name that it has where
    the file's own name tells it. `embedded` returns the picture's bytes, if the file holds them. `split` is for formats
    that say it otherwise than by folders.
    """

    file: Path
    row: str
    named: Any
    size: Size | None
    shapes: list[LabelledShape]
    relative: bool = False
    stem: str | None = None
    embedded: Callable[[], bytes] | None = None
    split: str | None = None


def compare_size(picture: LabelledPicture, size: Size) -> str | None:
    """Return why the labels are not of a picture of this size, None if they may be; sizes below 1 say nothing."""
    if picture.size is None or picture.size == size or min(picture.size) < 1:
        return None
    height, width = picture.size
    if picture.relative and abs(height / width * size[1] / size[0] - 1) < ASPECT:
        return None
    turned = "; it was labelled before its EXIF orientation was applied" if (width, height) == size else ""
    return f"says the picture is {width} x {height} pixels, found {size[1]} x {size[0]}{turned}; label it again"


def prove_exchanged(pictures: Sequence[tuple[LabelledPicture, Any]]) -> bool:
    """Say whether outlines show that labels exchange width and height: all lie in the pictures, some not in what is said.

    `pictures` have the height and width of each, or anything else where these are not known.
    """
    exchanged = [(one, size) for one, size in pictures if isinstance(size, tuple) and one.size == size[::-1] != size]
    known = [(_find_reach(one, size), np.array(size)) for one, size in exchanged if not one.relative]
    fits = all((reach <= size[::-1] + 1).all() for reach, size in known)
    return fits and any((reach > size + 1).any() for reach, size in known)


def _find_reach(picture: LabelledPicture, size: Size) -> Points:
    """Return how far the outlines go, x and y."""
    reach = np.zeros(2)
    for shape in picture.shapes:
        with suppress(ValueError):  # told when the shape is added
            reach = np.max([reach, *(np.reshape(polygon, (-1, 2)).max(axis=0) for polygon in shape.draw(size))], axis=0)
    return reach
