"""Names of classes as a person gives them: a list, a text, or a file of any of the usual forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.importers.builder import read_text
from maskzoo.datasets.importers.class_lists import is_colour_list, parse_class_list, strip_numbers
from maskzoo.errors import ArgumentError
from maskzoo.model_file import parse_yaml

__all__ = ["read_class_names"]

TABLES = ("categories", "names", "classes")  # of a COCO file, YOLO's data.yaml, and others
ENDINGS = (".txt", ".names", ".json", ".yml", ".yaml", ".csv", ".pbtxt")


def read_class_names(given: str | Path | Sequence[str]) -> list[str]:
    """Return names of classes in order: those of a sequence, of "cat,dog", or of a file.

    A text file has a name a line, with or without its number, or is a labelmap.txt. JSON and YAML hold a list of names,
    categories with `id` and `name`, numbers with their names or names with their numbers; or one of these under
    `categories`, `names` or `classes`.

    Raises ArgumentError if there are no names, or one stands twice; else what reading the file raises.
    """
    listed: Any
    path = Path(given) if isinstance(given, str | Path) else None
    if path is None:
        listed = given
    elif path.is_file() and path.suffix.lower() == ".json":
        listed = _find_names(read_json(path))
    elif path.suffix.lower() in (".yml", ".yaml"):
        listed = _find_names(parse_yaml(read_text(path), str(given)))
    elif path.is_file():
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        listed = parse_class_list(lines, str(given)).names if is_colour_list(lines) else strip_numbers(lines)[1]
    elif path.suffix.lower() in ENDINGS:
        raise ArgumentError(f"{given}: no such file; expected the names of classes, one a line (--classes)")
    else:
        listed = str(given).split(",")
    names = [name for name in (str(name).strip() for name in listed or ()) if name]
    if not names or len(set(names)) != len(names):
        raise ArgumentError(f"classes are {given!r:.80}; expected names, each once (--classes)")
    return names


def _find_names(content: Any) -> list[str] | None:
    """Return the names that a JSON or YAML file holds, in the order of their numbers; None if there are none."""
    if isinstance(content, dict):
        table = next((content[key] for key in TABLES if isinstance(content.get(key), list | dict)), None)
        if table is not None:
            return _find_names(table)
        if all(str(key).isdecimal() and isinstance(name, str) for key, name in content.items()):
            return [name for _, name in sorted(content.items(), key=lambda pair: int(pair[0]))]
        if all(type(number) is int for number in content.values()):
            return [str(name) for name, _ in sorted(content.items(), key=lambda pair: pair[1])]
        return None
    rows = content if isinstance(content, list) else []
    if all(isinstance(row, dict) and type(row.get("id")) is int and isinstance(row.get("name"), str) for row in rows):
        return [row["name"] for row in sorted(rows, key=lambda row: row["id"])]
    return [str(name) for name in rows] if all(type(name) in (str, int, float) for name in rows) else None
