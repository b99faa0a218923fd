"""JSON text of a user: the one reader, which says what is wrong and where."""

from __future__ import annotations

import gc
import json
import re
from typing import Any

from maskzoo.system.encodings import describe_encoding

__all__ = ["parse_json"]

# A string with what makes it a key, or the beginning or the end of an object.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}]')


def parse_json(content: bytes) -> Any:
    """Return the values of JSON text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    NaN and Infinity, which JSON does not allow, come as numbers: the code that checks the values names their row. Raises
    ValueError, with line and column, for a key that stands twice in one object (Python keeps the last, other readers
    the first) and for anything that is not JSON.
    """
    if not content:
        raise ValueError("the file is empty, 0 bytes")
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

    collecting = gc.isenabled()
    gc.disable()  # a large file is millions of objects, none of them garbage: twice as fast without looking
    try:
        values = json.loads(text, object_pairs_hook=to_dict)
    except RecursionError:
        raise ValueError("values are nested too deep") from None
    finally:
        if collecting:
            gc.enable()
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
