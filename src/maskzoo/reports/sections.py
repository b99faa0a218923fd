"""The sections of a report page as HTML: each takes what there is to say, and says it in a table, a plot or pictures.

Every text that comes from a data set or a file is escaped here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.evaluation.analysis import RECALLS, Analysis
from maskzoo.evaluation.metrics import NAMES, Evaluation, Metrics
from maskzoo.html.plots import Axis, Line, Mark, plot_lines, smooth, thin_out
from maskzoo.reports.pictures import Picture

__all__ = [
    "History",
    "show_classes",
    "show_confusion",
    "show_curves",
    "show_metrics",
    "show_pictures",
    "show_tiles",
    "show_training",
]

History = Sequence[Mapping[str, Any]]
Doubles = NDArray[np.float64]
TERMS = {
    "rpn_class": "RPN class", "rpn_box": "RPN box", "box_class": "Box class", "box_delta": "Box delta", "mask": "Mask",
}  # fmt: skip
MEASURES = {
    "mask_ap": ("mask AP", "series-1"), "box_ap": ("box AP", "series-2"),
    "mask_ap50": ("mask AP50", "series-1 dashed"), "box_ap50": ("box AP50", "series-2 dashed"),
}  # fmt: skip
MEANINGS = (
    "mean over IoU 0.50 to 0.95", "at IoU 0.50", "at IoU 0.75",
    "objects below 32² pixels", "32² to 96² pixels", "above 96² pixels",
    "recall with 1 detection of an image", "with 10", "with 100",
    "with 100, objects below 32² pixels", "32² to 96² pixels", "above 96² pixels",
)  # fmt: skip
SMALL = (420, 240)  # a plot of three in a row
MOST_CLASSES = 20  # of a confusion matrix that can be read
MOST_CURVES = 80  # faint lines of single classes
MOST_PAIRS = 6  # of mixed-up classes in words
STRONG = 0.55  # share of the full colour from which on a cell needs the other text colour


def show_tiles(evaluation: Evaluation | None, analysis: Analysis | None) -> str:
    """Say the few numbers that one looks for first."""
    tiles = []
    if evaluation is not None:
        for kind, metrics in _kinds(evaluation).items():
            tiles += [(f"{kind} AP", _percent(metrics.ap)), (f"{kind} AP50", _percent(metrics.values[1]))]
    if analysis is not None and analysis.sweep.best_f1 is not None:
        tiles.append((f"F1 from score {analysis.sweep.best_score:.2f} on", _percent(analysis.sweep.best_f1)))
    if evaluation is not None:
        tiles += [("images", f"{evaluation.images:,}"), ("objects", f"{int(evaluation.objects.sum()):,}")]
    items = "".join(f"<li><b>{value}</b><span>{name}</span></li>" for name, value in tiles)
    return f'<ul class="tiles">{items}</ul>' if tiles else ""


def show_training(history: History) -> str:
    """Plot loss, learning rate, AP and speed of a run; rows are those of its metrics.jsonl."""
    steps = [row for row in history if row.get("kind") == "step"]
    whole = [row for row in steps if row.get("loss") is not None]
    measured = [row for row in history if row.get("kind") == "evaluation"]
    parts = []
    if whole:
        x = _column(whole, "iteration")
        rate = Line("learning rate", *thin_out(x, _column(whole, "lr")), "series-6 plain")
        plots = [
            _plot(_smooth(x, whole, "loss", "total loss", 1), Axis("iteration"), Axis("loss", low=0), "Total loss"),
            _plot([rate], Axis("iteration"), Axis("learning rate", low=0), "Learning rate"),
        ]
        parts.append(_group("pair", plots))
    if measured:
        parts.append(_group("wide", [_plot_measures(measured)]))
    if whole:
        loss = Axis("loss", low=0)
        plots = [
            _plot(_smooth(x, whole, key, name, place), Axis("iteration"), loss, f"Loss: {name}", SMALL)
            for place, (key, name) in enumerate(TERMS.items(), 1)
        ]
        speed = _smooth(x, whole, "images_per_second", "images per second", 6)
        plots.append(_plot(speed, Axis("iteration"), Axis("images / s", low=0), "Speed", SMALL))
        parts.append(_group("trio", plots))
        parts.append(_describe_steps(len(steps), len(whole)))
    return "".join(parts)


def _describe_steps(steps: int, whole: int) -> str:
    text = f"{steps:,} steps. The strong lines are means over a fiftieth of the run, the faint ones the steps themselves."
    if steps > whole:
        text += f" {steps - whole:,} steps had a loss that is not finite and were dropped."
    return f'<p class="soft">{text}</p>'


def _smooth(x: Doubles, rows: History, key: str, name: str, series: int) -> list[Line]:
    """A faint line of what was, and a strong one of its mean over a fiftieth of the run around each step."""
    values = _column(rows, key)
    mean = smooth(values, len(values) // 50)
    style = f"series-{series}"
    return [Line(name, *thin_out(x, values), f"{style} faint"), Line(name, *thin_out(x, mean), f"{style} plain")]


def _plot_measures(rows: History) -> str:
    x = _column(rows, "epoch")
    lines = [Line(name, x, _column(rows, key), style) for key, (name, style) in MEASURES.items()]
    lines = [line for line in lines if np.isfinite(line.y).any()]
    best = max(rows, key=lambda row: row.get("mask_ap") or -1)
    marks = []
    if best.get("mask_ap") is not None:
        marks = [Mark(best["epoch"], f"best mask AP {_percent(best['mask_ap'])} after epoch {best['epoch']}")]
    highest = max((np.nanmax(line.y) for line in lines), default=1.0)
    percent = Axis("AP, percent", 0, 1.12 * float(highest) or 1.0, percent=True)  # room for the mark's text
    return _plot(lines, Axis("epoch", low=0), percent, "AP on the validation split", (1120, 320), marks, legend=True)


def show_metrics(evaluation: Evaluation) -> str:
    """Table COCO's twelve numbers."""
    kinds = _kinds(evaluation)
    head = "".join(f'<th scope="col">{kind}</th>' for kind in kinds)
    rows = "".join(
        f'<tr><th scope="row">{name.replace("_", " ")}</th><td class="soft words">{MEANINGS[place]}</td>'
        + "".join(_cell(metrics.values[place]) for metrics in kinds.values())
        + "</tr>"
        for place, name in enumerate(NAMES)
    )
    head = f'<th scope="col">measure</th><th scope="col" class="words">of</th>{head}'
    return _table("numbers", "Average precision and recall, percent", head, rows)


