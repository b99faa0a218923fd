"""The three tables of a COCO file in other forms than lists of rows, made into these where nothing is left to guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from maskzoo.datasets.coco_reader import TABLES

__all__ = ["list_tables"]


def list_tables(content: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Return the content of a file with its tables as lists, and what was in another form: the field, and in which.

    Taken are a file in a list of one or under one key, rows by their ids, objects by images, rows in lists of their own, and
    categories by their numbers or by their names, or as names alone where the objects show how these are numbered.
    """
    inner = _unwrap(content)
    found = [] if inner is content else [("file", "the tables inside of something else")]
    if not isinstance(inner, dict):
        return content, []
    changed: dict[str, Any] = {}
    for table in TABLES:
        rows, form = _list_rows(inner.get(table), table, _list_used({**inner, **changed}))
        if form:
            changed[table] = rows
            found.append((table, form))
    return ({**inner, **changed} if found else content), found


def _unwrap(content: Any) -> Any:
    inner = content[0] if isinstance(content, list) and len(content) == 1 else content
    if isinstance(inner, dict) and not any(table in inner for table in TABLES):
        inside = [value for value in inner.values() if isinstance(value, dict) and all(table in value for table in TABLES)]
        return inside[0] if len(inside) == 1 else content
    return inner if isinstance(inner, dict) else content


def _list_used(content: dict[str, Any]) -> set[int]:
    """Return the categories that objects name by numbers."""
    rows = content.get("annotations")
    numbers = (row.get("category_id") for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
    return {number for number in numbers if type(number) is int}


def _list_rows(rows: Any, table: str, used: set[int]) -> tuple[list[Any], str]:
    """Return a table's rows and what form it had; no form if it is a list already, or nothing is known."""
    if isinstance(rows, dict) and rows:
        values = [*rows.values()]
        if table == "categories" and not any(isinstance(value, dict | list) for value in values):
            return _list_names(rows)
        if all(isinstance(value, dict) for value in values):
            return [{"id": _to_id(key)} | value for key, value in rows.items()], "rows by their ids"
        if table == "annotations" and all(isinstance(value, list) for value in values):
            return [*_spread(rows)], "objects by their images"
    if isinstance(rows, list) and rows and table == "annotations" and all(isinstance(row, list) for row in rows):
        return [row for inner in rows for row in inner], "lists of rows"
    if isinstance(rows, list) and rows and table == "categories" and all(isinstance(row, str) for row in rows):
        first = 0 if 0 in used else 1 if used and max(used) == len(rows) else None
        if first is not None:
            return [{"id": number, "name": name} for number, name in enumerate(rows, first)], "names without numbers"
    return [], ""


def _spread(rows: dict[Any, list[Any]]) -> Iterator[Any]:
    for key, inner in rows.items():
        for row in inner:
            yield {"image_id": _to_id(key)} | row if isinstance(row, dict) else row


def _list_names(names: dict[Any, Any]) -> tuple[list[Any], str]:
    if all(isinstance(name, str) and type(_to_id(key)) is int for key, name in names.items()):
        return [{"id": _to_id(key), "name": name} for key, name in names.items()], "names by their numbers"
    if all(type(number) is int for number in names.values()):
        return [{"id": number, "name": name} for name, number in names.items()], "numbers by their names"
    return [], ""


def _to_id(key: Any) -> Any:
    return int(key) if isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 19 else key
