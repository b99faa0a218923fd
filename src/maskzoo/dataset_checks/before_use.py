"""What a training or an evaluation does with a data set before it starts: judge it, and take its crowds as objects if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskzoo.dataset_checks.annotation_checks import measure_outlines
from maskzoo.dataset_checks.judgements import judge_annotations
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.errors import AnnotationsError

__all__ = ["judge_before", "take_crowds"]

# What matters to those who learn, not to those who measure on a part of the classes.
LEARNING = frozenset({"one-class", "empty-classes", "unused-supercategory", "rectangles", "rotated-rectangles"})


def judge_before(data: str | Path, splits: Mapping[str, AnnotationSet], *, learning: bool) -> list[str]:
    """Return a line for each doubt about what the splits of `data` look like as a whole.

    Raises AnnotationsError at what is certain: a model would learn nonsense, or be measured on it.
    """
    judgements = judge_annotations(splits)
    if certain := [f"{data}: {one}; {one.advise()}" for one in judgements if one.certain]:
        more = f"Look with `maskzoo data check {data}`; its --fix OUT writes a cleaned copy"
        raise AnnotationsError((), "\n".join([*certain, more]))
    told = [one for one in judgements if learning or one.code not in LEARNING]
    return [f"{data}: {one} (more: maskzoo data check {data})" for one in told]


def take_crowds(annotations: AnnotationSet) -> AnnotationSet:
    """Return the data set with its crowds as objects, whose boxes and areas are those of their masks."""
    crowd = annotations.crowd
    if not crowd.any():
        return annotations
    chosen = annotations.select(np.ones(len(annotations), np.bool_), crowd)
    extent, outline_area, _ = measure_outlines(chosen)
    bbox, area, boxes = annotations.bbox.copy(), annotations.area.copy(), annotations.boxes.copy()
    bbox[crowd] = np.concatenate([extent[:, :2], extent[:, 2:] - extent[:, :2]], axis=1)
    area[crowd], boxes[crowd] = outline_area, extent.round(3)
    return replace(annotations, crowd=np.zeros_like(crowd), bbox=bbox, area=area, boxes=boxes)
