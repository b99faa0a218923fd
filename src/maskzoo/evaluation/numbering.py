"""What the ids of a result file mean: by the names of its images where they are known, else by the ids alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMatch, match_classes
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.picture_names import split_address
from maskzoo.errors import AnnotationsError
from maskzoo.faults import Fault, Words

__all__ = ["Numbering", "number_by_ids", "number_by_names"]


@dataclass(frozen=True, slots=True)
class Numbering:
    """What the ids of a result file mean: `images`, image id -> place in the data set, and `labels`, category id -> label.

    A label is -1 where the data set has no such class. `source` is the file that says so, the data set's own or an index;
    `named`, bool `[I]`, the images an index names, and `match`, how its classes are the data set's, None without one;
    `notes` say in words what is not beyond doubt.
    """

    images: dict[int, int]
    labels: dict[int, int]
    source: str
    named: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    match: ClassMatch | None = None


def number_by_ids(annotations: AnnotationSet) -> Numbering:
    """Take the ids for the data set's own."""
    images = {number: place for place, number in enumerate(annotations.image_ids.tolist())}
    return Numbering(images, {number: label for label, number in enumerate(annotations.classes.ids)}, annotations.source)


def number_by_names(index: str | Path, annotations: AnnotationSet) -> Numbering:
    """Find the image of the data set that each id of an index names, and the class, by `match_classes`.

    Two names mean the same image if one is the end of the other, part by part; of several such images, the one that
    agrees in most parts. If there is none, the last part decides where only one image has it, and `notes` say so.

    Raises AnnotationsError with every fault: an index that is damaged, a name that matches none or several of the data set's,
    two names of one image, another size than the data set says. Raises ConfigError if the classes disagree.
    """
    advice = f"predict the data set itself, which keeps its ids: `maskzoo predict MODEL {annotations.source} --score 0`"
    try:
        known = read_annotations(index)
    except AnnotationsError as error:
        advice = f"it says what the ids of the results beside it mean; predict again, or {advice}"
        raise AnnotationsError(error.faults, advice) from None
    objects = annotations.count_objects()
    match = match_classes(known.classes, annotations.classes, str(index), annotations.source, objects)
    places, faults, loose = _match_names(known, annotations)
    for row, place in places.items():
        found, expected = known.sizes[row].tolist(), annotations.sizes[place].tolist()
        if found != expected:
            name = annotations.file_name(place)
            size = Words("{} x {}, as {} says of {}", expected[1], expected[0], Words(annotations.source), name)
            there = Words("{} x {} pixels for {}", found[1], found[0], known.file_name(row))
            faults.append(_name(known, row, "size-differs", "width x height", there, size))
    if faults:
        raise AnnotationsError(faults, f"evaluate on the data set that was predicted, or {advice}")
    named = np.zeros(len(annotations), np.bool_)
    named[list(places.values())] = True
    notes = [] if match.note is None else [match.note]
    if loose:
        first = f"{known.file_name(loose[0])!r} for {annotations.file_name(places[loose[0]])!r}"
        notes.append(f"{len(loose)} images were told by the last part of their names alone, the first is {first}")
    images = {int(known.image_ids[row]): place for row, place in places.items()}
    labels = dict(zip(known.classes.ids, match.labels.tolist(), strict=True))
    return Numbering(images, labels, str(index), named, tuple(notes), match)


def _match_names(known: AnnotationSet, annotations: AnnotationSet) -> tuple[dict[int, int], list[Fault], list[int]]:
    """Return the place of each row of an index, what is wrong, and the rows that only agree in the last part."""
    names = [_split(annotations.file_name(place)) for place in range(len(annotations))]
    by_last: dict[str, list[int]] = defaultdict(list)
    for place, parts in enumerate(names):
        by_last[parts[-1]].append(place)
    places: dict[int, int] = {}
    owner: dict[int, int] = {}
    faults: list[Fault] = []
    loose: list[int] = []
    for row, number in enumerate(known.image_ids.tolist()):
        name = _split(known.file_name(row))
        ranks = {place: _agree(name, names[place]) for place in by_last[name[-1]]}
        best = [place for place, rank in ranks.items() if rank == max(ranks.values())]
        if len({tuple(names[place]) for place in best}) == 1 and len(best) > 1:  # the same file, listed more than once
            best = [place for place in best if annotations.image_ids[place] == number]
        expected = "the name of one image of {}"
        values: list[str | Words] = [Words(annotations.source)]
        if len(best) == 1 and best[0] not in owner:
            places[row], owner[best[0]] = best[0], row
            loose += [] if ranks[best[0]][0] else [row]
            continue
        if len(best) == 1:
            expected = "one name for {}, which {} is already"
            values = [annotations.file_name(best[0]), known.file_name(owner[best[0]])]
        elif best:
            expected += f"; {' and '.join('{}' for _ in best[:3])} fit alike"
            values += [annotations.file_name(place) for place in best[:3]]
        else:
            expected += ", which has no such file"
        faults.append(_name(known, row, "unknown-image", "file_name", known.file_name(row), Words(expected, *values)))
    return places, faults, loose


def _name(known: AnnotationSet, row: int, code: str, field: str, found: Any, expected: Words) -> Fault:
    """Return a fault of an image of an index."""
    return Fault(code, known.source, field, found, expected, table="images", row=int(known.image_ids[row]))


def _split(name: str) -> list[str]:
    return split_address(name) or [name]


def _agree(one: Sequence[str], other: Sequence[str]) -> tuple[bool, int]:
    """Return whether one of two paths is the end of the other, and in how many last parts they agree."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count == min(len(one), len(other)), count
