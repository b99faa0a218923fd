"""A check's report as one HTML page that needs nothing else: a summary, and pictures of the worst problems.

Names and values in a data set are untrusted: all text is escaped, and the page forbids itself scripts and requests.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import cv2
import numpy as np
from PIL import Image

from maskzoo.dataset_checks.check import Report, SplitFacts
from maskzoo.dataset_checks.problems import KINDS, SEVERITIES, Problem, choose_worst, make_printable
from maskzoo.dataset_checks.sound_rows import Rows
from maskzoo.datasets.coco_reader import is_number
from maskzoo.datasets.mask_outlines import decode_runs, trace
from maskzoo.datasets.rle import compress, find_bad_runs, measure
from maskzoo.errors import MaskzooError
from maskzoo.images.read import MAX_PIXELS, read_image

__all__ = ["MARK", "render_page"]

MARK = '<meta name="generator" content="maskzoo data check">'  # stands in every page: only such a file is overwritten
SHOWN, EACH = 40, 6  # problems with a picture, and of one kind
SIDE = 420  # pixels of a picture's longer side
MOST_POINTS = 4000  # of an outline that is drawn
Row = dict[str, Any]


def render_page(report: Report) -> str:
    """Return the page's text."""
    worst = choose_worst((p for p in report.problems if p.severity != "notice"), SHOWN, EACH)
    pictures = _Pictures(report)
    cards = "\n".join(_render_card(problem, pictures) for problem in worst)
    severities = Counter(problem.severity for problem in report.problems)
    title = _describe(severities)
    note = f"The worst {len(worst)} of {len(report.problems):,} problems, at most {EACH} of a kind; --json has all."
    body = [
        f'<header><p class="eyebrow">maskzoo data check</p><h1 class="{"bad" if severities["error"] else "good"}">{title}</h1>',
        f'<ul class="splits">{"".join(_render_split(split, facts) for split, facts in report.splits.items())}</ul></header>',
    ]
    if report.problems:
        body += ["<section><h2>Summary</h2>", _render_summary(report), "</section>"]
    if worst:
        body += [f'<section><h2>The worst</h2><p class="note">{note}</p><div class="cards">{cards}</div></section>']
    return _PAGE.replace("@TITLE@", title).replace("@BODY@", "\n".join(body))


def _describe(severities: Counter[Any]) -> str:
    parts = [f"{severities[name]:,} {name}{'' if severities[name] == 1 else 's'}" for name in SEVERITIES if severities[name]]
    return ", ".join(parts) if parts else "Nothing to complain about"


def _text(value: str) -> str:
    return escape(make_printable(value))


def _render_split(split: str, facts: SplitFacts) -> str:
    numbers = f"{facts.images:,} images &middot; {facts.objects:,} objects &middot; {facts.categories:,} categories"
    folder = "images not found" if facts.folder is None else f"images in {_text(str(facts.folder))}"
    return (
        f"<li><strong>{_text(split)}</strong><span>{numbers}</span>"
        f"<small>{_text(str(facts.file))}</small><small>{folder}</small></li>"
    )


def _render_summary(report: Report) -> str:
    first = {problem.kind: problem for problem in reversed(report.problems)}
    rows = []
    for kind, count in report.count().items():
        severity = KINDS[kind].severity
        rows.append(
            f'<tr><td><span class="badge {severity}">{severity}</span></td><td>{_text(KINDS[kind].title)}</td>'
            f'<td class="number">{count:,}</td><td class="value">{_text(_place(first[kind]))}</td>'
            f"<td>{_text(KINDS[kind].advice)}</td></tr>"
        )
    head = "<tr><th></th><th>kind</th><th class='number'>count</th><th>first</th><th>what to do</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _place(problem: Problem) -> str:
    return ", ".join(part for part in (problem.split, problem.row, problem.field) if part)


def _render_card(problem: Problem, pictures: _Pictures) -> str:
    kind = KINDS[problem.kind]
    facts = [("where", _place(problem)), ("found", problem.found), ("expected", problem.expected), ("to do", kind.advice)]
    listed = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    return (
        f'<article><div class="pictures">{pictures.draw(problem)}</div><div class="words">'
        f'<p><span class="badge {kind.severity}">{kind.severity}</span></p><h3>{_text(kind.title)}</h3>'
        f"<dl>{listed}</dl></div></article>"
    )


