"""Masks as COCO's run lengths: read and checked here, before native mask code sees them, and made of polygons.

The compressed text writes each count in groups of five bits, low ones first, from the character '0' on; bit 5 says
that another character follows, bit 4 of the last one is the sign. From the fourth count on, the difference to the
count two places before is written. Counts alternate outside, inside, outside ..., column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hotcoco.mask
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskzoo.faults import Words

__all__ = [
    "compress",
    "decode_crop",
    "decode_runs",
    "encode_mask",
    "encode_polygons",
    "measure_runs",
    "rasterize_polygons",
    "read_counts",
    "read_placed",
    "read_runs",
]

Integers = NDArray[np.int64]
Pair = tuple[float, float]  # along x and y
TEXTS_AT_ONCE = 512  # keeps the arrays on the way in the processor's cache
LONGEST = 7  # characters of one count: 35 bits hold any count and difference of an image below 2^33 pixels
MOST = 1 << 33  # pixels; no count of an image is above it, and sums of counts up to it cannot overflow


def measure_runs(texts: Sequence[bytes], pixels: Sequence[int] | Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return each mask's area in pixels, int64 `[N]`, and whether its text is a mask of `pixels[i]` pixels, bool `[N]`.

    Areas mean something only where the second is true.
    """
    area, sound = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = slice(start, start + TEXTS_AT_ONCE)
        area[part], sound[part] = _measure(texts[part], np.asarray(pixels[part], dtype=np.int64))
    return area, sound


