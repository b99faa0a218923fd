"""Whether one model is better than another on the same images, or whether other images might have said the opposite."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import hotcoco

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.metrics import Kind, match_objects
from maskzoo.evaluation.results import Results

__all__ = ["ClassDifference", "ComparedModels", "Difference", "compare_results"]

MEASURES = {
    "AP": "AP",
    "AP50": "AP50",
    "AP75": "AP75",
    "AP_small": "APs",
    "AP_medium": "APm",
    "AP_large": "APl",
    "AR100": "AR100",
}
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of both models, 0 to 1, None where no object counts, and second minus first with its interval.

    From `lower` to `upper` lie 95 % of the differences on images drawn again from these (bootstrap).
    """

    first: float | None
    second: float | None
    difference: float | None
    lower: float | None
    upper: float | None

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0: the images show that one is better."""
        return self.lower is not None and self.upper is not None and (self.lower > 0 or self.upper < 0)


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """AP of a class by both models, 0 to 1, and second minus first; None where no object counts."""

    name: str
    first: float | None
    second: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class ComparedModels:
    """Two models on the same images: names, measures of boxes or masks by name (AP, AP50 ...), AP by label.

    `resamples` is how often images were drawn again.
    """

    first: str
    second: str
    data: str
    kind: Literal["mask", "box"]
    images: int
    resamples: int
    measures: dict[str, Difference]
    classes: tuple[ClassDifference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        values = asdict(self)
        for name, one in self.measures.items():
            values["measures"][name]["certain"] = one.certain
        return values

    def __str__(self) -> str:
        """Say which is better, and how sure that is."""
        ap = self.measures["AP"]
        if ap.difference is None or ap.lower is None or ap.upper is None:
            return "Nothing to compare: the data set has no object that counts"
        interval = (
            f"{100 * ap.difference:+.1f} points of {self.kind} AP, 95 % between {100 * ap.lower:+.1f} and {100 * ap.upper:+.1f}"
        )
        if not ap.certain:
            return f"These {self.images:,} images do not show which is better: {interval}"
        return f"{self.second if ap.difference > 0 else self.first} is better: {interval}"


def compare_results(
    annotations: AnnotationSet, first: Results, second: Results, names: tuple[str, str], *, resamples: int, seed: int
) -> ComparedModels:
    """Compare two sets of results on one data set, by their masks where both have them, else by their boxes.

    The interval is that of a bootstrap over images, `resamples` times, the same for the same `seed`.
    """
    kind: Kind = "segm" if first.has_masks and second.has_masks else "bbox"
    name: Literal["mask", "box"] = "mask" if kind == "segm" else "box"
    if not len(annotations.ids):
        nothing = dict.fromkeys(MEASURES, Difference(None, None, None, None, None))
        return ComparedModels(*names, annotations.source, name, len(annotations), resamples, nothing, ())
    one, other = (match_objects(annotations, results, kind)[0] for results in (first, second))
    found = hotcoco.compare(one, other, n_bootstrap=resamples, seed=seed, confidence=CONFIDENCE)
    measures = {}
    for ours, theirs in MEASURES.items():
        values = _know(found["metrics_a"][theirs]), _know(found["metrics_b"][theirs])
        if None in values:
            measures[ours] = Difference(*values, None, None, None)
        else:
            interval = found["ci"][theirs]
            measures[ours] = Difference(*values, found["deltas"][theirs], interval["lower"], interval["upper"])
    by_label = {row["cat_id"]: row for row in found["per_category"]}
    classes = []
    for label, class_name in enumerate(annotations.classes.names, 1):
        row = by_label.get(label, {"ap_a": -1, "ap_b": -1})
        ap = _know(row["ap_a"]), _know(row["ap_b"])
        classes.append(ClassDifference(class_name, *ap, None if ap[0] is None or ap[1] is None else ap[1] - ap[0]))
    return ComparedModels(*names, annotations.source, name, len(annotations), resamples, measures, tuple(classes))


def _know(value: float) -> float | None:
    """hotcoco writes -1 where no object counts."""
    return None if value < 0 else float(value)