class _Pictures:
    """Draws a problem's object over its image, with what can be drawn of it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.rows = {split: Rows(facts.content) for split, facts in report.splits.items()}

    def draw(self, problem: Problem) -> str:
        pairs = [(problem.split, problem.image_id), *([problem.like] if problem.like else [])]
        shown = []
        for place, (split, number) in enumerate(pairs):
            row = None
            if place == 0 and problem.table == "annotations" and split in self.rows:
                row = self.rows[split].tables["annotations"][problem.place]
            shown.append(self._draw_image(split, number, row if isinstance(row, dict) else {}))
        drawn = "".join(shown)
        return drawn or '<p class="none">no picture of it</p>'

    def _draw_image(self, split: str, number: int | None, row: Row) -> str:
        facts = self.report.splits.get(split)
        if facts is None or facts.folder is None or number is None:
            return ""
        rows = self.rows[split]
        name = rows.value("images", rows.places["images"].get(number, -1), "file_name")
        try:
            pixels = read_image(facts.folder / name) if isinstance(name, str) and name else None
        except (MaskzooError, UnicodeError):
            return ""
        if pixels is None:
            return ""
        height, width = pixels.shape[:2]
        shapes, view = _draw_object(row, width, height)
        scale = min(1.0, SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=80)
        address = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
        return (
            f'<svg viewBox="{view}" role="img" aria-label="{escape(make_printable(str(name)), quote=True)}">'
            f'<image href="{address}" width="{width}" height="{height}" preserveAspectRatio="none"/>{shapes}</svg>'
        )


def _draw_object(row: Row, width: int, height: int) -> tuple[str, str]:
    """Return the object's box and outline as SVG, and the view: the image, and what of the box is near it."""
    shapes = []
    for points in _read_polygons(row.get("segmentation")):
        shapes.append(f'<polygon points="{" ".join(f"{value:.2f}" for value in points)}"/>')
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    bbox = row.get("bbox")
    if isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox)):
        x1, y1, x2, y2 = bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]
        (x1, x2), (y1, y2) = sorted((x1, x2)), sorted((y1, y2))
        left, top = min(left, max(x1, -width / 2)), min(top, max(y1, -height / 2))
        right, bottom = max(right, min(x2, 1.5 * width)), max(bottom, min(y2, 1.5 * height))
        shapes.append(f'<rect x="{x1:.2f}" y="{y1:.2f}" width="{x2 - x1:.2f}" height="{y2 - y1:.2f}"/>')
    return "".join(shapes), f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"


def _read_polygons(outline: Any) -> list[Sequence[float]]:
    """Return what can be drawn of an outline, each as x y x y ..."""
    if isinstance(outline, dict):
        return [polygon.tolist() for polygon in _trace_runs(outline) if polygon.size <= MOST_POINTS]
    polygons = outline if isinstance(outline, list) else []
    return [
        polygon[: len(polygon) // 2 * 2]
        for polygon in polygons
        if isinstance(polygon, list) and 4 <= len(polygon) <= MOST_POINTS and all(map(is_number, polygon))
    ]


def _trace_runs(runs: Row) -> list[Any]:
    size, counts = runs.get("size"), runs.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        return []
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        return []
    if isinstance(counts, list) and counts and find_bad_runs(counts, pixels) is None:
        text = compress(counts)
    elif isinstance(counts, str) and counts.isascii() and measure([counts.encode("ascii")], [pixels])[1][0]:
        text = counts.encode("ascii")
    else:
        return []
    return trace(decode_runs(text, (size[0], size[1])))


_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Data check: @TITLE@</title>
<style>
:root {{
  --page: #f6f7f9; --paper: #fff; --ink: #1c2430; --soft: #5c6878; --line: #dfe3ea;
  --error: #b3261e; --warning: #8a5a00; --notice: #2b5fa8; --good: #1d7a46; --outline: #ff2e63; --box: #ffd23f;
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --page: #12161c; --paper: #1b212a; --ink: #e6eaf0; --soft: #9aa7b8; --line: #2e3743;
    --error: #ff8a80; --warning: #f0b955; --notice: #8ab4f8; --good: #6fd69b;
  }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }}
header, section {{ max-width: 1180px; margin: 0 auto; padding: 1.5rem 1.25rem 0; }}
section:last-child {{ padding-bottom: 3rem; }}
h1 {{ margin: 0 0 1rem; font-size: 1.9rem; line-height: 1.2; }}
h1.bad {{ color: var(--error); }} h1.good {{ color: var(--good); }}
h2 {{ margin: 0 0 .75rem; font-size: 1.15rem; }}
h3 {{ margin: .35rem 0 .5rem; font-size: 1rem; }}
.eyebrow, .note {{ margin: 0 0 .35rem; color: var(--soft); }}
.note {{ margin-bottom: .75rem; }}
.splits {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: .75rem; margin: 0; padding: 0; }}
.splits li, article, .scroll {{ background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }}
.splits li {{ display: flex; flex-direction: column; padding: .8rem 1rem; list-style: none; }}
small {{ color: var(--soft); overflow-wrap: anywhere; }}
.scroll {{ overflow-x: auto; }}
table {{ width: 100%; border-collapse: collapse; }}
th, td {{ padding: .5rem .8rem; text-align: left; vertical-align: top; }}
th {{ color: var(--soft); font-size: .85rem; font-weight: 600; }}
tbody tr {{ border-top: 1px solid var(--line); }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.value {{ overflow-wrap: anywhere; }}
.badge {{
  display: inline-block; padding: 0 .5rem; border: 1px solid currentColor; border-radius: 99px; font-size: .78rem;
}}
.error {{ color: var(--error); }} .warning {{ color: var(--warning); }} .notice {{ color: var(--notice); }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem; }}
article {{ display: flex; flex-direction: column; overflow: hidden; }}
.pictures {{
  display: flex; gap: 2px; align-items: center; justify-content: center; min-height: 15rem;
  background: repeating-conic-gradient(#8881 0 25%, #8883 0 50%) 0 0 / 16px 16px;
}}
.pictures svg {{ display: block; flex: 1 1 0; min-width: 0; height: 15rem; }}
.none {{ color: var(--soft); }}
polygon {{
  fill: var(--outline); fill-opacity: .3; fill-rule: evenodd; stroke: var(--outline); stroke-width: 2;
  vector-effect: non-scaling-stroke;
}}
rect {{ fill: none; stroke: var(--box); stroke-width: 2; stroke-dasharray: 6 4; vector-effect: non-scaling-stroke; }}
.words {{ padding: .8rem 1rem 1rem; }}
.words p {{ margin: 0; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .15rem .75rem; margin: 0; font-size: .9rem; }}
dt {{ color: var(--soft); }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>
</head>
<body>
@BODY@
</body>
</html>
"""
