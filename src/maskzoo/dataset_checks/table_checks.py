"""What the rows of images and categories show all together, and the categories of one split beside another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from maskzoo.datasets.annotations import find_trainable
from maskzoo.datasets.classes import fold_name
from maskzoo.datasets.coco_reader import find_first
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import list_some
from maskzoo.faults import Fault, Words, quote

__all__ = ["CHECKS", "check_classes", "check_trainable", "find_spelt"]

UNUSED = Words("no object"), "one at least"


def _check_image_rows(sifted: Sifted) -> Iterator[Fault]:
    rows, used, files = sifted.tables["images"], _count_ids(sifted, "image_id"), dict[str, int]()
    for number, place in find_first(rows).items():
        where: dict[str, Any] = {"table": "images", "row": number, "place": place, "image": number}
        if not used[number]:
            yield sifted.name_file("image-without-objects", "", *UNUSED, **where)
        name = rows[place].get("file_name")
        if not isinstance(name, str):
            continue
        if _leaves_folder(name):
            expected = "a path inside the folder of the images, with / between folders"
            yield sifted.name_file("unsafe-file-name", "file_name", name, expected, **where)
        if (first := files.setdefault(name, number)) != number:
            found = Words("{}, as in image {}", name, first)
            yield sifted.name_file("duplicate-file-name", "file_name", found, "each file once", **where)


def _check_category_rows(sifted: Sifted) -> Iterator[Fault]:
    rows, used, names = sifted.tables["categories"], _count_ids(sifted, "category_id"), dict[str, int]()
    for number, place in find_first(rows).items():
        where: dict[str, Any] = {"table": "categories", "row": number, "place": place}
        if not used[number]:
            yield sifted.name_file("category-without-objects", "", *UNUSED, **where)
        name = rows[place].get("name")
        if isinstance(name, str) and (first := names.setdefault(name, number)) != number:
            found = Words("{}, as of category {}", name, first)
            yield sifted.name_file("duplicate-category-name", "name", found, "each name once", **where)


CHECKS: tuple[Callable[[Sifted], Iterator[Fault]], ...] = (_check_image_rows, _check_category_rows)


def check_trainable(sifted: Sifted) -> Iterator[Fault]:
    """Find a split that has nothing to learn, unless that follows from faults of its rows."""
    at_fault = len(sifted.packed.ids) < len(sifted.tables["annotations"])
    if not at_fault and not find_trainable(sifted.packed).any():
        found = Words("{} annotations, none that trains", len(sifted.tables["annotations"]))
        yield sifted.name_file("nothing-to-learn", "annotations", found, "one object at least")


def check_classes(splits: Mapping[str, Sifted]) -> Iterator[Fault]:
    """Compare the classes of each split with those of the first."""
    parts = [*splits.values()]
    for other in parts[1:]:
        first = parts[0]
        expected, found = first.packed.classes, other.packed.classes
        ours, theirs = expected.to_classes(), found.to_classes()
        for number in sorted(find_spelt(ours, theirs)):
            wanted = Words("{}, as in {} ({})", ours[number], Words(first.split), first.packed.source)
            yield other.name_file("classes-spelt", "name", theirs[number], wanted, table="categories", row=number)
            theirs[number] = ours[number]
        if ours == theirs:
            continue
        if len(set(expected.names)) == len(expected.names) and sorted(expected.names) == sorted(theirs.values()):
            moved = [f"{number} {quote(name)}" for number, name in theirs.items() if ours.get(number) != name]
            wanted = Words("the ids of {} ({})", Words(first.split), first.packed.source)
            yield other.name_file("classes-renumbered", "categories", Words(list_some(moved)), wanted)
            continue
        code = "classes-differ"
        if joined := _find_lacking(ours, theirs):
            code, ours, theirs = "classes-joined", *joined
        for number in sorted(number for number in ours.keys() | theirs.keys() if ours.get(number) != theirs.get(number)):
            wanted = Words("{}, as in {} ({})", _name(ours.get(number)), Words(first.split), first.packed.source)
            found_name = _name(theirs.get(number))
            yield other.name_file(code, "name", found_name, wanted, table="categories", row=number)


def find_spelt(ours: Mapping[int, str], theirs: Mapping[int, str]) -> set[int]:
    """Return the ids under which two splits have one class, in other capitals, or with other spaces, `-` and `_`."""
    return {
        number
        for number, name in theirs.items()
        if ours.get(number, name) != name and fold_name(ours[number]) == fold_name(name) and ours[number] not in theirs.values()
    }


def _find_lacking(ours: dict[int, str], theirs: dict[int, str]) -> tuple[dict[int, str], dict[int, str]] | None:
    """Return the classes that the other side lacks by name, or None if a name may stand for another one, by its id."""
    lacking = {number: name for number, name in ours.items() if name not in theirs.values()}
    unknown = {number: name for number, name in theirs.items() if name not in ours.values()}
    twice = any(len(set(side.values())) < len(side) for side in (ours, theirs))
    unclear = twice or lacking.keys() & unknown.keys() or len(lacking) == len(ours)
    return None if unclear else (lacking, unknown)


def _name(name: str | None) -> str | Words:
    return Words("no such category") if name is None else name


def _count_ids(sifted: Sifted, field: str) -> Counter[int]:
    values = (row.get(field) for row in sifted.tables["annotations"] if isinstance(row, dict))
    return Counter(int(value) for value in values if type(value) is int or (isinstance(value, str) and value.isdecimal()))


def _leaves_folder(name: str) -> bool:
    """Say whether a name is absolute or goes up, on any system: a backslash is part of a name or parts folders."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths) or "\\" in name
