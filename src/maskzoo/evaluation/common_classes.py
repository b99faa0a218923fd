"""What is scored where a model and a data set do not have the same classes: the objects and rows of those that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMap, ClassMatch
from maskzoo.evaluation.results import Results

__all__ = ["LeftOut", "keep_common"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A class of the data set that the model does not know: its category `id`, its name, its objects without crowds."""

    id: int
    name: str
    objects: int


def keep_common(
    annotations: AnnotationSet, results: Results, match: ClassMatch | None
) -> tuple[AnnotationSet, Results, tuple[LeftOut, ...]]:
    """Return objects and rows of the classes in `match`, both with labels of these alone, and the classes that go.

    All images stay: a detection on an image whose only objects are of other classes is wrong all the same. AP of a class
    does not depend on the others, so the numbers are those of the whole data set, averaged over the common classes.
    """
    classes = annotations.classes
    kept = np.arange(len(classes)) if match is None else np.unique(match.labels[match.labels >= 0])
    if len(kept) == len(classes):
        return annotations, results, ()
    labels = np.full(len(classes), -1)
    labels[kept] = np.arange(len(kept))
    objects = annotations.count_objects()
    gone = [LeftOut(classes.ids[label], classes.names[label], objects[label]) for label in np.flatnonzero(labels < 0).tolist()]
    ids, names = (tuple(column[label] for label in kept.tolist()) for column in (classes.ids, classes.names))
    return annotations.relabel(ClassMap(ids, names), labels), results.relabel(labels), tuple(gone)
