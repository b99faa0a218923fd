"""Whether a published figure was reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from maskzoo.config import COCO_VAL, ModelConfig
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.metrics import Evaluation

__all__ = ["Comparison", "compare_with_published"]

VAL2017_IMAGES = 5000  # of COCO's val2017, on which all published figures were measured
NOT_USED = "not used "  # what torchvision's rows call ids of COCO that no data set has
ROUNDING = 0.05 + 1e-9  # published figures are percents with one decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """Published (None: not stated) and measured AP in percent; `reason` says why they cannot be compared, or is None."""

    published_box: float | None
    published_mask: float | None
    box: float | None
    mask: float | None
    reason: str | None

    @property
    def reached(self) -> bool | None:
        """Whether both figures are the published ones within their rounding; None if they cannot be compared."""
        pairs = ((self.box, self.published_box), (self.mask, self.published_mask))
        differences = [abs(found - figure) for found, figure in pairs if found is not None and figure is not None]
        return None if self.reason is not None or len(differences) < len(pairs) else max(differences) <= ROUNDING

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        return asdict(self) | {"reached": self.reached}

    def __str__(self) -> str:
        figures = (("box", self.box, self.published_box), ("mask", self.mask, self.published_mask))
        told = (f"{name} AP {'-' if figure is None else format(figure, '.1f')}" for name, _, figure in figures)
        published = f"Published for this model: {', '.join(told)}"
        if self.reason is not None:
            return f"{published}. Not comparable: {self.reason}"
        parts = [
            f"{name} {measured - figure:+.2f}"
            for name, measured, figure in figures
            if measured is not None and figure is not None
        ]
        verdict = {True: "reached", False: "NOT reached", None: "compared in part"}[self.reached]
        return f"{published}. {verdict[0].upper()}{verdict[1:]}: measured minus published is {', '.join(parts)}"


def compare_with_published(
    config: ModelConfig, annotations: AnnotationSet, evaluation: Evaluation, changes: str | None = None
) -> Comparison | None:
    """Compare an evaluation with the figures in the model file; None if it has none.

    They can be compared only on all 5,000 images of COCO val2017. `changes` says what else makes this run another one,
    for example an overridden value.
    """
    published = config.source.published
    if published is None or (published.box_ap is None and published.mask_ap is None):
        return None
    reason = changes
    if published.data != COCO_VAL:
        reason = f"the figures belong to {published.data}, whose own AP is not COCO's"
    elif len(annotations) != VAL2017_IMAGES:
        reason = f"the figures belong to the {VAL2017_IMAGES:,} images of COCO val2017, this data set has {len(annotations):,}"
    elif annotations.classes.to_classes() != {
        number: name for number, name in config.classes.items() if not name.startswith(NOT_USED)
    }:
        reason = "the figures belong to COCO val2017, this data set has other categories"
    box, mask = (None if one is None or one.ap is None else 100 * one.ap for one in (evaluation.box, evaluation.mask))
    return Comparison(published.box_ap, published.mask_ap, box, mask, reason)
