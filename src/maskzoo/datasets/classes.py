"""What a data set's category numbers mean: id <-> label <-> name, and how two sides that name classes agree."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskzoo.errors import ConfigError, count_words, list_some

__all__ = ["ClassMap", "ClassMatch", "fold_name", "join_classes", "match_classes"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassMap:
    """The classes of a data set or model in label order: label `i` is category id `ids[i]`, called `names[i]`.

    Ids may have gaps, any order and any start; each stands once. Names may repeat. Raises ConfigError otherwise.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.names):
            raise ConfigError(f"classes: found {len(self.ids)} ids and {len(self.names)} names; expected one name each")
        if len(set(self.ids)) != len(self.ids):
            twice = min(number for number, count in Counter(self.ids).items() if count > 1)
            raise ConfigError(f"classes: category id {twice} stands more than once; expected each id once")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_classes(cls, classes: Mapping[int, str]) -> ClassMap:
        """Build from a model file's `classes`, which stand in label order."""
        return cls(tuple(classes), tuple(classes.values()))

    def to_classes(self) -> dict[int, str]:
        """Return id -> name in label order, as a model file holds it."""
        return dict(self.to_pairs())

    def to_pairs(self) -> list[tuple[int, str]]:
        """Return id and name of each, in label order."""
        return list(zip(self.ids, self.names, strict=True))

    def to_categories(self) -> list[dict[str, Any]]:
        """Return the `categories` of a COCO file."""
        return [{"id": number, "name": name} for number, name in self.to_pairs()]

    def to_labels(self, ids: Sequence[int]) -> Integers:
        """Return the label 0..C-1 of each category id, int64. Raises ConfigError for an id that is not one of these."""
        label = {number: place for place, number in enumerate(self.ids)}
        unknown = [number for number in ids if number not in label]
        if unknown:
            raise ConfigError(f"classes: no category has the id {unknown[0]}; known are {list_some(map(str, self.ids))}")
        return np.array([label[number] for number in ids], dtype=np.int64)

    def to_ids(self, labels: ArrayLike) -> Integers:
        """Return the category id of each label, int64. Raises ConfigError for a label outside 0..C-1."""
        wanted = np.asarray(labels, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise ConfigError(f"classes: found the label {outside[0]}; expected 0 to {len(self) - 1}")
        return np.array(self.ids, dtype=np.int64)[wanted]


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """How a model's classes are a data set's: `labels` int64 `[C]`, the data set's label of each of the model's, or -1.

    `note` explains it where ids or spellings differ, or where one side lacks a class, else it is None.
    """

    labels: Integers
    note: str | None


def match_classes(
    model: ClassMap, data: ClassMap, model_name: str, data_name: str, objects: Sequence[int] | None = None
) -> ClassMatch:
    """Find the data set's class of each of a model's: by id and name, by name, or by the name in other capitals or spaces.

    Either side may have classes that the other lacks: these are left out, and `note` says so, with the number of
    `objects` of each of the data set's classes, if it is given.

    Raises ConfigError if no class is in common, or if a name stands more than once and nobody knows which one is meant.
    """
    labels = _pair(model, data, model_name, data_name)
    if max(labels, default=0) < 0:
        raise ConfigError(
            f"{data_name} and {model_name} have no class in common; in the data: {list_some(data.names)}; in the model: "
            f"{list_some(model.names)}; use a model trained on these classes, or rename those of the data with --classes "
            "map.yml, a line for each: `name in the model: name in the data`"
        )
    shared = [(ours, theirs) for ours, theirs in enumerate(labels) if theirs >= 0]
    moved = [
        f"{model.names[ours]}: {model.ids[ours]} -> {data.ids[theirs]}"
        for ours, theirs in shared
        if model.ids[ours] != data.ids[theirs]
    ]
    notes = [f"{data_name} numbers its classes differently from {model_name}; they were matched by name ({list_some(moved)})"]
    notes = [*(notes if moved else []), *_note_spelling(model, data, shared)]
    if lacking := [name for name, label in zip(model.names, labels, strict=True) if label < 0]:
        notes.append(f"{_count(lacking)} of {model_name} left out, which {data_name} does not have: {list_some(lacking)}")
    if unknown := [label for label in range(len(data)) if label not in set(labels)]:
        names = [data.names[label] + _count_objects(objects, label) for label in unknown]
        notes.append(f"{_count(names)} of {data_name} left out, which {model_name} does not know: {list_some(names)}")
    return ClassMatch(np.array(labels, dtype=np.int64), "; ".join(notes) or None)


def join_classes(train: ClassMap, val: ClassMap, objects: Sequence[int]) -> tuple[ClassMap, str | None]:
    """Return the classes of both splits, matched by name, those of train first; and what was joined, in words.

    `objects` has the number of objects of each class of val: one that train lacks and that has none is left out.

    Raises ConfigError if names and ids leave open which class is meant.
    """
    labels = _pair(train, val, "train", "val")
    lacking = {train.ids[place]: train.names[place] for place, label in enumerate(labels) if label < 0}
    extra = {val.ids[label]: val.names[label] for label in range(len(val)) if label not in set(labels)}
    used = {number: name for number, name in extra.items() if objects[val.ids.index(number)]}
    if renamed := [
        f"{number} is {lacking[number]!r} in train and {used[number]!r} in val" for number in used if number in lacking
    ]:
        raise ConfigError(
            f"the classes of train and val disagree: {list_some(renamed)}; if they are the same, rename one with --classes "
            "map.yml (`new name: [old, old]`), else give each class an id of its own"
        )
    if len(lacking) == len(train):
        raise ConfigError(
            f"train and val have no class in common; train has {list_some(train.names)}; val has {list_some(val.names)}; "
            "rename them with --classes map.yml (`new name: [old, old]`), or give the right file with --val"
        )
    free = max((*train.ids, *val.ids)) + 1
    added = {number if number not in train.ids else free + place: name for place, (number, name) in enumerate(used.items())}
    notes = _note_spelling(train, val, [(ours, theirs) for ours, theirs in enumerate(labels) if theirs >= 0])
    notes += [f"val has no class {list_some(lacking.values())}: added, without an object"] if lacking else []
    notes += [f"train has no class {list_some(used.values())}, which val has: added, but it cannot be learned"] if used else []
    empty = [name for number, name in extra.items() if number not in used]
    notes += [f"val's class {list_some(empty)} has no object and is not in train: left out"] if empty else []
    joined = ClassMap((*train.ids, *added), (*train.names, *added.values()))
    return joined, "; ".join(["the classes of train and val were joined by name", *notes]) if notes else None


def fold_name(name: str) -> str:
    """Return a class's name without capitals, spaces, hyphens and underscores, to find it where it is written otherwise."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if letter not in "-_" and not letter.isspace()) or name


def _pair(ours: ClassMap, theirs: ClassMap, our_name: str, their_name: str) -> list[int]:
    """Return the label in `theirs` of each of our classes, or -1: first by id and name, then by name, then `fold_name`."""
    places = {pair: place for place, pair in enumerate(theirs.to_pairs())}
    labels = [places.get(pair, -1) for pair in ours.to_pairs()]
    met = {ours.names[place] for place, label in enumerate(labels) if label >= 0}
    if again := [name for label, name in enumerate(theirs.names) if label not in set(labels) and name in met]:
        raise _refuse_twice(their_name, again[0])
    keys: tuple[Callable[[str], str], ...] = (str, fold_name)
    for key in keys:
        left = [place for place, label in enumerate(labels) if label < 0]
        taken = set(labels)
        sides = (
            (our_name, [(place, key(ours.names[place])) for place in left]),
            (their_name, [(label, key(name)) for label, name in enumerate(theirs.names) if label not in taken]),
        )
        both = {name for _, name in sides[0][1]} & {name for _, name in sides[1][1]}
        for side, classes in sides:
            if twice := [name for name, count in Counter(name for _, name in classes).items() if count > 1 and name in both]:
                raise _refuse_twice(side, twice[0])
        found = {name: label for label, name in sides[1][1]}
        for place, name in sides[0][1]:
            labels[place] = found.get(name, -1)
    return labels


def _refuse_twice(side: str, name: str) -> ConfigError:
    return ConfigError(
        f"{side} has more than one class called {name!r}, capitals and spaces aside; expected each once; join "
        "or rename them: --classes map.yml joins those of one name, as does `maskzoo data check DATA --fix OUT`"
    )


def _note_spelling(ours: ClassMap, theirs: ClassMap, shared: Sequence[tuple[int, int]]) -> list[str]:
    pairs = [(theirs.names[label], ours.names[place]) for place, label in shared]
    other = [f"{found!r} for {name!r}" for found, name in pairs if found != name]
    return [f"{_count(other)} told by the name in other capitals, spaces or signs: {list_some(other)}"] if other else []


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} class{'' if len(names) == 1 else 'es'}"


def _count_objects(objects: Sequence[int] | None, label: int) -> str:
    return "" if objects is None else f" ({count_words(int(objects[label]), 'object')})"
