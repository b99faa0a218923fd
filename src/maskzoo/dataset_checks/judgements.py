"""Judge a data set as a whole, and each of its splits: what all objects, classes or files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from maskzoo.dataset_checks.annotation_checks import Objects, measure_objects
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.dataset_checks.whole_set import WholeSet, list_subjects
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.sifted import Sifted

__all__ = ["JUDGES", "judge_annotations", "judge_splits"]


def _judge_crowds(whole: WholeSet) -> Iterator[Judgement]:
    if len(whole) and whole.crowd.all():
        evidence = {"objects": len(whole), "runs": int(whole.runs.sum())}
        yield Judgement("all-crowds", True, evidence, whole.split, whole.show(whole.crowd, "crowd", "iscrowd", 0))


JUDGES: tuple[Callable[[WholeSet], Iterator[Judgement]], ...] = (_judge_crowds,)


def judge_splits(parts: Mapping[str, Objects]) -> tuple[Judgement, ...]:
    """Judge all splits together and each by itself; certain judgements first, none of a split that the whole set has too."""
    found = [judgement for whole in list_subjects(parts) for judge in JUDGES for judgement in judge(whole)]
    general = {judgement.code: judgement.certain for judgement in found if not judgement.split}
    kept = [one for one in found if not one.split or general.get(one.code, -1) < one.certain]
    return tuple(sorted(kept, key=lambda judgement: not judgement.certain))


def judge_annotations(splits: Mapping[str, AnnotationSet]) -> tuple[Judgement, ...]:
    """Judge annotations that were read without a fault, as before a training; no image is read."""
    tables: dict[str, list[object]] = {"images": [], "annotations": [], "categories": []}
    parts = {}
    for split, packed in splits.items():
        places = np.arange(len(packed)), np.arange(len(packed.ids))
        parts[split] = measure_objects(Sifted(tables, packed, [], *places, split))
    return judge_splits(parts)
