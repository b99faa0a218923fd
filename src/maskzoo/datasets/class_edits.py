"""A class map of the user (--classes map.yml): classes renamed, merged, left out and put in another order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMap
from maskzoo.errors import ArgumentError, ConfigError, list_some, suggest
from maskzoo.model_file import parse_yaml
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.files import read_regular

__all__ = [
    "ClassEdits",
    "EditedClasses",
    "GivenClasses",
    "edit_contents",
    "is_class_map",
    "list_categories",
    "read_class_edits",
]

GivenClasses: TypeAlias = "str | Path | Mapping[str, Any]"
DROP, REST, RESTS = "drop", "rest", ("keep", "drop")
FORM = "a line for each new class, `vehicle: [car, truck]`; `drop: [...]` and `rest: keep` or `rest: drop`, if wanted"
LARGEST_FILE = 1 << 20  # bytes: thousands of classes


@dataclass(frozen=True, slots=True)
class EditedClasses:
    """The classes that a map makes of some data: `classes` in their order, and `labels`, old name -> new label or -1."""

    classes: ClassMap
    labels: Mapping[str, int]

    def edit(self, annotations: AnnotationSet) -> AnnotationSet:
        """Return a data set with these classes; objects of those that are left out go, images stay."""
        labels = [self.labels[name] for name in annotations.classes.names]
        return annotations.relabel(self.classes, np.array(labels, dtype=np.int64))

    def edit_content(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a COCO file with these classes. What has no class that is known stays as it is."""
        rows = [row for row in _list_rows(content, "categories") if _is_sound(row) and row["name"] in self.labels]
        label = {row["id"]: self.labels[row["name"]] for row in rows}
        first = {number: row for row in reversed(rows) if (number := self.labels[row["name"]]) >= 0}
        categories = [
            {**first.get(place, {}), "id": number, "name": name}
            for place, (number, name) in enumerate(self.classes.to_classes().items())
        ]
        categories += [row for row in _list_rows(content, "categories") if row not in rows]
        annotations = []
        for row in _list_rows(content, "annotations"):
            old = row.get("category_id") if isinstance(row, dict) else None
            place = label.get(old) if isinstance(old, int | str) else None
            if place is None:
                annotations.append(row)
            elif place >= 0:
                annotations.append({**row, "category_id": self.classes.ids[place]})
        return {**content, "categories": categories, "annotations": annotations}

    def to_dict(self) -> dict[str, str | None]:
        """Return the new name of each old one, None for those that are left out."""
        return {old: None if label < 0 else self.classes.names[label] for old, label in self.labels.items()}

    @classmethod
    def from_dict(cls, names: Mapping[str, str | None], classes: ClassMap) -> EditedClasses:
        """Build from what `to_dict` returned."""
        return cls(classes, {old: -1 if new is None else classes.names.index(new) for old, new in names.items()})

    def __str__(self) -> str:
        sources = [[old for old, label in self.labels.items() if label == place] for place in range(len(self.classes))]
        pairs = zip(self.classes.names, sources, strict=True)
        changed = [f"{name} from {' + '.join(old)}" for name, old in pairs if old != [name]]
        gone = [old for old, label in self.labels.items() if label < 0]
        same = len(sources) - len(changed)
        parts = [list_some(changed)] if changed else []
        parts += [f"{same} as {'it is' if same == 1 else 'they are'}"] if same else []
        parts += [f"left out: {list_some(gone)}"] if gone else []
        return f"{len(self.classes)} class{'' if len(self.classes) == 1 else 'es'}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True)
class ClassEdits:
    """What a class map says: `sources`, new name -> old ones in order; the names to `drop`; what becomes of the `rest`."""

    origin: str
    sources: Mapping[str, tuple[str, ...]]
    drop: tuple[str, ...]
    rest: str | None

    def resolve(self, *splits: Iterable[tuple[int | None, str]]) -> EditedClasses:
        """Return the classes of some splits, given as ids and names: a new class has the id of its first old one, everywhere.

        Raises ConfigError for a name that no split has, a class that the map does not mention, or if none would be left.
        """
        pairs = [pair for classes in splits for pair in classes]
        known = [*dict.fromkeys(name for _, name in pairs)]
        for name in (*(old for names in self.sources.values() for old in names), *self.drop):
            if name not in known:
                raise ConfigError(self._explain_unknown(name, known))
        labels = {old: place for place, names in enumerate(self.sources.values()) for old in names}
        labels |= dict.fromkeys(self.drop, -1)
        rest = [name for name in known if name not in labels]
        if rest and self.rest is None:
            raise ConfigError(
                f"{self.origin}: does not say what becomes of {list_some(rest)}; give each a line (`{rest[0]}:` keeps it), or "
                "all of them `rest: keep` or `rest: drop`"
            )
        if self.rest == "keep" and (twice := [name for name in rest if name in self.sources]):
            raise ConfigError(
                f"{self.origin}: {twice[0]!r} is a new class, and one of the data that would stay beside it; if they are the "
                f"same, write `{twice[0]}: [{', '.join((twice[0], *self.sources[twice[0]]))}]`"
            )
        names = [*self.sources, *(rest if self.rest == "keep" else ())]
        labels |= {name: names.index(name) if self.rest == "keep" else -1 for name in rest}
        if not names:
            raise ConfigError(f"{self.origin}: leaves no class; expected one at least")
        return EditedClasses(ClassMap(_choose_ids(names, labels, pairs), tuple(names)), labels)

    def _explain_unknown(self, name: str, known: Sequence[str]) -> str:
        new = next((new for new, old in self.sources.items() if name in old), None)
        if new in known and new is not None:
            return f"{self.origin}: no class is called {name!r}; the new name stands first: `{name}: {new}`"
        return f"{self.origin}: no class is called {name!r}; {suggest(name, known) or f'known are {list_some(known)}'}"


