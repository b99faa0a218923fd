"""What a data set's category numbers mean: id <-> label <-> name, and how two sides that name classes agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskzoo.errors import ConfigError, list_some

__all__ = ["ClassMap", "ClassMatch", "match_classes"]

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
        return dict(zip(self.ids, self.names, strict=True))

    def to_categories(self) -> list[dict[str, Any]]:
        """Return the `categories` of a COCO file."""
        return [{"id": number, "name": name} for number, name in zip(self.ids, self.names, strict=True)]

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
    """How a model's classes are a data set's: `labels` int64 `[C]`, the data set's label of each of the model's.

    `note` explains it where ids differ and the names had to decide, else it is None.
    """

    labels: Integers
    note: str | None


def match_classes(model: ClassMap, data: ClassMap, model_name: str, data_name: str) -> ClassMatch:
    """Find the data set's class of each of a model's: by id and name, or by name where only the ids differ.

    The order may differ. Raises ConfigError that says which ids and names disagree: a model that knows other classes
    than the data set has no meaningful AP on it.
    """
    ours, theirs = model.to_classes(), data.to_classes()
    if ours == theirs:
        return ClassMatch(data.to_labels(model.ids), None)
    if set(model.names) == set(data.names) and len(model) == len(data) == len(set(data.names)):
        label = {name: place for place, name in enumerate(data.names)}
        labels = np.array([label[name] for name in model.names], dtype=np.int64)
        moved = [f"{name}: {number} -> {data.ids[label[name]]}" for number, name in ours.items() if theirs.get(number) != name]
        note = f"{data_name} numbers its classes differently from {model_name}; they were matched by name ({list_some(moved)})"
        return ClassMatch(labels, note)
    raise ConfigError(_describe(ours, theirs, model_name, data_name))


def _describe(ours: Mapping[int, str], theirs: Mapping[int, str], model_name: str, data_name: str) -> str:
    renamed = [
        f"{number} is {name!r} in the model and {theirs[number]!r} in the data"
        for number, name in ours.items()
        if number in theirs and theirs[number] != name
    ]
    lacking = [f"{number} {name!r}" for number, name in theirs.items() if number not in ours]
    extra = [f"{number} {name!r}" for number, name in ours.items() if number not in theirs]
    parts = [f"{data_name} has {len(theirs)} categories, {model_name} has {len(ours)} classes, and they disagree"]
    parts += [f"other names: {list_some(renamed)}"] if renamed else []
    parts += [f"only in the data: {list_some(lacking)}"] if lacking else []
    parts += [f"only in the model: {list_some(extra)}"] if extra else []
    advice = "use a model trained on these categories, or correct `classes` in the model file"
    return "; ".join([*parts, advice])
