"""What stands in the sections of a report page about what is wrong: errors, scores, parts of the data, labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.evaluation.analysis import Analysis
from maskzoo.evaluation.error_analysis import Calibration
from maskzoo.html.plots import Axis, Line
from maskzoo.reports.sections import Plot, draw_plot

__all__ = ["list_diagnosis"]

SHOWN = 30  # suspected label errors on the page


def list_diagnosis(analysis: Analysis, annotations: AnnotationSet) -> dict[str, Any]:
    """Return the sections by name; those that the analysis has nothing for are empty."""
    errors = analysis.errors
    if errors is None:
        return {}
    tide = errors.tide
    rows = [{"kind": kind, "count": count, "gain": tide.gains[kind]} for kind, count in tide.counts.items()]
    return {
        "Errors": sorted(rows, key=lambda row: -row["gain"]),
        "Scores": {
            "plot": _plot_calibration(errors.calibration) if errors.calibration.bins else None,
            "error": errors.calibration.error,
            "threshold": analysis.threshold,
            "classes": _list_classes(analysis, annotations),
        },
        "Parts of the data": {"threshold": analysis.threshold, "slices": errors.slices},
        "Suspected labels": {
            "count": len(errors.suspects),
            "rows": [one.to_dict(annotations) for one in errors.suspects[:SHOWN]],
        },
    }


def _list_classes(analysis: Analysis, annotations: AnnotationSet) -> list[dict[str, Any]]:
    """Return each class that has an object, with its score and F1, calibration error and boundary AP."""
    rows = analysis.to_dict(annotations)["classes"]
    return [row for row, objects in zip(rows, annotations.count_objects(), strict=True) if objects]


def _plot_calibration(calibration: Calibration) -> Plot:
    score, right, _ = np.array(calibration.bins).T
    ends = np.array([0.0, 1.0])
    lines = [Line("honest", ends, ends, "gray faint"), Line("detections", score, right, "series-1")]
    axes = Axis("score", 0, 1), Axis("right, percent", 0, 1, percent=True)
    caption = "Each point is a tenth of the range of scores. Below the thin line the model is too sure of itself."
    return draw_plot(lines, *axes, "Share of right detections over the score", (560, 380), caption=caption)
