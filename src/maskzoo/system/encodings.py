"""Text that is not UTF-8: which encoding it looks like, said with a sample, so that a reader sees whether that is true."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["describe_encoding"]

LEAST_TYPICAL = 0.9  # of the letters beyond ASCII must be everyday ones of a script
LOOKED_AT = 1 << 20  # bytes
_BEYOND = re.compile(r"[^\x00-\x7f]")
_SAMPLE = re.compile(r'[^"\\\x00-\x1f]{0,12}[^\x00-\x7f][^"\\\x00-\x1f]{0,24}')


def _lead(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Return whether a letter's first byte is among those of the everyday letters of a double-byte encoding."""
    return lambda letter: len(code := letter.encode(encoding, "ignore")) == 2 and first <= code[0] <= last


# Name, what it is, which letters are everyday ones, and what never stands in such text.
_SCRIPTS: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
    ("GB18030", "GBK, Chinese Windows", _lead("gb2312", 0xB0, 0xD7), "$^"),
    ("CP949", "Korean Windows", _lead("euc_kr", 0xB0, 0xC8), "$^"),
    ("CP932", "Shift-JIS, Japanese Windows", _lead("cp932", 0x82, 0x97), "$^"),
    ("BIG5", "Chinese in Taiwan", _lead("big5", 0xA4, 0xC6), "$^"),
    (
        "CP1251",
        "Cyrillic Windows",
        lambda letter: "\u0410" <= letter <= "\u044f",
        r"[A-Za-z][Ѐ-ӿ]|[Ѐ-ӿ][A-Za-z]",
    ),
    ("CP1252", "Latin-1, Western Windows", lambda letter: "À" <= letter <= "ÿ" and letter not in "\xd7\xf7", r"[À-ÿ]{3}"),
)


def describe_encoding(content: bytes, error: UnicodeDecodeError) -> str:
    """Return why bytes are no UTF-8, what they look like, with a sample in each such encoding, and how to convert them."""
    some = content[:LOOKED_AT]
    some = some if len(some) == len(content) else some[: some.rfind(b'"') + 1]  # between two letters
    found = [(name, what, text) for name, what, letters, never in _SCRIPTS if (text := _try(some, name, letters, never))]
    if not found:
        return f"{error}; expected UTF-8: save it so"
    looks = " or ".join(f"{name} ({what}), where it says {_show(text)!r}" for name, what, text in found)
    which = "" if len(found) == 1 else " from the one that reads right"
    return f"{error}; it looks like {looks}; convert it{which}: iconv -f {found[0][0]} -t UTF-8 FILE > NEW"


def _try(content: bytes, encoding: str, is_everyday: Callable[[str], bool], never: str) -> str | None:
    """Return the text if it looks like one in this encoding."""
    if b"\0" in content:
        return None
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    beyond = _BEYOND.findall(text)
    fits = sum(map(is_everyday, beyond)) >= LEAST_TYPICAL * len(beyond) and not re.search(never, text)
    return text if fits else None


def _show(text: str) -> str:
    match = _SAMPLE.search(text)
    return match[0].strip() if match else ""