def show_classes(evaluation: Evaluation, classes: Sequence[str]) -> str:
    """Table AP of every class that has objects; the heads sort."""
    kinds = _kinds(evaluation)
    names = ["class", "objects", *(f"{kind} {name}" for kind in kinds for name in ("AP", "AP50"))]
    head = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in names)
    rows = []
    for label in np.flatnonzero(evaluation.objects).tolist():
        count, name = int(evaluation.objects[label]), escape(classes[label])
        numbers = [metrics.classes[label] for metrics in kinds.values()]
        cells = "".join(_cell(value) for one in numbers for value in (one.ap, one.ap50))
        first = f'<th scope="row" data-value="{name}">{name}</th><td data-value="{count}">{count:,}</td>'
        rows.append(f"<tr>{first}{cells}</tr>")
    absent = len(classes) - len(rows)
    note = f" {absent} classes without an object are left out." if absent else ""
    return _table("numbers", f"AP of each class, percent.{note}", head, "".join(rows))


def show_curves(analysis: Analysis, classes: Sequence[str]) -> str:
    """Plot precision over recall, and precision, recall and F1 over the score from which on detections count."""
    there = np.flatnonzero(~np.isnan(analysis.precision50[:, 0])).tolist()
    if not there:
        return ""
    lines = [
        Line(f"{classes[label]}, IoU 0.50", RECALLS, analysis.precision50[label], "gray faint")
        for label in there[:MOST_CURVES]
    ]
    style = {0.50: ("series-1 plain", analysis.precision50), 0.75: ("series-2 plain", analysis.precision75)}
    for iou, (name, table) in style.items():
        mean = table[there].mean(axis=0)
        lines.append(Line(f"mean of all classes, IoU {iou:.2f} (AP {_percent(mean.mean())})", RECALLS, mean, name))
    axes = Axis("recall, percent", 0, 1, percent=True), Axis("precision, percent", 0, 1, percent=True)
    title = f"Precision over recall, {analysis.kind}"
    hint = f"Thin lines are single classes at IoU 0.50{_limit(len(there))}; point at one for its name."
    recall = _plot(lines, *axes, title, (560, 380), legend=True, caption=hint)
    sweep = analysis.sweep
    balance = [
        Line("precision", sweep.scores, sweep.precision, "series-3 plain"),
        Line("recall", sweep.scores, sweep.recall, "series-4 plain"),
        Line("F1", sweep.scores, sweep.f1, "series-1 plain"),
    ]
    marks = []
    if sweep.best_score is not None:
        marks = [Mark(sweep.best_score, f"F1 {_percent(sweep.best_f1)} from {sweep.best_score:.2f} on")]
    axes = Axis("score from which on detections count", 0, 1), Axis("percent", 0, 1, percent=True)
    hint = "All classes together, at IoU 0.50. The dashed line is the score with the best F1."
    f1 = _plot(balance, *axes, "F1 over score", (560, 380), marks, legend=True, caption=hint)
    return _group("pair", [recall, f1])


