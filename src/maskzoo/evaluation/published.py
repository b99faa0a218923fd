"""Whether a published figure was reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.metrics import Evaluation

__all__ = ["Comparison", "compare_with_published"]

VAL2017_IMAGES = 5000  # of COCO's val2017, on which all published figures were measured
ROUNDING = 0.05 + 1e-9  # published figures are percents with one decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """Published and measured AP in percent, box and mask; `reason` says why they cannot be compared, or is None."""

    published_box: float
    published_mask: float
    box: float | None
    mask: float | None
    reason: str | None

    @property
    def reached(self) -> bool | None:
        """Whether both figures are the published ones within their rounding; None if they cannot be compared."""
        if self.reason is not None or self.box is None or self.mask is None:
            return None
        return max(abs(self.box - self.published_box), abs(self.mask - self.published_mask)) <= ROUNDING

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        return asdict(self) | {"reached": self.reached}

    def __str__(self) -> str:
        published = f"Published for this model: box AP {self.published_box:.1f}, mask AP {self.published_mask:.1f}"
        if self.reason is not None:
            return f"{published}. Not comparable: {self.reason}"
        parts = [
            f"{name} {measured - figure:+.2f}"
            for name, measured, figure in (("box", self.box, self.published_box), ("mask", self.mask, self.published_mask))
            if measured is not None
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
    if published is None:
        return None
    reason = changes
    if len(annotations) != VAL2017_IMAGES:
        reason = f"the figures belong to the {VAL2017_IMAGES:,} images of COCO val2017, this data set has {len(annotations):,}"
    elif annotations.classes.to_classes() != config.classes:
        reason = "the figures belong to COCO val2017, this data set has other categories"
    box, mask = (None if one is None or one.ap is None else 100 * one.ap for one in (evaluation.box, evaluation.mask))
    return Comparison(published.box_ap, published.mask_ap, box, mask, reason)
