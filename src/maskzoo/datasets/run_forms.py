"""Run lengths that are written otherwise than COCO's, made into COCO's where that leaves nothing to guess."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskzoo.datasets.rle import encode_mask, measure_runs, read_counts
from maskzoo.datasets.sifted import is_number

__all__ = ["fit_box", "has_pixels", "is_usual", "mend_runs", "unwrap_runs"]

Integers = NDArray[np.int64]
_BYTES = ("b'", 'b"')  # how Python's notation of bytes begins
NEAR = 2.0  # pixels by which a box may differ from that of its mask


def unwrap_runs(outline: Any) -> Any:
    """Return run lengths without the list of one, or the JSON text, that they stand in; anything else as it is."""
    inner = outline
    if isinstance(outline, str) and outline[:1] in ("[", "{"):
        try:
            inner = json.loads(outline)
        except (ValueError, RecursionError):
            return outline
    if isinstance(inner, list) and len(inner) == 1:
        inner = inner[0]
    return inner if isinstance(inner, dict) and "counts" in inner else outline


def mend_runs(outline: Any, size: Sequence[int], bbox: Any) -> dict[str, Any] | None:
    """Return run lengths as COCO has them; None if they are so already, or if it is not known what they mean.

    Put right are counts that are texts, floats, Python's notation of bytes, or lack the last run outside; a size that is
    missing; and, where the box shows it, a size whose sides are exchanged, and counts that go along the rows.

    Args:
        outline: of an object, whatever it is.
        size: height and width of its image.
        bbox: x, y, width and height of its box, if it has one.
    """
    runs, (height, width) = unwrap_runs(outline), size
    if is_usual(outline, size):
        return None
    counts = _read_counts(runs["counts"], height * width) if isinstance(runs, dict) and "counts" in runs else None
    if counts is None:
        return None
    own = runs.get("size", [height, width])
    along_columns, along_rows = _bound(counts, height), _bound(counts, width)
    if own == [height, width]:
        turned = (
            isinstance(runs["counts"], list) and not fit_box(along_columns, bbox) and fit_box(along_rows[[1, 0, 3, 2]], bbox)
        )
    elif own == [width, height] and not fit_box(along_rows, bbox):  # else the mask is of that size, and the image's is wrong
        turned = fit_box(along_rows[[1, 0, 3, 2]], bbox)
        if not turned and not fit_box(along_columns, bbox):
            return None
    else:
        return None
    written: Any = counts.tolist() if isinstance(runs["counts"], list) else _read_text(runs["counts"])
    if turned:
        inside = np.arange(len(counts)) % 2
        written = encode_mask(np.repeat(inside, counts).reshape(height, width)).decode("ascii")
    found = {**runs, "size": [height, width], "counts": written}
    return None if found == outline and all(type(count) is not float for count in outline["counts"]) else found


def has_pixels(outline: Any, size: Sequence[int]) -> bool:
    """Say whether an outline is run lengths of as many pixels as an image of height, width `size` has."""
    runs = unwrap_runs(outline)
    return isinstance(runs, dict) and "counts" in runs and _read_counts(runs["counts"], size[0] * size[1]) is not None


def is_usual(outline: Any, size: Sequence[int]) -> bool:
    """Say whether an outline is compressed run lengths with an image's size, as nearly all are: nothing is to be put right."""
    if not isinstance(outline, dict) or outline.get("size") != [*size]:
        return False
    counts = outline.get("counts")
    return isinstance(counts, str) and counts[:1] != "[" and counts[:2] not in _BYTES


def _read_text(text: str) -> Any:
    """Return what a text of counts stands for: a list, Python's bytes, else compressed run lengths."""
    try:
        value = ast.literal_eval(text) if text[:2] in _BYTES else json.loads(text) if text[:1] == "[" else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _read_counts(written: Any, pixels: int) -> Integers | None:
    """Return counts, from any notation, that sum to the image's pixels; None if they do not."""
    value = _read_text(written) if isinstance(written, str) else written
    if isinstance(value, str):
        text = value.encode("ascii", "replace")
        return read_counts(text) if measure_runs([text], [pixels])[1][0] else None
    if not isinstance(value, list) or not all(is_number(one) and one == int(one) and 0 <= one <= pixels for one in value):
        return None
    counts = [int(one) for one in value]
    rest = pixels - sum(counts)
    if rest > 0 and counts and len(counts) % 2 == 0:  # the last run is inside: one outside was left out
        counts.append(rest)
    return np.array(counts, np.int64) if sum(counts) == pixels else None


def _bound(counts: Integers, side: int) -> Integers:
    """Return the bounds of what is inside, in lines of `side` pixels: first line, first pixel, and behind the last ones."""
    ends = np.cumsum(counts)
    inside = np.flatnonzero(counts[1::2] > 0)
    if not len(inside):
        return np.zeros(4, np.int64)
    first, last = ends[0::2][inside], ends[1::2][inside] - 1
    whole = first // side < last // side  # a run that goes on in the next line touches both edges
    start, stop = np.where(whole, 0, first % side), np.where(whole, side - 1, last % side)
    return np.array([first[0] // side, start.min(), last[-1] // side + 1, stop.max() + 1])


def fit_box(bounds: ArrayLike, bbox: Any) -> bool:
    """Say whether a box is that of bounds x1 y1 x2 y2, also if it is written as corners; False if there is no box."""
    if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox))):
        return False
    x, y, width, height = bbox
    ways = np.array([[x, y, x + width, y + height], bbox], dtype=np.float64)
    return bool((np.abs(ways - np.asarray(bounds)).max(axis=1) <= NEAR).any())
