"""What `maskzoo eval` scores: a model run on a data set, by one process or many, or a file of results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskzoo.errors import SourceError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.datasets.annotations import AnnotationSet
    from maskzoo.datasets.classes import ClassMatch
    from maskzoo.evaluation.run import Evaluated
    from maskzoo.inference.predictor import Predictor
    from maskzoo.system.processes import Processes

__all__ = ["NO_MODEL", "Job", "read_job", "run_job"]

NO_MODEL = "-"
PREFERRED = ("val", "test", "train")  # the split of a folder that is evaluated if none is named


@dataclass(frozen=True)
class Job:
    """What is evaluated: the model, if there is one, the annotations of the images that count, and what was found."""

    name: str
    config: ModelConfig | None
    annotations: AnnotationSet
    match: ClassMatch | None
    found: Evaluated


def read_job(
    model: str,
    data: Path,
    split: str | None,
    overrides: Sequence[str],
    predictions: Path,
    limit: int | None,
    all_images: bool,
    processes: Processes,
    on_progress: OnProgress = say_nothing,
) -> Job | None:
    """Take what a file of results holds; one process is enough for that, the others get None."""
    if processes.rank > 0:
        return None
    from maskzoo.evaluation.results import read_results
    from maskzoo.evaluation.run import Evaluated, choose_images

    annotations, config = _read_data(data, split, processes, on_progress), _read_config(model, overrides)
    match = _match(config, annotations)
    kept = None if limit is None else choose_images(annotations, all_images=all_images, limit=limit)
    results = read_results(predictions, annotations, kept)
    annotations = annotations if kept is None else annotations.select(kept)
    on_progress(ProgressEvent("Reading", note=f"{predictions}: {results.provenance}"))
    return Job(predictions.name if config is None else config.name, config, annotations, match, Evaluated(results))


def run_job(
    load: Callable[[], Predictor],
    data: Path,
    split: str | None,
    images: Path | None,
    limit: int | None,
    processes: Processes,
    options: dict[str, Any],
    on_progress: OnProgress = say_nothing,
) -> Job | None:
    """Run the model on the images: in every process its share; the whole comes to the first, the others get None.

    The model is loaded by `load` once the data set is read.
    """
    from maskzoo.datasets.annotations import find_image_folder
    from maskzoo.evaluation.run import choose_images, evaluate_model

    annotations = _read_data(data, split, processes, on_progress)
    if limit is not None:
        annotations = annotations.select(choose_images(annotations, all_images=options["all_images"], limit=limit))
    folder = find_image_folder(annotations, images, split)
    predictor = load()
    match = _match(predictor.config, annotations)
    labels = None if match is None else match.labels
    stage = "Evaluating" if processes.count == 1 else f"Evaluating, share 1 of {processes.count}"
    began = time.perf_counter()

    def show(done: int, total: int) -> None:
        if processes.rank == 0:
            rate = processes.count * done / (time.perf_counter() - began)
            on_progress(ProgressEvent(stage, done, total, rate=rate))

    found = evaluate_model(
        predictor,
        annotations,
        folder,
        labels=labels,
        rank=processes.rank,
        processes=processes.count,
        gather=processes.gather,
        on_image=show,
        **options,
    )
    if found is None:
        return None
    return Job(predictor.config.name, predictor.config, annotations, match, found)


def _read_data(data: Path, split: str | None, processes: Processes, on_progress: OnProgress) -> AnnotationSet:
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.datasets.layout import find_splits

    if split is None and data.is_file():
        return read_annotations(data)
    files = find_splits(data)
    if split is not None and split not in files:
        raise SourceError(f"{data}: has no split {split!r}; expected one of {', '.join(files)} (--split)")
    chosen = split or next(name for name in PREFERRED if name in files)
    if split is None and chosen == "train" and processes.rank == 0:
        text = f"{data}: has no val and no test split; evaluating on train, which says little if the model learned on it"
        on_progress(ProgressEvent("Evaluating", note=text))
    return read_annotations(files[chosen])


def _read_config(model: str, overrides: Sequence[str]) -> ModelConfig | None:
    if model == NO_MODEL:
        return None
    from maskzoo.zoo.rows import read_model_config

    return read_model_config(model, overrides)


def _match(config: ModelConfig | None, annotations: AnnotationSet) -> ClassMatch | None:
    if config is None:
        return None
    from maskzoo.datasets.classes import ClassMap, match_classes

    return match_classes(ClassMap.from_classes(config.classes), annotations.classes, config.name, annotations.source)
