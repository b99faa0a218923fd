"""The table beside mask pictures, `objects.csv`, that says what the number of each object is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.datasets.importers.builder import read_text
from maskzoo.errors import SourceError

__all__ = ["COLUMNS", "TABLE", "TableRow", "read_object_table"]

TABLE = "objects.csv"
COLUMNS = ("mask", "number", "class", "id", "iscrowd", "ignore", "score", "attributes")


@dataclass(frozen=True, slots=True)
class TableRow:
    """What the table says about one object."""

    label: str
    attributes: dict[str, Any]


def read_object_table(folder: Path) -> dict[tuple[str, int], TableRow] | None:
    """Read the table of a folder, by the mask's path in the folder of masks and its number; None without one.

    Raises SourceError if it lacks a column, or a row makes no sense. A table that names no masks is another one.
    """
    path = folder / TABLE
    if not path.is_file():
        return None
    rows = csv.DictReader(io.StringIO(read_text(path)))
    if "mask" not in (rows.fieldnames or ()):
        return None
    if not {"mask", "number", "class"} <= set(rows.fieldnames or ()):
        raise SourceError(f"{path}: found the columns {rows.fieldnames!r:.200}; expected {', '.join(COLUMNS)}")
    found: dict[tuple[str, int], TableRow] = {}
    for row in rows:
        key, read = _read_row(row)
        if read is None or key in found:
            raise SourceError(
                f"{path}: line {rows.line_num} is {row!r:.120}; expected a mask, a number, once in it, a class and a JSON "
                "object of attributes; correct it"
            )
        found[key] = read
    return found


def _read_row(row: Mapping[str, str | None]) -> tuple[tuple[str, int], TableRow | None]:
    number, label = row["number"] or "", row["class"]
    try:
        attributes = json.loads(row.get("attributes") or "{}")
        flags = {name: json.loads(row.get(name) or "0") for name in ("iscrowd", "ignore")}
        score = {"score": json.loads(row.get("score") or "null")}
    except (ValueError, RecursionError):
        return ("", 0), None
    if not row["mask"] or not label or not number.isdecimal() or not isinstance(attributes, dict):
        return ("", 0), None
    about = {name: value for name, value in (flags | score).items() if value}
    return (row["mask"], int(number)), TableRow(label, attributes | about)
