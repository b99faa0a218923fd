"""YAML text of a user: plain values and nothing else, built from the parser's events in a time that follows the text's length.

Of YAML's types only those of its core schema are there: null, true and false, whole and other numbers, text. What PyYAML
makes of dates, of `yes` and `1:30`, of tags and of aliases, which can nest into gigabytes, does not exist here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

__all__ = ["CORE", "MAX_DEPTH", "parse_yaml_text"]

MAX_DEPTH = 100
MAX_DIGITS = 400  # above any number that a float holds
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast, where PyYAML was built with it
CORE = {  # tag, how such a scalar looks
    "null": re.compile(r"|~|null|Null|NULL"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
}


def parse_yaml_text(text: str) -> Any:
    """Return the values of a YAML text. Raises ValueError, with the line where it can be told.

    Refused are tags, aliases, a key that stands twice or is a list or mapping, more than one document, and nesting deeper
    than 100.
    """
    try:
        events = yaml.parse(text, Loader=_PARSER)
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            return None
        value = _build(events, next(events), 0)
        next(events)
        if not isinstance(event := next(events), yaml.StreamEndEvent):
            raise _refuse(event, "a second document begins; expected one")
        return value
    except (yaml.YAMLError, UnicodeError, StopIteration, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _build(events: Iterator[Any], event: Any, depth: int) -> Any:
    if isinstance(event, yaml.AliasEvent):
        raise _refuse(event, "aliases (*name) are not allowed here; write the value out")
    if event.tag is not None:
        raise _refuse(event, f"tags ({str(event.tag)[:60]}) are not allowed here; write the plain value")
    if isinstance(event, yaml.ScalarEvent):
        return _resolve(event) if event.implicit[0] else event.value
    if depth == MAX_DEPTH:
        raise _refuse(event, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(event, yaml.SequenceStartEvent):
        values = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            values.append(_build(events, event, depth + 1))
        return values
    mapping: dict[Any, Any] = {}
    seen: set[str] = set()
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise _refuse(event, "a key is a list, a mapping or an alias; expected text or a number")
        key = _build(events, event, depth + 1)
        if str(key) in seen:  # JSON, which keys end as, does not tell 1 from "1"
            raise _refuse(event, f"key {key if len(str(key)) < 60 else str(key)[:60] + '...'!r} is given twice")
        seen.add(str(key))
        mapping[key] = _build(events, next(events), depth + 1)
    return mapping


def _resolve(event: Any) -> Any:
    text: str = event.value
    kind = next((kind for kind, form in CORE.items() if form.fullmatch(text)), "str")
    if kind in ("int", "float") and len(text) > MAX_DIGITS:
        raise _refuse(event, f"a number of {len(text)} digits; expected at most {MAX_DIGITS}")
    if kind == "int":
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return {"null": None, "bool": text in ("true", "True", "TRUE"), "str": text}[kind]


def _refuse(event: Any, fault: str) -> ValueError:
    return ValueError(f"line {event.start_mark.line + 1}: {fault}")
