"""Label Studio's run lengths of a brush: the bits of thi.ng/rle-pack, of the four channels of a picture.

The bits, highest first, are a head of 32 for the count of values, 5 for the bits of a value less one, and four times 4 for
the bits of a length less one. Then, until all values are there, 1 bit says whether one value is repeated, 2 bits which of the
four lengths follows, then the length less one, and the value, or as many values as the length says. The values are red,
green, blue and alpha of each pixel, row by row; a pixel is inside where its alpha is not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_brush"]

HEAD = 32 + 5 + 4 * 4  # bits


def decode_brush(values: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the alpha channel uint8 `[H W]` of a brush's run lengths, a list of bytes; `size` is height, width.

    Raises ValueError if they are not those of a picture of this size.
    """
    try:
        content = bytes(values)
    except (TypeError, ValueError):
        raise ValueError(f"its rle is {values!r:.40}; expected a list of bytes") from None
    # One whole number of all bits would be read in quadratic time: a window of bytes is read for each field instead.
    place, total = HEAD, len(content) * 8
    if total < HEAD:
        raise ValueError(f"its rle has {len(content)} bytes; expected a head of {HEAD} bits and run lengths")

    def read(begin: int, bits: int) -> int:
        last = (begin + bits + 7) // 8
        return int.from_bytes(content[begin // 8 : last]) >> (last * 8 - begin - bits) & ((1 << bits) - 1)

    count, width = read(0, 32), read(32, 5) + 1
    lengths = [read(37 + 4 * at, 4) + 1 for at in range(4)]
    if count != size[0] * size[1] * 4 or width != 8:
        raise ValueError(
            f"its rle has {count:,} values of {width} bits; expected {size[0] * size[1] * 4:,} of 8, of its picture"
        )
    found = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        bits = lengths[read(place + 1, 2)]
        number = read(place + 3, bits) + 1
        begin = place + 3 + bits
        repeated = read(place, 1)
        place = begin + (8 if repeated else 8 * number)
        if place > total or done + number > count:
            raise ValueError(f"its rle is torn: {done:,} of {count:,} values are sound")
        if repeated:
            found[done : done + number] = read(begin, 8)
        else:
            whole = int.from_bytes(content[begin // 8 : (place + 7) // 8]) >> (-place % 8) & ((1 << 8 * number) - 1)
            found[done : done + number] = np.frombuffer(whole.to_bytes(number), np.uint8)
        done += number
    return found[3::4].reshape(size)
