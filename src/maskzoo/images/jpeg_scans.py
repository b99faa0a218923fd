"""How often a progressive JPEG passes over its pixels, told before it is decoded."""

from __future__ import annotations

import re

from maskzoo.errors import ImageError

__all__ = ["MAX_SCANNED", "MAX_SCANS", "check_scans"]

MAX_SCANS = 100  # encoders write 10 or so, and each costs a pass over all pixels
MAX_SCANNED = 3_000_000_000  # pixels in all scans
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # in a scan: no filler, no restart, no byte that looks like one


def check_scans(content: bytes, size: tuple[int, int], name: str) -> None:
    """Raise ImageError for a progressive JPEG of so many scans that it takes many seconds, however small the file is."""
    place, scans, pixels = 2, 0, size[0] * size[1]
    while match := _MARKER.search(content, place):
        kind, place = match[1][0], match.end()
        scans += kind == 0xDA
        if kind >= 0xC0 and kind not in (0xD8, 0xD9):  # a segment with a length
            place += int.from_bytes(content[place : place + 2], "big")
    if scans > MAX_SCANS or scans * pixels > MAX_SCANNED:
        raise ImageError(
            f"{name}: a progressive JPEG of {scans} scans over {pixels:,} pixels; expected at most {MAX_SCANS} scans, and "
            f"{MAX_SCANNED:,} pixels in all of them; save it anew"
        )
