"""Lists of classes that lie beside a data set's masks, and which number or colour of a mask is which class.

A list of names (`class_names.txt`, `classes.txt`, `labels.txt`: labelme's and others) numbers its lines; the background
is number 0, with a line or without; lines may have the numbers themselves. `labelmap.txt` (CVAT's and Datumaro's VOC form)
has lines `name:red,green,blue:parts:actions`; without a colour, VOC's colour of the line's number is meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskzoo.datasets.importers.builder import read_text
from maskzoo.errors import SourceError, list_some

__all__ = [
    "CLASS_FILES",
    "ClassList",
    "choose_classes",
    "find_class_list",
    "is_background",
    "is_colour_list",
    "is_no_class",
    "pack_colour",
    "parse_class_list",
    "strip_numbers",
    "voc_colour",
]

CLASS_FILES = ("labelmap.txt", "class_names.txt", "classes.txt", "labels.txt")
BLACK = 0
BACKGROUNDS = frozenset([
    "background", "bg", "back ground", "背景", "배경", "фон", "hintergrund", "fondo", "fond", "arrière-plan", "sfondo", "fundo",
    "tło",
])  # fmt: skip
_NUMBERED = re.compile(r"([0-9]{1,5})\s*[\s:.,;=)]\s*(\S.*)")
_COLOUR = re.compile(r"[^:]+:\s*(?:[0-9]+\s*[,\s]\s*[0-9]+\s*[,\s]\s*[0-9]+|#[0-9a-fA-F]{6})\s*(?::.*)?")


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes' names in order, the number and the colour (`pack_colour`) of each in masks, and where it is from."""

    origin: str
    names: tuple[str, ...]
    numbers: dict[int, str]
    colours: dict[int, str]


def is_no_class(name: str) -> bool:
    """Say whether a label names what is no object: `_background_`, `background`, `__ignore__`, `ignore`."""
    return name.strip(" _").casefold() in ("background", "ignore")


def is_background(name: str) -> bool:
    """Say whether the first name of a list is what the background is called, in one of some languages."""
    return name.strip(" _").casefold().replace("_", " ") in BACKGROUNDS


def pack_colour(red: int, green: int, blue: int) -> int:
    """Return a colour as one number."""
    return red << 16 | green << 8 | blue


def find_class_list(folders: Sequence[Path]) -> ClassList | None:
    """Read the list of classes in the first of the folders that has one. Raises SourceError if two in it disagree."""
    for folder in folders:
        paths = [folder / name for name in CLASS_FILES if (folder / name).is_file()]
        found = [parse_class_list(read_text(path).splitlines(), str(path)) for path in paths]
        for other in found[1:]:
            if other.names != found[0].names:
                raise SourceError(
                    f"{other.origin}: names {list_some(other.names)}, but {paths[0].name} beside it "
                    f"names {list_some(found[0].names)}; expected the same classes; keep the right one"
                )
        if found:
            return found[0]
    return None


def parse_class_list(lines: Sequence[str], origin: str) -> ClassList:
    """Return the classes that the lines of a list name. Raises SourceError that begins with `origin` if they make no sense."""
    rows = [line.strip() for line in lines if line.strip()]
    if is_colour_list(rows):
        return _parse_labelmap([row for row in rows if not row.startswith("#")], origin)
    while rows and rows[0].strip(" _").casefold() == "ignore":  # labelme's number -1
        del rows[0]
    if len(rows) == 1 and "," in rows[0]:
        rows = [name for name in (name.strip() for name in rows[0].split(",")) if name]
    first, rows = _take_numbers(rows, origin)
    if rows and (is_no_class(rows[0]) or is_background(rows[0])):
        first, rows = first + 1, rows[1:]
    for row in rows:
        if is_no_class(row):
            raise SourceError(f"{origin}: {row!r} stands after a class; expected it first, where it is number 0; move it there")
    return _make(rows, dict(enumerate(rows, max(first, 1))), {}, origin)