def _measure(texts: Sequence[bytes], pixels: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(lengths)
    values = np.frombuffer(b"".join(texts), dtype=np.uint8) - np.uint8(48)  # what is below '0' wraps to above 63
    whole = lengths > 0
    whole[whole] = values[ends[whole] - 1] < 0x20  # else the text breaks off within a count
    foreign = np.flatnonzero(values > 63)
    whole[np.searchsorted(ends, foreign, side="right")] = False
    if not whole.all():  # the arithmetic below needs whole texts
        area, sound = np.zeros(len(texts), np.int64), whole.copy()
        kept = [text for text, good in zip(texts, whole, strict=True) if good]
        if kept:
            area[whole], sound[whole] = _measure(kept, pixels[whole])
        return area, sound
    more = np.flatnonzero(values > 0x1F)  # characters that another of the same count follows
    number = lengths - np.diff(np.searchsorted(more, ends), prepend=0)  # of counts
    counts, long = _decode(values, more)
    sums, sound = _sum_counts(counts, number)
    sound[np.searchsorted(np.cumsum(number), long, side="right")] = False
    return sums[:, 1], sound & (sums.sum(axis=1) == pixels)


def _decode(values: NDArray[np.uint8], more: Integers) -> tuple[Integers, Integers]:
    """Return what each count writes (a count or a difference), and which of them have too many characters."""
    last = values[values < 0x20]
    counts = ((last ^ 0x10).astype(np.int8) - np.int8(0x10)).astype(np.int64)  # bit 4 is the sign; most are done with that
    if not len(more):
        return counts, more
    which = more - np.arange(len(more))  # the count that each of these characters belongs to
    first = np.flatnonzero(np.diff(which, prepend=-1))
    size = np.diff(first, append=len(which))
    place = np.minimum(np.arange(len(which)) - np.repeat(first, size), LONGEST)
    low = (values[more] & 0x1F).astype(np.int64) << (5 * place)
    which = which[first]
    counts[which] = (counts[which] << (5 * np.minimum(size, LONGEST))) + np.add.reduceat(low, first)
    return counts, which[size >= LONGEST]


def _sum_counts(counts: Integers, number: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the sums of each mask's counts outside and inside, int64 `[N 2]`, and whether each can be one of an image.

    `number` says how many counts each mask has, one at least. Sums that overflow have a count that is found.
    """
    odd = number % 2 > 0
    pairs = (number + 1) // 2  # a count outside and one inside; the last may be without
    ends = np.cumsum(pairs)
    first = ends - pairs
    there = np.ones(2 * int(ends[-1]), np.bool_)
    there[2 * ends[odd] - 1] = False
    grid: Integers = np.zeros(len(there), np.int64)
    grid[there] = counts
    plain = grid[2 * first]
    grid = grid.reshape(-1, 2)
    grid[first, 0] = 0  # the first count stands for itself, and so does the third: differences begin with the fourth
    grid[first[1:]] -= np.add.reduceat(grid, first, axis=0)[:-1]  # so that each mask's sum begins at 0
    running = np.cumsum(grid, axis=0)
    running[first, 0] = plain
    running[ends[odd] - 1, 1] = 0
    sound = np.ones(len(number), np.bool_)
    if running.min() < 0 or running.max() > MOST:
        absurd = np.flatnonzero(((running < 0) | (running > MOST)).any(axis=1))
        sound[np.searchsorted(ends, absurd, side="right")] = False
    return np.add.reduceat(running, first, axis=0), sound


def read_counts(text: bytes) -> Integers:
    """Return the counts of compressed run lengths that were checked before, int64: outside, inside, outside, ..."""
    values = np.frombuffer(text, dtype=np.uint8) - np.uint8(48)
    counts, _ = _decode(values, np.flatnonzero(values > 0x1F))
    for first in (1, 2):  # from the fourth on they are differences to the count two places before
        counts[first::2] = np.cumsum(counts[first::2])
    return counts


def read_placed(text: str, size: Sequence[int], offset: tuple[int, int], height: int) -> Integers:
    """Return the runs of compressed run lengths of a window of height, width `size`, in the image.

    They are their first numbers and ends, int64 `[R 2]`; they ascend, and none leaves its column of pixels: the pixel x, y of
    an image of height H has the number x * H + y. `offset` is the x, y of the window's first pixel, `height` the image's.
    """
    edges = np.cumsum(read_counts(text.encode("ascii")))
    low, high = edges[: len(edges) // 2 * 2].reshape(-1, 2).T
    low, high = low[high > low], high[high > low]
    first = low // size[0]
    columns = (high - 1) // size[0] - first + 1
    owner = np.repeat(np.arange(len(low)), columns)
    column = np.arange(len(owner)) - (np.cumsum(columns) - columns - first)[owner]
    start, end = np.maximum(low[owner], column * size[0]), np.minimum(high[owner], (column + 1) * size[0])
    moved = (column + offset[0]) * height + offset[1] - column * size[0]
    return np.stack([start + moved, end + moved], axis=1)


def read_runs(runs: Any, size: Sequence[int]) -> bytes | tuple[str, Any, str]:
    """Return the compressed text of the run lengths of an image of height, width `size`, as a file writes them.

    Anything else gives the field that is wrong, what was found there, and what was expected. A text that is
    compressed already is taken as it is: `measure_runs` checks many at once.
    """
    counts, pixels = runs.get("counts") if isinstance(runs, dict) else None, size[0] * size[1]
    if not isinstance(runs, dict) or runs.get("size") != list(size):
        found = runs.get("size") if isinstance(runs, dict) else runs
        return "segmentation.size", found, f"run lengths with its image's height and width {list(size)}"
    if isinstance(counts, str) and counts.isascii():
        return counts.encode("ascii")
    if not isinstance(counts, list) or not counts:
        return "segmentation.counts", counts, "a list of whole numbers, or compressed run lengths"
    bad = next((Words("the count {}", count) for count in counts if type(count) is not int or not 0 <= count <= pixels), None)
    if bad is None and sum(counts) != pixels:
        bad = Words("counts that sum to {}", sum(counts))
    return compress(counts) if bad is None else ("segmentation.counts", bad, f"whole numbers from 0 on that sum to {pixels}")


def compress(counts: Sequence[int]) -> bytes:
    """Return the compressed text of counts, none of them negative."""
    pixels = sum(counts)
    text: bytes = hotcoco.mask.frPyObjects({"size": [pixels, 1], "counts": list(counts)}, pixels, 1)["counts"]
    return text


def decode_runs(text: bytes, size: Sequence[int]) -> NDArray[np.uint8]:
    """Return the 0/1 mask uint8 `[H W]` of compressed run lengths that were checked before; `size` is height, width."""
    mask: NDArray[np.uint8] = hotcoco.mask.decode({"size": list(size), "counts": text})
    return mask


def decode_crop(text: bytes, size: Sequence[int]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return the smallest 0/1 array uint8 `[h w]` that holds a mask, and the x, y of its first pixel; `[0 0]` of an empty one.

    Arguments as for `decode_runs`; nothing has the size of the image.
    """
    runs = read_placed(text.decode("ascii"), size, (0, 0), size[0])
    if len(runs) == 0:
        return np.zeros((0, 0), np.uint8), (0, 0)
    (column, row), length = np.divmod(runs[:, 0], size[0]), runs[:, 1] - runs[:, 0]
    left, top = int(column[0]), int(row.min())
    width, height = int(column[-1]) + 1 - left, int((row + length).max()) - top
    first = (column - left) * height + row - top
    steps = np.zeros(width * height + 1, np.int8)
    steps[first] += 1
    steps[first + length] -= 1
    inside = np.cumsum(steps[:-1], dtype=np.int8).view(np.uint8)
    return np.ascontiguousarray(inside.reshape(width, height).T), (left, top)


def encode_mask(mask: ArrayLike) -> bytes:
    """Return the compressed run lengths of a 0/1 mask `[H W]`."""
    text: bytes = hotcoco.mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return text


def encode_polygons(
    polygons: Sequence[ArrayLike], size: Sequence[int], *, origin: Pair = (0, 0), scale: Pair = (1, 1)
) -> bytes:
    """Return the compressed run lengths, in a mask of height, width `size`, of polygons by COCO's rule, put together.

    Args:
        polygons: flat x y x y ..., in pixels.
        size: height and width of the mask.
        origin: x, y of the mask's upper left corner. Points are moved and scaled in double precision.
        scale: pixels of the mask to one of the polygons, along x and y.
    """
    moved = [((np.asarray(flat, np.float64).reshape(-1, 2) - origin) * scale).ravel().tolist() for flat in polygons]
    text: bytes = hotcoco.mask.merge(hotcoco.mask.frPyObjects(moved, *size))["counts"]
    return text


def rasterize_polygons(
    polygons: Sequence[ArrayLike], size: Sequence[int], *, origin: Pair = (0, 0), scale: Pair = (1, 1)
) -> NDArray[np.uint8]:
    """Return the 0/1 mask uint8 `[H W]` of polygons; see `encode_polygons`."""
    return decode_runs(encode_polygons(polygons, size, origin=origin, scale=scale), size)
