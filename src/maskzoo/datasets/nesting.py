"""How an outline's numbers are nested, and polygons made of any nesting that leaves nothing to guess."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from maskzoo.datasets.run_forms import fit_box, unwrap_runs
from maskzoo.datasets.sifted import LARGEST_NUMBER

__all__ = ["describe_nesting", "join_columns", "nest"]

DEEPEST = 6  # lists in lists that are looked into
NAMES = (("x", "y"), ("X", "Y"))  # of a point's coordinates
COLUMNS = (("all_points_x", "all_points_y"), ("xs", "ys"), ("x", "y"))  # of all points' coordinates
FEWEST = 6  # numbers of a polygon
# Numbers with any separators, a path of SVG in absolute coordinates, or WKT.
_TEXT = re.compile(r"\s*(?:MULTIPOLYGON|POLYGON)?[-+\d.e\s,;()MLZ]+", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.ASCII)


def describe_nesting(outline: Any) -> str | None:
    """Return in words what an outline is that is no list of flat lists of numbers; None if it may be one, or nothing is known.

    Run lengths are none of its business. Looks at the first part only: it is called for every object.
    """
    first = outline[0] if isinstance(outline, list) and outline else outline
    if isinstance(outline, list) and type(first) is list and first and type(first[0]) in (int, float) and len(first) != 2:
        return None  # nearly always
    if unwrap_runs(outline) is not outline:
        return "run lengths in a text" if isinstance(outline, str) else "run lengths in a list"
    polygons = _nest(outline, DEEPEST)
    if polygons is None or polygons == outline:
        return None
    if isinstance(outline, str):
        return "a text"
    if isinstance(outline, dict):
        return "GeoJSON's geometry" if "coordinates" in outline else "lists of x and y"
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
    deep or as a JSON text, numbers as texts or in one, paths of SVG, WKT and GeoJSON without holes, OpenCV's contours, and
    lists of all x and all y.
    """
    polygons = _nest(outline, DEEPEST)
    return polygons and [_open(polygon) for polygon in polygons]


def join_columns(outline: Any, bbox: Any) -> list[list[float]] | None:
    """Return the polygon of two lists, all x and all y, where the object's box shows that they are these; else None."""
    if not (isinstance(outline, list) and len(outline) == 2 and all(isinstance(one, list) for one in outline)):
        return None
    (xs, ys), polygons = outline, _nest(outline, 2)
    if polygons is None or len(polygons) != 2 or len(xs) != len(ys) or len(xs) < FEWEST // 2:
        return None
    pairs = [value for polygon in polygons for value in polygon]
    as_polygons = [min(pairs[::2]), min(pairs[1::2]), max(pairs[::2]), max(pairs[1::2])]
    columns = [min(xs), min(ys), max(xs), max(ys)]
    if not fit_box(columns, bbox) or (len(xs) % 2 == 0 and fit_box(as_polygons, bbox)):
        return None
    return [_open([value for pair in zip(xs, ys, strict=True) for value in pair])]


def _nest(value: Any, deepest: int) -> list[list[float]] | None:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, str):
        return _read_text(value)
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
    polygons = [] if None in parts else [polygon for part in parts if part is not None for polygon in part]
    if len(polygons) >= FEWEST // 2 and all(len(polygon) == 2 for polygon in polygons):  # OpenCV's points stand in lists of one
        return [[number for point in polygons for number in point]]
    return polygons or None


def _read_text(text: str) -> list[list[float]] | None:
    """Return the polygons of a text that holds their numbers; holes of WKT are not taken for polygons."""
    if not _TEXT.fullmatch(text) or re.search(r"[^)]\)\s*,\s*\([^(]", text):
        return None
    parts = [[float(number) for number in _NUMBER.findall(part)] for part in re.split(r"[MZ()]+", text)]
    polygons = [part for part in parts if part]
    return polygons if polygons and all(len(part) >= FEWEST and len(part) % 2 == 0 for part in polygons) else None


def _to_number(value: Any) -> float | None:
    if type(value) is float or (type(value) is int and abs(value) < LARGEST_NUMBER):
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
    rings = value.get("coordinates")
    if value.get("type") in ("Polygon", "MultiPolygon") and isinstance(rings, list):
        shapes = [rings] if value["type"] == "Polygon" else rings
        without_holes = all(isinstance(shape, list) and len(shape) == 1 for shape in shapes)
        return _nest(rings, 4) if without_holes else None
    points = value.get("points")
    return _nest(points, 2) if isinstance(points, list) else None


def _open(polygon: list[float]) -> list[float]:
    """Leave out a last point that is the first again."""
    return polygon[:-2] if len(polygon) >= 8 and polygon[:2] == polygon[-2:] else polygon