def _limit(count: int) -> str:
    return f" ({MOST_CURVES} of {count})" if count > MOST_CURVES else ""


def show_confusion(analysis: Analysis, classes: Sequence[str]) -> str:
    """Table what was detected where, as a heat map; of many classes those that are mixed up or missed most."""
    counts, number = analysis.confusion, len(classes)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    mixed = wrong[:number, :number]
    errors = 1000 * (mixed.sum(axis=0) + mixed.sum(axis=1)) + wrong[:number, number] + wrong[number, :number]
    there = np.flatnonzero(counts[:number].sum(axis=1) + counts[:, :number].sum(axis=0))
    shown = np.sort(there[np.argsort(-errors[there], kind="stable")][:MOST_CLASSES])
    places = [*shown.tolist(), number]
    names = [escape(name) for name in classes] + ["background"]
    turned = len(places) > 8
    head = "".join(
        f'<th scope="col"{" class=turned" if turned else ""}><span>{names[place]}</span></th>' for place in places
    )
    rows = "".join(
        f'<tr><th scope="row">{names[row]}</th>'
        + "".join(_heat(counts, row, column, number) for column in places)
        + "</tr>"
        for row in places
    )
    left_out = f" The {len(shown)} of {len(there)} classes with most errors are shown." if len(shown) < len(there) else ""
    text = (
        f"Rows are what is there, columns what was detected, from score {analysis.threshold:.2f} on, matched across classes "
        f"at {analysis.kind} IoU 0.50. The last column counts missed objects, the last row false detections. Colour is the "
        f"share of the row.{left_out}"
    )
    table = _table("heat", "Objects and detections", f"<td></td>{head}", rows)
    return f'<p class="soft">{text}</p>{_name_pairs(mixed, names)}{table}'


def _heat(counts: NDArray[np.int64], row: int, column: int, background: int) -> str:
    value, total = int(counts[row, column]), int(counts[row].sum())
    if row == column == background:
        return "<td></td>"
    share = value / total if total else 0.0
    kind = "hit" if row == column else "miss"
    style = f"{kind} none" if not value else f"{kind} strong" if share > STRONG else kind
    return f'<td class="{style}" style="--share:{100 * share:.0f}%">{value:,}</td>'


