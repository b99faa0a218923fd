"""One HTML file that tells how a model was trained and how good it is: no request leaves it, nothing has to be installed.

Curves are inline SVG, pictures are data URIs; the only script sorts tables, and the page is whole without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskzoo.evaluation.analysis import Analysis
from maskzoo.evaluation.metrics import Evaluation
from maskzoo.html import page_frame
from maskzoo.reports import sections
from maskzoo.reports.pictures import Picture

__all__ = ["write_page"]


def write_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    history: sections.History | None = None,
    classes: Sequence[str] = (),
    evaluation: Evaluation | None = None,
    analysis: Analysis | None = None,
    pictures: Sequence[Picture] = (),
) -> None:
    """Write a page of whatever there is: `facts` by name, a run's `history`, numbers, curves, confusion and pictures.

    `history` are the rows of a run's metrics.jsonl; `classes` the names of the data set's labels, which `evaluation`
    and `analysis` count by. Raises MaskzooError if the file cannot be written.
    """
    content: dict[str, Any] = {
        "Training": sections.plot_training(history) if history else None,
        "Average precision": sections.list_metrics(evaluation) if evaluation else None,
        "Classes": sections.list_classes(evaluation, classes) if evaluation else None,
        "Precision and recall": sections.plot_curves(analysis, classes) if analysis else None,
        "Confusion": sections.count_confusion(analysis, classes) if analysis else None,
        "Images": sections.group_pictures(pictures, analysis.threshold) if analysis and pictures else None,
    }
    page_frame.write_page(
        path,
        "reports/report.html",
        title=title,
        facts=facts,
        tiles=sections.list_tiles(evaluation, analysis),
        sections={name: section for name, section in content.items() if section},
    )
