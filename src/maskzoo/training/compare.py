"""Comparing two trained models: `maskzoo.compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import read_json
from maskzoo.errors import ArgumentError
from maskzoo.evaluation.difference import ComparedModels, compare_results
from maskzoo.evaluation.job import evaluate
from maskzoo.evaluation.results import Results, check_results
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.processes import Device
from maskzoo.training.run_folder import RunFolder

__all__ = ["compare"]


def compare(
    first: str | Path,
    second: str | Path,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    images: str | Path | None = None,
    batch: int = 1,
    device: Device = "auto",
    resamples: int = 1000,
    seed: int = 0,
    on_progress: OnProgress = say_nothing,
) -> ComparedModels:
    """Compare two models on the same images, with a confidence interval of the difference.

    Args:
        first, second: each the folder of a run, a COCO result file (.json), or a model as `maskzoo.evaluate` takes it.
        data: a COCO instances file, or a folder of a usual layout. Left out, both are runs, and what their best weights
            found on the validation split is compared; nothing is run.
        split, images, batch, device: as for `maskzoo.evaluate`, with `data`.
        resamples: how often images are drawn again for the interval; 10 or more.
        seed: of these draws.
        on_progress: gets downloads and images.

    Returns:
        Measures of both, second minus first with its 95 % interval, and AP by class.

    Raises:
        ArgumentError: neither data nor two runs that measured on the same annotations, or too few resamples.
        MaskzooError: as `maskzoo.evaluate`.
    """
    if resamples < 10:
        raise ArgumentError(f"resamples (--resamples): found {resamples}; expected 10 or more")
    sides = []
    for one in (first, second):
        if data is None:
            sides.append(_read_run(Path(one)))
            continue
        is_file = Path(one).suffix.lower() == ".json"
        options = {"split": split, "batch": batch, "device": device, "on_progress": on_progress}
        where = {"predictions": one} if is_file else {"images": images}
        run = evaluate(None if is_file else one, data, **where, **options)  # type: ignore[arg-type]
        if run.results is None:
            raise ArgumentError("compare runs in one process; start it without torchrun")
        sides.append((run.annotations, run.results))
    (annotations, one_side), (others, other_side) = sides
    if not _are_alike(annotations, others):
        raise ArgumentError(
            f"{first} and {second}: measured on different annotations or classes ({annotations.source}, {others.source}); "
            "expected the same images, objects and classes for both. Give DATA, and both are run on it"
        )
    return compare_results(annotations, one_side, other_side, (str(first), str(second)), resamples=resamples, seed=seed)


def _read_run(path: Path) -> tuple[AnnotationSet, Results]:
    """Read what the best weights of a run found on its validation split."""
    folder = RunFolder(path)
    if not path.is_dir():
        raise ArgumentError(f"{path}: is no run of maskzoo train; name two runs, or give DATA to measure both on")
    plan = folder.read_plan()
    if "val" not in plan.data or not folder.predictions.exists():
        raise ArgumentError(f"{path}: a run that has measured nothing yet; give DATA, and its weights are run on it")
    annotations = plan.read("val")
    return annotations, check_results(read_json(folder.predictions), annotations, str(folder.predictions))


def _are_alike(one: AnnotationSet, other: AnnotationSet) -> bool:
    columns = ("image_ids", "ids", "labels", "bbox", "crowd")
    return one.classes == other.classes and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