def _name_pairs(mixed: NDArray[np.int64], names: Sequence[str]) -> str:
    order = np.argsort(-mixed, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [(int(mixed.flat[place]), *divmod(int(place), len(mixed))) for place in order.tolist()]
    texts = [f"{names[truth]} taken for {names[found]} ({count:,})" for count, truth, found in pairs if count]
    return f"<p>Most often mixed up: {', '.join(texts)}.</p>" if texts else "<p>No class was taken for another.</p>"


def show_pictures(pictures: Sequence[Picture], threshold: float) -> str:
    """Show the best and the worst images, truth beside prediction."""
    parts = []
    for group, title in (("worst", "Worst"), ("best", "Best")):
        chosen = [picture for picture in pictures if picture.group == group]
        if chosen:
            parts.append(f"<h3>{title}</h3>" + _group("pictures", [_show_picture(picture) for picture in chosen]))
    text = (
        "Quality is the sum of the IoU of found objects, by found plus half of missed and false ones, at IoU 0.50 "
        f"and from score {threshold:.2f} on."
    )
    return f'<p class="soft">{text}</p>{"".join(parts)}'


def _show_picture(picture: Picture) -> str:
    name = escape(picture.name)
    if picture.error is not None:
        inner = f"<p>Cannot be shown: {escape(picture.error)}</p>"
    else:
        sides = (("Truth", picture.truth), ("Prediction", picture.prediction))
        images = "".join(
            f'<div><span>{side}</span><img alt="{side}: {name}" src="data:image/jpeg;base64,{_encode(data)}"></div>'
            for side, data in sides
        )
        inner = f'<div class="both">{images}</div>'
    counts = f"{picture.found} found, {picture.missed} missed, {picture.false} false"
    caption = f"<b>{_percent(picture.quality)}</b> quality: {counts}. {name} (id {picture.image_id})"
    return f'<figure class="card">{inner}<figcaption>{caption}</figcaption></figure>'


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _plot(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    title: str,
    size: tuple[int, int] = (560, 290),
    marks: Sequence[Mark] = (),
    *,
    legend: bool = False,
    caption: str = "",
) -> str:
    named = [line for line in lines if "faint" not in line.style]
    last = [f"{line.name}: {line.y[np.isfinite(line.y)][-1]:.4g} at the end" for line in named if np.isfinite(line.y).any()]
    said = f"{title}: {y.label} over {x.label}. {'; '.join(last)}"
    items = "".join(f'<li class="{line.style}">{escape(line.name)}</li>' for line in named)
    key = f'<ul class="legend">{items}</ul>' if legend else ""
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    drawn = plot_lines(lines, x, y, title=said, marks=marks, width=size[0], height=size[1])
    return f'<figure class="card"><h3>{escape(title)}</h3>{key}{drawn}{note}</figure>'


def _group(style: str, parts: Sequence[str]) -> str:
    return f'<div class="{style}">{"".join(parts)}</div>'


def _table(style: str, caption: str, head: str, rows: str) -> str:
    """A table in a box that scrolls where it is wider than the page, also by keys."""
    return (
        f'<div class="card scroll" tabindex="0" role="region" aria-label="{caption}"><table class="{style}">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _kinds(evaluation: Evaluation) -> dict[str, Metrics]:
    both = {"mask": evaluation.mask, "box": evaluation.box}
    return {kind: metrics for kind, metrics in both.items() if metrics is not None}


def _cell(value: float | None) -> str:
    if value is None:
        return '<td data-value="">-</td>'
    return f'<td data-bar data-value="{value:.6f}" style="--value:{100 * value:.1f}%">{_percent(value)}</td>'


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _column(rows: History, key: str) -> Doubles:
    """Numbers of all rows, NaN where there is none."""
    return np.array([row.get(key) for row in rows], dtype=np.float64)