def _choose_ids(names: Sequence[str], labels: Mapping[str, int], pairs: Sequence[tuple[int | None, str]]) -> tuple[int, ...]:
    free = max((number for number, _ in pairs if number is not None), default=0) + 1
    ids: list[int] = []
    for label in range(len(names)):
        wanted = [number for number, name in pairs if number is not None and labels[name] == label and number not in ids]
        ids.append(wanted[0] if wanted else free)
        free += not wanted
    return tuple(ids)


def is_class_map(given: object) -> bool:
    """Say whether `--classes` is a class map: a mapping, or a file that ends in .yml or .yaml and is no list of names."""
    if isinstance(given, Mapping):
        return True
    if not isinstance(given, str | Path) or Path(given).suffix.lower() not in (".yml", ".yaml"):
        return False
    return not isinstance(_read_yaml(Path(given)), list)


def read_class_edits(given: GivenClasses) -> ClassEdits:
    """Read a class map: a .yml file, or what stands in one as a mapping.

    Raises ConfigError that says what is wrong in it, ArgumentError for something that is no class map.
    """
    if not isinstance(given, Mapping) and not is_class_map(given):
        raise ArgumentError(f"classes (--classes): found {str(given)!r:.80}; expected a class map (.yml), {FORM}")
    origin = "classes" if isinstance(given, Mapping) else str(given)
    content = given if isinstance(given, Mapping) else _read_yaml(Path(given))
    if not isinstance(content, Mapping) or not content:
        raise ConfigError(f"{origin}: no mapping; expected {FORM}")
    rest = content.get(REST)
    if rest is not None and rest not in RESTS:
        raise ConfigError(f"{origin}: rest is {rest!r}; expected keep or drop")
    new = [key for key in content if key not in (DROP, REST)]
    sources = {_check_name(key, origin): _list_names(content[key], origin, (key,)) for key in new}
    if empty := next((name for name, old in sources.items() if not old), None):
        raise ConfigError(f"{origin}: {empty!r} has no old class; expected the names of one or more behind the colon")
    drop = _list_names(content.get(DROP), origin, ())
    names = [*(name for old in sources.values() for name in old), *drop]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ConfigError(f"{origin}: {twice[0]!r} goes to two places; expected each old name once")
    return ClassEdits(origin, sources, drop, rest)


def _list_names(value: Any, origin: str, empty: tuple[str, ...]) -> tuple[str, ...]:
    """Return the old names of a line; nothing after the colon stands for `empty`."""
    values = empty if value is None else value if isinstance(value, list | tuple) else [value]
    return tuple(_check_name(name, origin) for name in values)


def _check_name(value: Any, origin: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{origin}: found {value!r} as the name of a class; expected a text (12 and yes need quotes)")
    return value


def _read_yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: {path.stat().st_size:,} bytes; a class map has at most {LARGEST_FILE:,}")
        return parse_yaml(read_regular(path).decode("utf-8-sig"), str(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; expected a class map (--classes): {FORM}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a class map: {error}; expected a UTF-8 text file") from error


def _list_rows(content: Mapping[str, Any], table: str) -> list[Any]:
    rows = content.get(table)
    return rows if isinstance(rows, list) else []


def _is_sound(row: Any) -> bool:
    return isinstance(row, dict) and type(row.get("id")) in (int, str) and isinstance(row.get("name"), str)


def edit_contents(
    contents: Mapping[str, dict[str, Any]], edits: ClassEdits, on_progress: OnProgress
) -> dict[str, dict[str, Any]]:
    """Return the content of the COCO file of each split with the classes of a map, and say what became of them."""
    edited = edits.resolve(*map(list_categories, contents.values()))
    on_progress(ProgressEvent("Reading annotations", note=f"{edits.origin}: {edited}"))
    return {
        split: edited.edit_content(content) if isinstance(content, dict) else content for split, content in contents.items()
    }


def list_categories(content: Any) -> list[tuple[int | None, str]]:
    """Return the names of the categories of a COCO file's content, each with its id if that is a whole number."""
    content = content if isinstance(content, dict) else {}
    rows = [row for row in _list_rows(content, "categories") if _is_sound(row)]
    return [(row["id"] if type(row["id"]) is int else None, row["name"]) for row in rows]
