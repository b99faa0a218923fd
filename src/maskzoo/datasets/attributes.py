"""What an annotation file says of images and objects beside their classes: tags and attributes, as slices are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import read_json

__all__ = ["Attributes", "read_attributes"]

MOST_VALUES = 20  # an attribute with more values is a number or a name, which makes no slices


@dataclass(frozen=True, slots=True)
class Attributes:
    """Rows of `images` and of `objects` (annotations), int64, by a text such as `weather: rain` or the tag's name."""

    images: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    objects: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def read_attributes(annotations: AnnotationSet) -> Attributes:
    """Read `tags` (a list of names) and `attributes` (name -> text, whole number or bool) of the file of a data set.

    Returns nothing where the set was not read from a file that is still there. Raises AnnotationsError as `read_json`.
    """
    if not Path(annotations.source).is_file():
        return Attributes()
    content = read_json(annotations.source)
    return Attributes(
        _collect(content.get("images"), annotations.image_ids), _collect(content.get("annotations"), annotations.ids)
    )


def _collect(rows: Any, ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    place = {number: row for row, number in enumerate(ids.tolist())}
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and type(row.get("id")) is int and row["id"] in place:
            for pair in _list_values(row):
                found[pair].append(place[row["id"]])
    values: dict[str, int] = defaultdict(int)
    for name, _ in found:
        values[name] += 1
    few = {pair: members for pair, members in sorted(found.items()) if not pair[0] or values[pair[0]] <= MOST_VALUES}
    return {f"{name}: {value}" if name else value: np.unique(members) for (name, value), members in few.items()}


def _list_values(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    tags, attributes = row.get("tags"), row.get("attributes")
    yield from (("", tag) for tag in (tags if isinstance(tags, list) else []) if isinstance(tag, str))
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if isinstance(value, bool):
            yield name, "yes" if value else "no"
        elif isinstance(value, str | int):
            yield name, str(value)
