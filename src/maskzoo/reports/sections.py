"""What stands in the sections of a report page: numbers, words and plots, which `report.html` lays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from maskzoo.evaluation.analysis import RECALLS, Analysis
from maskzoo.evaluation.metrics import Evaluation, Metrics
from maskzoo.html.page_frame import format_percent
from maskzoo.html.plots import Axis, Line, Mark, plot_lines, smooth, thin_out

__all__ = [
    "History",
    "Plot",
    "count_confusion",
    "draw_plot",
    "list_kinds",
    "list_tiles",
    "plot_curves",
    "plot_training",
]

History = Sequence[Mapping[str, Any]]
Doubles = NDArray[np.float64]
Section = dict[str, Any]
TERMS = {
    "rpn_class": "RPN class", "rpn_box": "RPN box", "box_class": "Box class", "box_delta": "Box delta", "mask": "Mask",
}  # fmt: skip
MEASURES = {
    "mask_ap": ("mask AP", "series-1"), "box_ap": ("box AP", "series-2"),
    "mask_ap50": ("mask AP50", "series-1 dashed"), "box_ap50": ("box AP50", "series-2 dashed"),
}  # fmt: skip
SMALL = (420, 240)  # a plot of three in a row
MOST_CLASSES = 20  # of a confusion matrix that can be read
MOST_CURVES = 80  # faint lines of single classes
MOST_PAIRS = 6  # of mixed-up classes in words
STRONG = 0.55  # share of the full colour from which on a cell needs the other text colour


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn plot with what stands around it; `named` are the lines of its legend."""

    title: str
    drawn: Markup
    named: tuple[Line, ...]
    legend: bool
    caption: str


def list_tiles(evaluation: Evaluation | None, analysis: Analysis | None) -> list[tuple[str, str]]:
    """Return name and value of the few numbers that one looks for first."""
    tiles = []
    for kind, metrics in list_kinds(evaluation).items() if evaluation else ():
        tiles += [(f"{kind} AP", format_percent(metrics.ap)), (f"{kind} AP50", format_percent(metrics.values[1]))]
    if analysis and analysis.boundary:
        tiles.append(("boundary AP", format_percent(analysis.boundary.ap)))
    if analysis and analysis.sweep.best_f1 is not None:
        tiles.append((f"F1 from score {analysis.sweep.best_score:.2f} on", format_percent(analysis.sweep.best_f1)))
    if evaluation:
        tiles += [("images", f"{evaluation.images:,}"), ("objects", f"{int(evaluation.objects.sum()):,}")]
    return tiles


def plot_training(history: History) -> Section:
    """Plot loss, learning rate, AP and speed of a run; rows are those of its metrics.jsonl."""
    steps = [row for row in history if row.get("kind") == "step"]
    whole = [row for row in steps if row.get("loss") is not None]
    measured = [row for row in history if row.get("kind") == "evaluation"]
    groups: list[Section] = []
    if whole:
        x = _column(whole, "iteration")
        rate = Line("learning rate", *thin_out(x, _column(whole, "lr")), "series-6 plain")
        plots = [
            draw_plot(_smooth(x, whole, "loss", "total loss", 1), Axis("iteration"), Axis("loss", low=0), "Total loss"),
            draw_plot([rate], Axis("iteration"), Axis("learning rate", low=0), "Learning rate"),
        ]
        groups.append({"style": "pair", "plots": plots})
    if measured:
        groups.append({"style": "wide", "plots": [_plot_measures(measured)]})
    if whole:
        loss = Axis("loss", low=0)
        plots = [
            draw_plot(_smooth(x, whole, key, name, place), Axis("iteration"), loss, f"Loss: {name}", SMALL)
            for place, (key, name) in enumerate(TERMS.items(), 1)
        ]
        speed = _smooth(x, whole, "images_per_second", "images per second", 6)
        plots.append(draw_plot(speed, Axis("iteration"), Axis("images / s", low=0), "Speed", SMALL))
        groups.append({"style": "trio", "plots": plots})
    return {"groups": groups, "steps": len(steps), "whole": len(whole)} if groups else {}


