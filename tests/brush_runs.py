"""A second implementation of Label Studio's brush: written from thi.ng/rle-pack's description, bit by bit."""

import itertools

import numpy as np


def encode_brush(mask, lengths=(3, 4, 8, 16), literals=True):
    """Return the list of bytes of a mask `[H W]`; without `literals` every value is a run of its own."""
    values = np.repeat((np.asarray(mask) != 0).astype(np.uint8) * 255, 4).tolist()
    blocks = []  # (values, is a run)
    for value, group in itertools.groupby(values):
        number = len(list(group))
        while number:
            now = min(number, 1 << max(lengths))
            if literals and now < 5 and blocks and not blocks[-1][1] and len(blocks[-1][0]) + now <= 1 << max(lengths):
                blocks[-1][0].extend([value] * now)
            else:
                blocks.append(([value] * now, not (literals and now < 5)))
            number -= now
    bits = f"{len(values):032b}{8 - 1:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    for block, is_run in blocks:
        at = next(at for at, length in enumerate(lengths) if len(block) <= 1 << length)
        bits += f"{int(is_run)}{at:02b}{len(block) - 1:0{lengths[at]}b}"
        bits += "".join(f"{value:08b}" for value in (block[:1] if is_run else block))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
