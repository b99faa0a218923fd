"""The objects of a prediction as those of a data set, which labelling tools' forms are drawn from."""

from __future__ import annotations

from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.inference.prediction import Prediction

__all__ = ["list_objects"]


def list_objects(prediction: Prediction) -> list[LabelledObject]:
    """Return the objects in their order, numbered from 1."""
    fields = zip(prediction.labels.tolist(), prediction.masks.rle(), prediction.scores.tolist(), strict=True)
    return [
        LabelledObject(
            number=place + 1,
            label=label,
            outline=runs["counts"].encode("ascii"),
            crowd=False,
            ignore=False,
            score=score,
            attributes={},
        )
        for place, (label, runs, score) in enumerate(fields)
    ]
