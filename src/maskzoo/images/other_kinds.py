"""Files that stand in the place of pictures and are none that maskzoo reads: what they are, by how they begin."""

from __future__ import annotations

import re

__all__ = ["describe_kind"]

_KINDS = (
    (rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "a HEIC picture, as phones take them; save it as JPEG or PNG"),
    (rb"version https:/", "a Git LFS pointer; run `git lfs pull`"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml)", "SVG or other XML; save it as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*<", "a web page; download the picture itself"),
    (rb"%PDF", "a PDF; save its pages as PNG"),
    (rb"8BPS", "Photoshop's PSD; save it as PNG"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive; unpack it"),
    (rb"\x93NUMPY", "a NumPy array; save it as PNG"),
    (rb"\0\0\x01\0", "an icon; save it as PNG"),
)


def describe_kind(head: bytes) -> str | None:
    """Return what a file is that begins so, and what to do; None if that is not known."""
    return next((words for pattern, words in _KINDS if re.match(pattern, head, re.DOTALL)), None)
