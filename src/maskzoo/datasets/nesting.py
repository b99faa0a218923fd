"""How an outline's numbers are nested, and polygons made of any nesting that leaves nothing to guess."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["describe_nesting", "nest"]

DEEPEST = 6  # lists in lists that are looked into
NAMES = (("x", "y"), ("X", "Y"))  # of a point's coordinates
COLUMNS = (("all_points_x", "all_points_y"), ("xs", "ys"), ("x", "y"))  # of all points' coordinates


def describe_nesting(outline: Any) -> str | None:
    """Return in words what an outline is that is no list of flat lists of numbers; None if it may be one, or nothing is known.

    Run lengths are none of its business. Looks at the first part only: it is called for every object.
    """
    first = outline[0] if isinstance(outline, list) and outline else outline
    if isinstance(outline, list) and type(first) is list and first and type(first[0]) in (int, float) and len(first) != 2:
        return None  # nearly always
    polygons = _nest(outline, DEEPEST)
    if polygons is None or polygons == outline:
        return None
    if isinstance(outline, str):
        return "a text"
    if isinstance(outline, dict):
        return "lists of x and y"
    if isinstance(first, dict):
        return "a list of points with names for x and y"
    if not isinstance(first, list):
        return "a flat list of numbers"
    if not isinstance(first[0], list | dict):
        return "a list of points" if len(first) == 2 else "numbers written as texts"
    inner = first[0][0] if isinstance(first[0], list) and first[0] else None
    return "polygons nested too deep" if isinstance(inner, list) or len(first[0]) != 2 else "polygons of points"


def nest(outline: Any) -> list[list[float]] | None:
    """Return polygons, each a flat list x, y, x, y ... with its first point once; None if `outline` is nothing like it.

    Taken are numbers in one list, points as pairs or with names, polygons of these, any of it one or more levels too
    deep or as a JSON text, numbers as texts, and lists of all x and all y.
    """
    polygons = _nest(outline, DEEPEST)
    return polygons and [_open(polygon) for polygon in polygons]


def _nest(value: Any, deepest: int) -> list[list[float]] | None:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict):
        return _join_columns(value)
    if not isinstance(value, list) or not value or deepest == 0:
        return None
    numbers = [_to_number(one) for one in value]
    if None not in numbers:
        return [[one for one in numbers if one is not None]]
    points = [_to_point(one) for one in value]
    if None not in points:
        return [[number for point in points if point is not None for number in point]]
    parts = [_nest(one, deepest - 1) for one in value]
    return None if None in parts else [polygon for part in parts if part is not None for polygon in part]


def _to_number(value: Any) -> float | None:
    if type(value) is int or type(value) is float:
        return value
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _to_point(value: Any) -> tuple[float, float] | None:
    """Return x and y of a pair, or of an object with exactly these names."""
    if isinstance(value, dict):
        pair = next(([value[x], value[y]] for x, y in NAMES if x in value and y in value), [])
    else:
        pair = value if isinstance(value, list) else []
    x, y = (_to_number(one) for one in pair) if len(pair) == 2 else (None, None)
    return None if x is None or y is None else (x, y)


def _join_columns(value: dict[str, Any]) -> list[list[float]] | None:
    for x_name, y_name in COLUMNS:
        xs, ys = value.get(x_name), value.get(y_name)
        if isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys) > 0:
            return _nest([[x, y] for x, y in zip(xs, ys, strict=True)], 1)
    points = value.get("points")
    return _nest(points, 2) if isinstance(points, list) else None


def _open(polygon: list[float]) -> list[float]:
    """Leave out a last point that is the first again."""
    return polygon[:-2] if len(polygon) >= 8 and polygon[:2] == polygon[-2:] else polygon
