"""One HTML file that tells how a model was trained and how good it is: no request leaves it, nothing has to be installed.

Curves are inline SVG, pictures are data URIs; the only script sorts tables, and the page is whole without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.drawing.fonts import explain_unwritten
from maskzoo.errors import ArgumentError, SourceError
from maskzoo.evaluation.analysis import Analysis
from maskzoo.evaluation.job import EvaluationRun
from maskzoo.evaluation.metrics import Evaluation
from maskzoo.html import page_frame
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.reports import diagnosis, sections
from maskzoo.reports.pictures import Picture, make_pictures
from maskzoo.system.files import check_target, make_folder

__all__ = ["check_page", "write_page", "write_report"]


def write_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    history: sections.History | None = None,
    annotations: AnnotationSet | None = None,
    evaluation: Evaluation | None = None,
    analysis: Analysis | None = None,
    pictures: Sequence[Picture] = (),
) -> None:
    """Write a page of whatever there is: `facts` by name, a run's `history`, numbers, curves, confusion and pictures.

    `history` are the rows of a run's metrics.jsonl; `annotations` those that `evaluation` and `analysis` are of. Raises
    MaskzooError if the file cannot be written.
    """
    classes = annotations.classes.names if annotations else ()
    kinds = sections.list_kinds(evaluation) if evaluation else {}
    content: dict[str, Any] = {
        "Training": sections.plot_training(history) if history else None,
        "Average precision": kinds,
        "Classes": evaluation and {"kinds": kinds, "rows": list(zip(classes, evaluation.objects.tolist(), strict=True))},
        "Precision and recall": sections.plot_curves(analysis, classes) if analysis else None,
        "Confusion": sections.count_confusion(analysis, classes) if analysis else None,
        **(diagnosis.list_diagnosis(analysis, annotations) if analysis and annotations else {}),
        "Images": analysis and pictures and {"threshold": analysis.threshold, "pictures": pictures},
    }
    page_frame.write_page(
        path,
        "reports/report.html",
        title=title,
        facts=facts,
        tiles=sections.list_tiles(evaluation, analysis),
        sections={name: section for name, section in content.items() if section},
    )


def write_report(
    path: str | Path, run: EvaluationRun, *, images: str | Path | None = None, on_progress: OnProgress = say_nothing
) -> None:
    """Write the page of an evaluation: numbers, curves, confusion, the best and the worst images.

    Args:
        path: the page's file, which ends in .html.
        run: what `maskzoo.evaluate` returned, in the first process.
        images: the images' folder, or one with a folder for each split; needed only where nothing was run and they are not
            near the annotations. If they are not found, the page has no pictures, and a note says so.
        on_progress: gets that note.

    Raises:
        ArgumentError: another kind of file, or the run of a process that has no rows.
        MaskzooError: the file cannot be written.
    """
    path = check_page(path)
    if run.results is None or run.analysis is None:
        raise ArgumentError(f"{path}: the rows of this run are in the first process; write the page there")
    annotations, evaluation, analysis = run.annotations, run.evaluation, run.analysis
    pictures: list[Picture] = []
    if note := explain_unwritten(annotations.classes.names):
        on_progress(ProgressEvent("Drawing", note=note))
    try:
        folder = run.folder or find_image_folder(annotations, None if images is None else Path(images))
        pictures = make_pictures(annotations, run.results, analysis, folder)
    except SourceError as error:  # results can be scored without the images
        on_progress(ProgressEvent("Drawing", note=f"{path}: gets no pictures: {error}"))
    facts = {"Model": run.model, "Data": annotations.source, "Detections": f"{evaluation.detections:,}"}
    if run.seconds:
        facts["Speed"] = f"{run.images / run.seconds:.1f} images/s"
    if run.comparison is not None:
        facts["Published figures"] = str(run.comparison)
    if run.failed:
        facts["Could not be run"] = f"{len(run.failed)} of {run.images} images"
    make_folder(path.parent)
    write_page(
        path,
        title=f"{run.model} on {Path(annotations.source).name}",
        facts=facts,
        annotations=annotations,
        evaluation=evaluation,
        analysis=analysis,
        pictures=pictures,
    )


def check_page(path: str | Path) -> Path:
    """Return the path of a page that can be written. Raises ArgumentError or MaskzooError; call it before hours of work."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"{path}: expected a name that ends in .html (--page)")
    check_target(Path(path))
    return Path(path)
