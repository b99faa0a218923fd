"""The page about a run: how it went, how good its best weights are, and on which images."""

from __future__ import annotations

from pathlib import Path

from maskzoo.datasets.coco_reader import read_json
from maskzoo.evaluation.analysis import analyze
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import check_results
from maskzoo.reports.page import write_page
from maskzoo.reports.pictures import make_pictures
from maskzoo.training.plan import Plan
from maskzoo.training.run_folder import RunFolder

__all__ = ["write_run_report"]


def write_run_report(folder: RunFolder) -> None:
    """Write report.html from what lies in a run's folder: its metrics, and what its best weights found."""
    plan, history = folder.read_plan(), list(folder.rows())
    title, facts = plan.config.name, _list_facts(plan)
    if "val" not in plan.data or not folder.predictions.exists():
        write_page(folder.report, title=title, facts=facts, history=history)
        return
    annotations = plan.read("val")
    results = check_results(read_json(folder.predictions), annotations, str(folder.predictions))  # ids are the data set's
    analysis = analyze(annotations, results)
    write_page(
        folder.report,
        title=title,
        facts=facts,
        history=history,
        annotations=annotations,
        evaluation=compute_metrics(annotations, results),
        analysis=analysis,
        pictures=make_pictures(annotations, results, analysis, Path(plan.data["val_images"])),
    )


def _list_facts(plan: Plan) -> dict[str, str]:
    shape, settings = plan.config.network.backbone, plan.settings
    images = settings.batch * settings.accumulate * plan.processes
    return {
        "Network": f"ResNet-{shape.depth}-{shape.variant}, {plan.config.network.heads.upper()}, norm {shape.norm}",
        "Trained on": plan.data["train"],
        "Measured on": plan.data.get("val", "nothing: there is no val split"),
        "Began with": str(plan.start.get("from") or "the model file's first weights"),
        "Images of a step": f"{images} ({settings.batch} x {settings.accumulate} x {plan.processes} processes)",
        "Precision": settings.precision,
        "Seed": str(settings.seed),
    }
