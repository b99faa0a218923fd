"""COCO run lengths as data: read and checked here, many masks at once, before native mask code sees them.

The compressed text writes each count in groups of five bits, low ones first, from the character '0' on; bit 5 says
that another character follows, bit 4 of the last one is the sign. From the fourth count on, the difference to the
count two places before is written. Counts alternate outside, inside, outside ..., column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compress", "find_bad_runs", "measure"]

Integers = NDArray[np.int64]
TEXTS_AT_ONCE = 1024  # keeps the arrays on the way in the processor's cache
LONGEST = 7  # characters of one count: 35 bits hold any count and difference of an image below 2^33 pixels


def measure(texts: Sequence[bytes], pixels: Sequence[int] | Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return each mask's area in pixels, int64 `[N]`, and whether its text is a mask of `pixels[i]` pixels, bool `[N]`.

    Areas mean something only where the second is true.
    """
    area, sound = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = slice(start, start + TEXTS_AT_ONCE)
        area[part], sound[part] = _measure(texts[part], np.asarray(pixels[part], dtype=np.int64))
    return area, sound


def _measure(texts: Sequence[bytes], pixels: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ends = np.cumsum(lengths)
    values = np.frombuffer(b"".join(texts), dtype=np.uint8) - np.uint8(48)  # what is below '0' wraps to above 63
    whole = lengths > 0
    whole[whole] = values[ends[whole] - 1] < 0x20  # else the text breaks off within a count
    whole &= _sum_parts(values > 63, ends) == 0
    if not whole.all():  # the arithmetic below wants whole texts
        area, sound = np.zeros(len(texts), np.int64), whole.copy()
        kept = [text for text, good in zip(texts, whole, strict=True) if good]
        if kept:
            area[whole], sound[whole] = _measure(kept, pixels[whole])
        return area, sound
    counts, size = _decode(values)
    number = _sum_parts(values < 0x20, ends)  # of counts
    sound = _sum_parts(size > LONGEST, np.cumsum(number)) == 0
    odd = ((np.arange(len(counts)) - np.repeat(np.cumsum(number) - number, number)) & 1).astype(np.bool_)
    # Each count above the image's pixels is found, so the sums of the sound ones cannot overflow unseen.
    inside = _undo_differences(counts[odd], number // 2, 0)
    outside = _undo_differences(counts[~odd], number - number // 2, 1)
    for part, share in ((inside, number // 2), (outside, number - number // 2)):
        wrong = (part < 0) | (part > np.repeat(pixels, share))
        sound &= _sum_parts(wrong, np.cumsum(share)) == 0
    area = _sum_parts(inside, np.cumsum(number // 2))
    sound &= area + _sum_parts(outside, np.cumsum(number - number // 2)) == pixels
    return area, sound


def _decode(values: NDArray[np.uint8]) -> tuple[Integers, Integers]:
    """Return what each count writes (a count or a difference), and how many characters it has."""
    last = np.flatnonzero(values < 0x20)
    first = np.concatenate([[0], last[:-1] + 1])
    size = last - first + 1
    counts = (values[first] & 0x1F).astype(np.int64)
    for place in range(1, LONGEST):
        longer = np.flatnonzero(size > place)
        counts[longer] |= (values[first[longer] + place] & 0x1F).astype(np.int64) << (5 * place)
    negative = (values[last] & 0x10) != 0
    counts[negative] -= np.int64(1) << (5 * np.minimum(size[negative], LONGEST))
    return counts, size


def _undo_differences(counts: Integers, number: Integers, plain: int) -> Integers:
    """Return running sums within each mask's `number` of counts; its first `plain` ones stand for themselves."""
    begin = (np.cumsum(number) - number)[number > 0]
    running = counts.copy()
    if plain:
        running[begin] = 0
    sums = np.cumsum(running)
    sums -= np.repeat(sums[begin] - running[begin], number[number > 0])
    if plain:
        sums[begin] = counts[begin]
    return sums


def _sum_parts(values: NDArray[Any], ends: Integers) -> Integers:
    """Return the sums of consecutive parts that end before `ends`; a part may be empty."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])[ends]
    return np.diff(sums, prepend=0)


def find_bad_runs(counts: Sequence[object], pixels: int) -> str | None:
    """Return what is wrong with an uncompressed list of counts of an image of `pixels` pixels, or None."""
    for count in counts:
        if type(count) is not int or not 0 <= count <= pixels:
            return f"the count {count!r}"
    total = sum(count for count in counts if isinstance(count, int))
    return None if total == pixels else f"counts that sum to {total}"


def compress(counts: Sequence[int]) -> bytes:
    """Return the compressed text of counts."""
    text = bytearray()
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            bits, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if bits & 0x10 else 0)
            text.append(bits + 48 + (0x20 if more else 0))
            if not more:
                break
    return bytes(text)