def is_colour_list(rows: Sequence[str]) -> bool:
    """Say whether all lines but comments are those of a labelmap."""
    named = [row for row in rows if not row.startswith("#")]
    return bool(named) and all(row.count(":") == 3 or _COLOUR.fullmatch(row) for row in named)


def strip_numbers(rows: Sequence[str]) -> tuple[int, list[str]]:
    """Return the number of the first name, and names without the numbers from 0 or 1 on that stand before all of them."""
    found = [match.groups() for match in map(_NUMBERED.fullmatch, rows) if match]
    numbers, names = [int(number) for number, _ in found], [name for _, name in found]
    whole = len(found) == len(rows) > 1 and numbers[0] <= 1 and numbers == [*range(numbers[0], numbers[0] + len(rows))]
    if not whole or len(set(names)) < len(names):  # 1 cent, 2 cent
        return 0, list(rows)
    return numbers[0], names


def _take_numbers(rows: list[str], origin: str) -> tuple[int, list[str]]:
    """Return what `strip_numbers` does, unless number 0, the background in masks, is a class."""
    first, names = strip_numbers(rows)
    if names != rows and first == 0 and not is_background(names[0]) and not is_no_class(names[0]):
        raise SourceError(
            f"{origin}: names {names[0]!r:.60} number 0, which is the background in masks; expected classes from number 1 on"
        )
    return first, names


def _parse_labelmap(rows: Sequence[str], origin: str) -> ClassList:
    numbers: dict[int, str] = {}
    colours: dict[int, str] = {}
    for place, row in enumerate(rows):
        name, text = (part.strip() for part in row.split(":")[:2])
        if re.fullmatch("#[0-9a-fA-F]{6}", text):
            parts = [*bytes.fromhex(text[1:])]
        else:
            values = text.replace(",", " ").split() if "," in text or " " in text else [text]
            parts = [int(part) if re.fullmatch(r"[0-9]{1,3}", part) else 256 for part in values]
        if text and (len(parts) != 3 or max(parts) > 255):
            raise SourceError(f"{origin}: the colour of {name!r:.60} is {text!r:.40}; expected red,green,blue from 0 to 255")
        colour = pack_colour(*parts) if text else voc_colour(place)
        if is_no_class(name) or (is_background(name) and colour == BLACK):
            continue
        if colour in colours or colour == BLACK:
            other = colours.get(colour, "the background")
            raise SourceError(f"{origin}: {name!r:.60} has the colour of {other!r:.60}, {text}; expected one of its own")
        numbers[place], colours[colour] = name, name
    return _make(list(numbers.values()), numbers, colours, origin)


def _make(names: Sequence[str], numbers: dict[int, str], colours: dict[int, str], origin: str) -> ClassList:
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None or not names:
        found = "names no class" if twice is None else f"names {twice!r:.60} twice"
        raise SourceError(f"{origin}: {found}; expected one class a line, each once")
    return ClassList(origin, tuple(names), numbers, colours)


def voc_colour(number: int) -> int:
    """Return the colour of a number in VOC's palette: its bits, three at a time, are the highest of red, green and blue."""
    colour = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            colour[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return pack_colour(*colour)


def choose_classes(listed: ClassList | None, given: Sequence[str] | None) -> ClassList | None:
    """Return the classes that masks have: those `listed` beside them, of which `given` names some or all in another order.

    Without a list the `given` names are those of the numbers 1, 2, ... Raises SourceError if the two disagree.
    """
    if given is None:
        return listed
    wanted = parse_class_list(given, "--classes")
    if listed is None:
        return wanted
    unknown = [name for name in wanted.names if name not in listed.names]
    if unknown:
        raise SourceError(
            f"{listed.origin}: names the classes {list_some(listed.names)}, but --classes has {list_some(unknown)}; expected "
            "names of that file, which says what the masks' numbers mean; correct the one that is wrong"
        )
    return replace(listed, names=wanted.names)
