"""COCO run lengths as data: read and checked here, many masks at once, before native mask code sees them.

The compressed text writes each count in groups of five bits, low ones first, from the character '0' on; bit 5 says
that another character follows, bit 4 of the last one is the sign. From the fourth count on, the difference to the
count two places before is written. Counts alternate outside, inside, outside ..., column by column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["compress", "find_bad_runs", "measure"]

Integers = NDArray[np.int64]
LONGEST = 7  # characters of one count: 35 bits hold any count and difference of an image below 2^33 pixels


def measure(texts: Sequence[bytes], pixels: Sequence[int] | Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return each mask's area in pixels, int64 `[N]`, and whether its text is a mask of `pixels[i]` pixels, bool `[N]`.

    Areas mean something only where the second is true.
    """
    area, sound = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for start in range(0, len(texts), 8192):  # keeps the arrays on the way small
        part = slice(start, start + 8192)
        area[part], sound[part] = _measure(texts[part], np.asarray(pixels[part], dtype=np.int64))
    return area, sound


def _measure(texts: Sequence[bytes], pixels: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    characters = np.frombuffer(b"".join(texts), dtype=np.uint8)
    owner = np.repeat(np.arange(len(texts)), lengths)
    values = characters.astype(np.int64) - 48
    bad = np.bincount(owner[(values < 0) | (values > 63)], minlength=len(texts)) > 0
    last = (values & 0x20) == 0  # of a count
    ends = np.cumsum(lengths) - 1
    bad |= lengths == 0
    bad[lengths > 0] |= ~last[ends[lengths > 0]]  # the text breaks off within a count
    if bad.any():  # the arithmetic below wants whole texts
        area, sound = np.zeros(len(texts), np.int64), ~bad
        kept = [text for text, broken in zip(texts, bad, strict=True) if not broken]
        if kept:
            area[sound], sound[~bad] = _measure(kept, pixels[~bad])
        return area, sound
    if not len(texts):
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    first = np.flatnonzero(np.concatenate([[True], last[:-1]]))  # where each count begins
    size = np.diff(first, append=len(values))
    place = np.arange(len(values)) - np.repeat(first, size)
    sound = np.bincount(owner[place >= LONGEST], minlength=len(texts)) == 0
    shift = 5 * np.minimum(place, LONGEST)
    counts = np.add.reduceat((values & 0x1F) << shift, first)
    negative = (values[last] & 0x10) != 0
    counts -= negative * (np.int64(1) << (5 * np.minimum(size, LONGEST + 1)))
    counts_owner = owner[first]
    begins = np.searchsorted(counts_owner, np.arange(len(texts)))
    index = np.arange(len(counts)) - begins[counts_owner]
    counts = _undo_differences(counts, index, counts_owner)
    outside = index % 2 == 0
    # A count above the image's pixels also bounds the sums below: they cannot overflow unseen.
    wrong = (counts < 0) | (counts > pixels[counts_owner])
    sound &= np.bincount(counts_owner[wrong], minlength=len(texts)) == 0
    counts[~sound[counts_owner]] = 0
    area = np.add.reduceat(np.where(outside, 0, counts), begins)
    sound &= np.add.reduceat(counts, begins) == pixels
    return area, sound


def _undo_differences(counts: Integers, index: Integers, owner: Integers) -> Integers:
    """Add to each count from the fourth on the one two places before: a running sum over every second count of a mask."""
    chain = np.where(index == 0, 0, np.where(index % 2 == 1, 1, 2)).astype(np.uint8)
    order = np.argsort(chain, kind="stable")  # all firsts, all odd places, all even ones, each mask by mask
    sums = np.cumsum(counts[order])
    key = owner[order] * 3 + chain[order]
    begin = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    before = np.repeat(sums[begin] - counts[order][begin], np.diff(begin, append=len(order)))
    undone = np.empty_like(counts)
    undone[order] = sums - before
    return undone


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