def _smooth(x: Doubles, rows: History, key: str, name: str, series: int) -> list[Line]:
    """A faint line of what was, and a strong one of its mean over a fiftieth of the run around each step."""
    values = _column(rows, key)
    mean = smooth(values, len(values) // 50)
    style = f"series-{series}"
    return [Line(name, *thin_out(x, values), f"{style} faint"), Line(name, *thin_out(x, mean), f"{style} plain")]


def _plot_measures(rows: History) -> Plot:
    x = _column(rows, "epoch")
    lines = [Line(name, x, _column(rows, key), style) for key, (name, style) in MEASURES.items()]
    lines = [line for line in lines if np.isfinite(line.y).any()]
    best = max(rows, key=lambda row: row.get("mask_ap") or -1)
    marks = []
    if best.get("mask_ap") is not None:
        marks = [Mark(best["epoch"], f"best mask AP {format_percent(best['mask_ap'])} after epoch {best['epoch']}")]
    highest = max((np.nanmax(line.y) for line in lines), default=1.0)
    percent = Axis("AP, percent", 0, 1.12 * float(highest) or 1.0, percent=True)  # room for the mark's text
    return draw_plot(lines, Axis("epoch", low=0), percent, "AP on the validation split", (1120, 320), marks, legend=True)


def plot_curves(analysis: Analysis, classes: Sequence[str]) -> list[Plot]:
    """Plot precision over recall, and precision, recall and F1 over the score from which on detections count."""
    there = np.flatnonzero(~np.isnan(analysis.precision50[:, 0])).tolist()
    if not there:
        return []
    lines = [
        Line(f"{classes[label]}, IoU 0.50", RECALLS, analysis.precision50[label], "gray faint") for label in there[:MOST_CURVES]
    ]
    style = {0.50: ("series-1 plain", analysis.precision50), 0.75: ("series-2 plain", analysis.precision75)}
    for iou, (name, table) in style.items():
        mean = table[there].mean(axis=0)
        lines.append(Line(f"mean of all classes, IoU {iou:.2f} (AP {format_percent(mean.mean())})", RECALLS, mean, name))
    axes = Axis("recall, percent", 0, 1, percent=True), Axis("precision, percent", 0, 1, percent=True)
    title = f"Precision over recall, {analysis.kind}"
    hint = f"Thin lines are single classes at IoU 0.50{_limit(len(there))}; point at one for its name."
    recall = draw_plot(lines, *axes, title, (560, 380), legend=True, caption=hint)
    sweep = analysis.sweep
    balance = [
        Line("precision", sweep.scores, sweep.precision, "series-3 plain"),
        Line("recall", sweep.scores, sweep.recall, "series-4 plain"),
        Line("F1", sweep.scores, sweep.f1, "series-1 plain"),
    ]
    marks = []
    if sweep.best_score is not None:
        marks = [Mark(sweep.best_score, f"F1 {format_percent(sweep.best_f1)} from {sweep.best_score:.2f} on")]
    axes = Axis("score from which on detections count", 0, 1), Axis("percent", 0, 1, percent=True)
    hint = "All classes together, at IoU 0.50. The dashed line is the score with the best F1."
    f1 = draw_plot(balance, *axes, "F1 over score", (560, 380), marks, legend=True, caption=hint)
    return [recall, f1]


def _limit(count: int) -> str:
    return f" ({MOST_CURVES} of {count})" if count > MOST_CURVES else ""


def count_confusion(analysis: Analysis, classes: Sequence[str]) -> Section:
    """Return what was detected where; of many classes those that are mixed up or missed most."""
    counts, number = analysis.confusion, len(classes)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    mixed = wrong[:number, :number]
    errors = 1000 * (mixed.sum(axis=0) + mixed.sum(axis=1)) + wrong[:number, number] + wrong[number, :number]
    there = np.flatnonzero(counts[:number].sum(axis=1) + counts[:, :number].sum(axis=0))
    shown = np.sort(there[np.argsort(-errors[there], kind="stable")][:MOST_CLASSES])
    places, names = [*shown.tolist(), number], [*classes, "background"]
    rows = [{"name": names[row], "cells": [_shade(counts, row, column, number) for column in places]} for row in places]
    return {
        "threshold": analysis.threshold, "kind": analysis.kind, "shown": len(shown), "there": len(there), "rows": rows,
        "names": [names[place] for place in places], "pairs": list(_find_pairs(mixed, names)),
    }  # fmt: skip


def _shade(counts: NDArray[np.int64], row: int, column: int, background: int) -> Section | None:
    value, total = int(counts[row, column]), int(counts[row].sum())
    if row == column == background:
        return None
    share = value / total if total else 0.0
    kind = "hit" if row == column else "miss"
    style = f"{kind} none" if not value else f"{kind} strong" if share > STRONG else kind
    return {"style": style, "share": share, "count": value}


def _find_pairs(mixed: NDArray[np.int64], names: Sequence[str]) -> Iterable[Section]:
    for place in np.argsort(-mixed, axis=None, kind="stable")[:MOST_PAIRS].tolist():
        truth, found = divmod(place, len(mixed))
        if mixed[truth, found]:
            yield {"truth": names[truth], "found": names[found], "count": int(mixed[truth, found])}


def draw_plot(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    title: str,
    size: tuple[int, int] = (560, 290),
    marks: Sequence[Mark] = (),
    *,
    legend: bool = False,
    caption: str = "",
) -> Plot:
    named = tuple(line for line in lines if "faint" not in line.style)
    last = [f"{line.name}: {line.y[np.isfinite(line.y)][-1]:.4g} at the end" for line in named if np.isfinite(line.y).any()]
    said = f"{title}: {y.label} over {x.label}. {'; '.join(last)}"
    drawn = plot_lines(lines, x, y, title=said, marks=marks, width=size[0], height=size[1])
    return Plot(title, Markup(drawn), named, legend, caption)


def list_kinds(evaluation: Evaluation) -> dict[str, Metrics]:
    """Return the numbers by kind, masks first: they are what the page is about."""
    return dict(reversed(evaluation.kinds.items()))


def _column(rows: History, key: str) -> Doubles:
    """Numbers of all rows, NaN where there is none."""
    return np.array([row.get(key) for row in rows], dtype=np.float64)
