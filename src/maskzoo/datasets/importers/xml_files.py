"""XML of annotation tools: elements and attributes, nothing that leads outside of the file or grows in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import Size
from maskzoo.datasets.known_formats import name_format
from maskzoo.errors import SourceError
from maskzoo.images.find import find_pictures
from maskzoo.system.files import open_regular

__all__ = ["list_xml", "parse_xml", "read_numbers", "read_roots", "read_size", "read_whole", "read_xml"]

LARGEST_FILE = 1 << 29  # bytes; the elements take several times as much memory
TRIED = 20  # files of a folder that are looked into
DEEPEST = 50  # elements in each other: annotation tools write five


def list_xml(source: Path) -> list[tuple[Path, str]]:
    """Return the first XML files of a source, each with the name of its format ("" if that is unknown)."""
    files = find_pictures(source, {".xml"}, lambda path, reason: None) if source.is_dir() else [source]
    found = islice((path for path in files if path.suffix.lower() == ".xml"), TRIED)
    return [(path, (name_format(path) or ("",))[0]) for path in found]


def read_roots(labels: Labels, tag: str, tool: str) -> Iterator[tuple[Path, Element]]:
    """Yield the XML files of a source with their roots; those that cannot be read or have another root are skipped by name."""
    for path in labels.list_files(".xml"):
        try:
            root = read_xml(path)
        except SourceError as error:
            labels.skip(path, "", error)
            continue
        if root.tag == tag:
            yield path, root
        else:
            labels.skip(path, "", f"not {tool}'s XML: it begins with <{root.tag}>; expected <{tag}>")


def read_xml(path: Path) -> Element:
    """Return the root of an XML file. Raises SourceError if there is none that is safe to read: see `parse_xml`."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise SourceError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_FILE:,}; export it in parts")
        with open_regular(path) as stream:
            return parse_xml(stream, path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def parse_xml(stream: BinaryIO, name: str | Path) -> Element:
    """Return the root of the XML of a stream; `name` says in errors where it is from.

    Raises SourceError if there is none that is safe to read: a document type is refused, because its entities may be other
    files, or a few bytes that stand for gigabytes.
    """
    tree, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise SourceError(f"{name}: elements are nested more than {DEEPEST} deep; expected annotations; export it again")
        tree.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    def refuse(*_: Any) -> None:
        raise SourceError(f"{name}: has a document type (<!DOCTYPE), which may stand for other files; remove that line")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, tree.data
    parser.StartDoctypeDeclHandler, parser.buffer_text = refuse, True
    try:
        parser.ParseFile(stream)
        return tree.close()
    except expat.ExpatError as error:
        raise SourceError(f"{name}: no XML: {error}; export it again") from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not have
        raise SourceError(f"{name}: cannot be read: {error}") from error


def read_numbers(texts: list[str | None], names: str) -> list[float]:
    """Return texts as numbers. Raises ValueError that names the fields and what was found in them."""
    try:
        numbers = [float(text or "") for text in texts]
    except ValueError:
        numbers = []
    if not numbers or not all(abs(number) < 1e9 for number in numbers):  # a NaN is not below it either
        raise ValueError(f"{names} are {', '.join(map(str, texts))!r:.80}; expected finite numbers")
    return numbers


def read_whole(text: str | None) -> int | None:
    """Return a text as a whole number from 0 on, None if it is none or absurdly large."""
    return int(text) if text is not None and re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def read_size(width: str | None, height: str | None) -> Size | None:
    """Return the height and width that an XML file says, None if it says none."""
    sides = read_whole(height), read_whole(width)
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
