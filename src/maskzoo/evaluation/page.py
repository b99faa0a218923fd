"""One HTML file that tells how a model was trained and how good it is: no request leaves it, nothing has to be installed.

Curves are inline SVG, pictures are data URIs; the only script sorts tables, and the page is whole without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from maskzoo.evaluation.analysis import Analysis
from maskzoo.evaluation.metrics import Evaluation
from maskzoo.evaluation.pictures import Picture
from maskzoo.evaluation.sections import (
    History,
    show_classes,
    show_confusion,
    show_curves,
    show_metrics,
    show_pictures,
    show_tiles,
    show_training,
)
from maskzoo.files import write_file

__all__ = ["write_page"]

# Nothing is loaded from anywhere, whatever a name in a data set may try.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    history: History | None = None,
    classes: Sequence[str] = (),
    evaluation: Evaluation | None = None,
    analysis: Analysis | None = None,
    pictures: Sequence[Picture] = (),
) -> None:
    """Write a page of whatever there is: `facts` by name, a run's `history`, numbers, curves, confusion and pictures.

    `history` are the rows of a run's metrics.jsonl; `classes` the names of the data set's labels, which `evaluation`
    and `analysis` count by. Raises MaskzooError if the file cannot be written.
    """
    sections = {
        "Training": show_training(history) if history else "",
        "Average precision": show_metrics(evaluation) if evaluation else "",
        "Classes": show_classes(evaluation, classes) if evaluation else "",
        "Precision and recall": show_curves(analysis, classes) if analysis else "",
        "Confusion": show_confusion(analysis, classes) if analysis else "",
        "Images": show_pictures(pictures, analysis.threshold) if analysis and pictures else "",
    }
    sections = {name: content for name, content in sections.items() if content}
    anchors = {name: name.lower().replace(" ", "-") for name in sections}
    links = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for name, anchor in anchors.items())
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())
    body = "".join(
        f'<section aria-labelledby="{anchors[name]}"><h2 id="{anchors[name]}">{name}</h2>{content}</section>\n'
        for name, content in sections.items()
    )
    text = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title><style>
{_read("page.css")}</style></head>
<body><header><h1>{escape(title)}</h1><dl class="facts">{rows}</dl>{show_tiles(evaluation, analysis)}</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>{body}</main>
<footer>Written by maskzoo {escape(version("maskzoo"))}. AP and AR are COCO's, in percent.</footer>
<script>
{_read("page.js")}</script></body></html>
"""
    write_file(path, text.encode("utf-8", "replace"))


def _read(name: str) -> str:
    return files("maskzoo.evaluation").joinpath(name).read_text(encoding="utf-8")
