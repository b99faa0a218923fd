"""JSON text of a user: the one reader, which says what is wrong and where."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from maskzoo.system.collecting import without_collecting
from maskzoo.system.encodings import describe_encoding

__all__ = ["UNUSUAL", "has_keys", "parse_json"]

# A string with what makes it a key, or the beginning or the end of an object.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}]')

_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")  # a key may hide in it from a search for its name
# What msgspec raises for a file that is not as its schema says, or is no JSON.
UNUSUAL = (msgspec.MsgspecError, RecursionError, UnicodeError)


def parse_json(content: bytes) -> Any:
    """Return the values of JSON text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    NaN and Infinity, which JSON does not allow, come as numbers: the code that checks the values names their row. Raises
    ValueError, with line and column, for a key that stands twice in one object (Python keeps the last, other readers
    the first) and for anything that is not JSON.
    """
    if not content:
        raise ValueError("the file is empty, 0 bytes")
    with without_collecting():
        try:
            values = msgspec.json.decode(content)
            if _count_colons(msgspec.json.encode(values)) == _count_colons(content):
                return values
        except UNUSUAL:
            pass  # something is wrong, or allowed here alone: the other parser knows what and where
        return _parse_slowly(content)


def _count_colons(content: bytes) -> int:
    """Return the number of colons, escaped ones too. A text has more than its values written anew if a key was dropped."""
    return content.count(b":") + content.count(b"\\u003a") + content.count(b"\\u003A")


def has_keys(content: bytes, counts: Mapping[str, int], rows: slice = slice(0, 0), others: int = 0) -> bool:
    """Say whether each key stands that often in a JSON text: in every object once, if so many of them have it.

    In the bytes `rows` nothing else is expected but these keys and `others` more texts. If their quotes are as many as
    all of these have, there is nothing else: one search instead of one for each key. It begins and ends between texts.
    """
    if _ESCAPED_LETTER.search(content):
        return False
    start, stop, _ = rows.indices(len(content))
    texts = {key: b'"%b"' % key.encode("ascii") for key in counts}
    outside = {key: content.count(text, 0, start) + content.count(text, stop) for key, text in texts.items()}
    if start < stop and content.count(b'"', start, stop) == 2 * (sum(counts.values()) - sum(outside.values()) + others):
        return True
    return all(outside[key] + content.count(text, start, stop) == counts[key] for key, text in texts.items())


def _parse_slowly(content: bytes) -> Any:
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(describe_encoding(content, error)) from None
    repeats = 0

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        found = dict(pairs)
        repeats += len(pairs) - len(found)
        return found

    try:
        values = json.loads(text, object_pairs_hook=to_dict)
    except RecursionError:
        raise ValueError("values are nested too deep") from None
    if repeats:
        key, place = _find_repeated(text)
        raise json.JSONDecodeError(f"the key {key} stands twice in one object", text, place)
    return values


def _find_repeated(text: str) -> tuple[str, int]:
    """Return the first key, as written, that its object has already, and where it stands."""
    objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in objects[-1]:
                return token[1][:80], token.start()
            objects[-1].add(key)
    raise AssertionError("the reader has met a key twice")
