"""What `maskzoo eval` scores: a model run on a data set, by one process or many, or a file of results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maskzoo.cli.loading import load_predictor
from maskzoo.cli.terminal import open_stderr
from maskzoo.errors import SourceError

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.data.annotations import AnnotationSet
    from maskzoo.data.classes import ClassMatch
    from maskzoo.evaluation.running import Evaluated
    from maskzoo.processes import Processes

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
) -> Job | None:
    """Take what a file of results holds; one process is enough for that, the others get None."""
    if processes.rank > 0:
        return None
    from maskzoo.evaluation.results import read_results
    from maskzoo.evaluation.running import Evaluated, choose_images

    annotations, config = _read_data(data, split, processes), _read_config(model, overrides)
    match = _match(config, annotations)
    kept = None if limit is None else choose_images(annotations, all_images=all_images, limit=limit)
    results = read_results(predictions, annotations, kept)
    annotations = annotations if kept is None else annotations.select(kept)
    open_stderr().print(f"{predictions}: {results.provenance}", soft_wrap=True, markup=False, highlight=False)
    return Job(predictions.name if config is None else config.name, config, annotations, match, Evaluated(results))


def run_job(
    model: str,
    weights: Path | None,
    data: Path,
    split: str | None,
    images: Path | None,
    limit: int | None,
    processes: Processes,
    loading: dict[str, Any],
    options: dict[str, Any],
) -> Job | None:
    """Run the model on the images: in every process its share; the whole comes to the first, the others get None."""
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.evaluation.running import choose_images, evaluate_model

    annotations = _read_data(data, split, processes)
    if limit is not None:
        annotations = annotations.select(choose_images(annotations, all_images=options["all_images"], limit=limit))
    folder = find_image_folder(annotations, images, split)
    predictor = load_predictor(model, weights, silent=processes.rank > 0, **loading)
    match = _match(predictor.config, annotations)
    labels = None if match is None else match.labels
    with _open_progress(processes) as show:
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


def _read_data(data: Path, split: str | None, processes: Processes) -> AnnotationSet:
    from maskzoo.data.coco import read_annotations
    from maskzoo.data.layout import find_splits

    if split is None and data.is_file():
        return read_annotations(data)
    files = find_splits(data)
    if split is not None and split not in files:
        raise SourceError(f"{data}: has no split {split!r}; expected one of {', '.join(files)} (--split)")
    chosen = split or next(name for name in PREFERRED if name in files)
    if split is None and chosen == "train" and processes.rank == 0:
        text = f"{data}: has no val and no test split; evaluating on train, which says little if the model learned on it"
        open_stderr().print(text, soft_wrap=True)
    return read_annotations(files[chosen])


def _read_config(model: str, overrides: Sequence[str]) -> ModelConfig | None:
    if model == NO_MODEL:
        return None
    if Path(model).suffix == ".safetensors":
        from maskzoo.config import dump_config, parse_config
        from maskzoo.weights.checkpoint import read_checkpoint_config

        return parse_config(dump_config(read_checkpoint_config(model)), model, overrides)
    from maskzoo.zoo.table import read_row

    return read_row(model, overrides)


def _match(config: ModelConfig | None, annotations: AnnotationSet) -> ClassMatch | None:
    if config is None:
        return None
    from maskzoo.data.classes import ClassMap, match_classes

    return match_classes(ClassMap.from_classes(config.classes), annotations.classes, config.name, annotations.source)


@contextmanager
def _open_progress(processes: Processes) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal; of several processes the first shows its share, and the speed of all."""
    console = open_stderr()
    columns = (
        TextColumn("Evaluating" if processes.count == 1 else f"Evaluating, share 1 of {processes.count}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    hidden = processes.rank > 0 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=None, rate="")
        began = time.perf_counter()

        def show(done: int, total: int) -> None:
            rate = processes.count * done / (time.perf_counter() - began)
            progress.update(task, completed=done, total=total, rate=f"{rate:.1f} images/s")

        yield show
