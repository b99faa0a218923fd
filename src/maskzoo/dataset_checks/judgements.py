"""Judge a data set as a whole, and each of its splits: what all objects, classes or files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from maskzoo.dataset_checks.annotation_checks import Objects, measure_objects
from maskzoo.dataset_checks.content_judgements import (
    judge_classes,
    judge_crowds,
    judge_names,
    judge_numbering,
    judge_shapes,
    judge_shared_images,
)
from maskzoo.dataset_checks.file_name_judgement import judge_file_names
from maskzoo.dataset_checks.file_size_judgement import judge_file_sizes
from maskzoo.dataset_checks.geometry_judgements import judge_geometry
from maskzoo.dataset_checks.judgement import LOOKS, Judgement
from maskzoo.dataset_checks.whole_set import WholeSet, list_subjects
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.sifted import Sifted
from maskzoo.faults import Fault

__all__ = ["JUDGES", "judge_annotations", "judge_splits"]

JUDGES: tuple[Callable[[WholeSet], Iterator[Judgement]], ...] = (
    judge_geometry,
    judge_crowds,
    judge_shapes,
    judge_classes,
    judge_names,
    judge_numbering,
)


def judge_splits(parts: Mapping[str, Objects], faults: Iterable[Fault] = ()) -> tuple[Judgement, ...]:
    """Judge all splits together and each by itself; certain judgements first, none of a split that the whole set has too.

    `faults` are those of single rows and files, as far as they are known.
    """
    found = [judgement for whole in list_subjects(parts) for judge in JUDGES for judgement in judge(whole)]
    if any(one.split and one.certain and one.code == "boxes-otherwise" for one in found):
        # Doubts about the whole set are about these boxes and about single ones, which are told of their splits.
        found = [one for one in found if one.split or one.certain or not one.code.startswith("boxes-")]
    sure = {one.code for one in found if one.certain}  # what is certain of a split is no doubt about the whole set
    found = [one for one in found if one.split or one.certain or one.code not in sure]
    general = {judgement.code: judgement.certain for judgement in found if not judgement.split}
    kept = [one for one in found if not one.split or general.get(one.code, -1) < one.certain]
    faults = list(faults)
    kept += judge_shared_images(parts, faults) if len(parts) > 1 else ()
    kept += [*judge_file_sizes(parts, faults), *judge_file_names(parts, faults)]
    order = [*LOOKS]
    return tuple(sorted(kept, key=lambda one: (not one.certain, order.index(one.code))))


def judge_annotations(splits: Mapping[str, AnnotationSet]) -> tuple[Judgement, ...]:
    """Judge annotations that were read without a fault, as before a training; no image is read."""
    tables: dict[str, list[object]] = {"images": [], "annotations": [], "categories": []}
    parts = {}
    for split, packed in splits.items():
        places = np.arange(len(packed)), np.arange(len(packed.ids))
        parts[split] = measure_objects(Sifted(tables, packed, [], *places, split))
    return judge_splits(parts)
