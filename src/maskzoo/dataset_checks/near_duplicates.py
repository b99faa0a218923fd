"""Find pictures that are nearly the same: saved again, made smaller, brightened.

A thumbnail's cosine transform gives 64 bits that hardly change in a copy; few different bits make a candidate, and the
thumbnails themselves confirm it. On 427 photos of COCO the nearest two of all 90,951 pairs differ in 14 bits.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "find_earlier_duplicates", "find_near_duplicates", "hash_thumbnail", "make_thumbnail"]

Pixels = NDArray[np.uint8]
SIDE = 32  # pixels of a thumbnail
MOST_BITS = 10  # of 64 that differ between copies; brightened by a quarter they differ in 8 at most
LEAST_CORRELATION = 0.95  # a copy brightened by a quarter, its lights cut off, keeps 0.97
LARGEST_CHANGE = 45.0  # grey levels, of all but a hundredth of a thumbnail: a large new object changes it by more
LEAST_CONTRAST = 4.0  # grey levels of deviation: flatter pictures are all alike, and say nothing
ROWS_AT_ONCE = 64
_BITS = np.array([bin(number).count("1") for number in range(1 << 16)], dtype=np.uint8)


def make_thumbnail(pixels: Pixels) -> Pixels:
    """Return an RGB picture uint8 `[H W 3]` as a grey thumbnail uint8 `[32 32]`, each pixel the mean of its part."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def hash_thumbnail(thumbnail: Pixels) -> int:
    """Return 64 bits: which of the 64 lowest frequencies, without the mean, are above their median."""
    frequencies = cv2.dct(thumbnail.astype(np.float32))[:9, :9].ravel()[1:65]
    return int.from_bytes(np.packbits(frequencies > np.median(frequencies)).tobytes(), "big")


def find_near_duplicates(thumbnails: Pixels, others: Pixels) -> list[tuple[int, int]]:
    """Return pairs of near duplicates (place in `thumbnails`, place in `others`), both uint8 `[N 32 32]`.

    Each of `others` is in one pair at most, with the nearest.
    """
    hashes, wanted = (np.array([hash_thumbnail(one) for one in part], dtype=np.uint64) for part in (thumbnails, others))
    pairs = []
    for start in range(0, len(wanted) if len(hashes) else 0, ROWS_AT_ONCE):
        bits = _count_bits(wanted[start : start + ROWS_AT_ONCE, None] ^ hashes[None])
        for row in np.flatnonzero((bits <= MOST_BITS).any(axis=1)).tolist():
            near = np.flatnonzero(bits[row] <= MOST_BITS)
            for place in near[np.argsort(bits[row, near], kind="stable")].tolist():
                if _are_alike(thumbnails[place], others[start + row]):
                    pairs.append((place, start + row))
                    break
    return pairs


def find_earlier_duplicates(thumbnails: Pixels) -> dict[int, int]:
    """Return which of `thumbnails` uint8 `[N 32 32]` are near duplicates of an earlier one, itself none, and of which."""
    hashes = np.array([hash_thumbnail(one) for one in thumbnails], dtype=np.uint64)
    kept: list[int] = []
    found: dict[int, int] = {}
    for place in range(len(hashes)):
        bits = _count_bits(hashes[np.array(kept, np.intp)] ^ hashes[place])
        near = (kept[row] for row in np.flatnonzero(bits <= MOST_BITS).tolist())
        first = next((other for other in near if _are_alike(thumbnails[other], thumbnails[place])), None)
        if first is None:
            kept.append(place)
        else:
            found[place] = first
    return found


def _count_bits(values: NDArray[np.uint64]) -> Pixels:
    bits = _BITS[np.ascontiguousarray(values).view(np.uint16)].reshape(*values.shape, 4)
    return np.asarray(bits.sum(axis=-1, dtype=np.uint8))


def _are_alike(first: Pixels, second: Pixels) -> bool:
    """Compare two thumbnails after one got the other's brightness and contrast."""
    ours, theirs = (one.astype(np.float64) - one.mean() for one in (first, second))
    if min(ours.std(), theirs.std()) < LEAST_CONTRAST:
        return False
    common = float((ours * theirs).sum())
    correlation = common / float(np.sqrt((ours**2).sum() * (theirs**2).sum()))
    change = np.abs(ours * (common / float((ours**2).sum())) - theirs)
    return correlation >= LEAST_CORRELATION and float(np.quantile(change, 0.99)) <= LARGEST_CHANGE
