"""What is wrong with a model, and with its data: kinds of errors and their price, honest scores, suspected labels.

hotcoco finds all of it from one matching; here it is given names, and ids become places and words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from hotcoco import COCOeval
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.slices import Slice, make_slices

__all__ = ["ERRORS", "SUSPECT_SCORE", "Calibration", "ErrorAnalysis", "Suspect", "TideErrors", "analyze_errors"]

ERRORS = {
    "Cls": "class", "Loc": "location", "Both": "class and location", "Dupe": "duplicate", "Bkg": "background", "Miss": "missed",
}  # fmt: skip
SUSPECT_SCORE = 0.5  # below it a detection is no reason to doubt an annotation
BINS = 10
LISTED = 100  # suspects that are written out


@dataclass(frozen=True, slots=True)
class TideErrors:
    """TIDE's kinds of errors (Bolya et al. 2020) at IoU 0.5: how many, and the AP50 that is gained without them, 0 to 1.

    Keys are the values of ERRORS. `location` is the right class at IoU 0.1 to 0.5, `duplicate` a second detection of an
    object, `background` one below IoU 0.1, `missed` an object that no other kind explains.
    """

    counts: Mapping[str, int]
    gains: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far scores are from the share of right detections (IoU 0.5): 0 is honest.

    `error` is the expected calibration error, the mean gap weighted by detections, in ten bins of the score, None without
    a detection and where a score is below 0 or above 1; `by_class` by label. `bins` has mean score, share of right ones and
    count, of bins that hold any.
    """

    error: float | None
    by_class: tuple[float | None, ...]
    bins: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True)
class Suspect:
    """An annotation that may be wrong or missing, where the model is sure of something else.

    `row` is the row of the results, `image` the place of its image, `found` its label. For `wrong label`, `annotation` is
    the place of the annotation there, for `missing annotation` None. `iou` is their overlap.
    """

    kind: Literal["missing annotation", "wrong label"]
    image: int
    row: int
    score: float
    found: int
    annotation: int | None
    iou: float

    def to_dict(self, annotations: AnnotationSet) -> dict[str, Any]:
        """Return it with the ids and names of the data set."""
        names, place = annotations.classes.names, self.annotation
        return {
            "kind": self.kind,
            "image_id": int(annotations.image_ids[self.image]),
            "file_name": annotations.file_name(self.image),
            "score": self.score,
            "found": names[self.found],
            "annotation_id": None if place is None else int(annotations.ids[place]),
            "annotated": None if place is None else names[annotations.labels[place]],
            "iou": self.iou,
        }


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """All of it: kinds of errors, scores, suspected label errors, the surest first, and parts of the data."""

    tide: TideErrors
    calibration: Calibration
    suspects: tuple[Suspect, ...]
    slices: tuple[Slice, ...]

    def to_dict(self, annotations: AnnotationSet) -> dict[str, Any]:
        """Return it as plain values that `json.dumps` takes: all suspects are counted, the first hundred listed."""
        return {
            "tide": asdict(self.tide),
            "calibration_error": self.calibration.error,
            "slices": [asdict(one) for one in self.slices],
            "suspected_labels": len(self.suspects),
            "suspects": [one.to_dict(annotations) for one in self.suspects[:LISTED]],
        }


def analyze_errors(
    evaluator: COCOeval, annotations: AnnotationSet, diagnostics: Mapping[str, Any], found: NDArray[np.bool_]
) -> ErrorAnalysis:
    """Analyze the errors of results that `evaluator` has matched, with its `image_diagnostics`.

    `found` bool `[N]` says which annotations are detected from the threshold on.
    """
    return ErrorAnalysis(
        _explain_errors(evaluator),
        _measure_calibration(evaluator, annotations.classes.names),
        _find_suspects(diagnostics),
        make_slices(evaluator, annotations, found),
    )


def _explain_errors(evaluator: COCOeval) -> TideErrors:
    """Count TIDE's kinds of errors after the evaluator has matched."""
    found = evaluator.tide_errors()
    counts = {name: int(found["counts"][key]) for key, name in ERRORS.items()}
    return TideErrors(counts, {name: float(found["delta_ap"][key]) for key, name in ERRORS.items()})


def _measure_calibration(evaluator: COCOeval, names: tuple[str, ...]) -> Calibration:
    """Measure how honest scores are, after the evaluator has matched; `names` are those of the labels."""
    try:
        found = evaluator.calibration(n_bins=BINS)
    except ValueError:  # of a score below 0 or above 1, which files of other tools have
        return Calibration(None, (None,) * len(names), ())
    bins = [(one["avg_confidence"], one["avg_accuracy"], int(one["count"])) for one in found["bins"] if one["count"]]
    by_class = tuple(found["per_category"].get(name) for name in names)
    return Calibration(float(found["ece"]) if bins else None, by_class, tuple(bins))


def _find_suspects(diagnostics: Mapping[str, Any]) -> tuple[Suspect, ...]:
    """Return what hotcoco's `image_diagnostics` calls label errors, the surest first."""
    kinds: dict[str, Literal["missing annotation", "wrong label"]] = {
        "missing_annotation": "missing annotation", "wrong_label": "wrong label",
    }  # fmt: skip
    suspects = [
        Suspect(
            kinds[row["type"]],
            int(row["image_id"]) - 1,
            int(row["dt_id"]) - 1,
            float(row["dt_score"]),
            int(row["dt_category_id"]) - 1,
            None if row["gt_id"] is None else int(row["gt_id"]) - 1,
            float(row["iou"]),
        )
        for row in diagnostics["label_errors"]
    ]
    return tuple(sorted(suspects, key=lambda one: (-one.score, one.row)))
