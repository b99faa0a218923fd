"""The results of a model on a data set: images are predicted, rows are kept. One process, or many that share the images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet, find_trainable
from maskzoo.errors import ImageError, MaskzooError
from maskzoo.evaluation.results import Results, join_results
from maskzoo.inference.predictor import WINDOW, Predictor
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.processes import Processes

__all__ = ["Collected", "Failure", "choose_images", "collect_results"]


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be run: its id in the data set, its file, and why."""

    image_id: int
    source: str
    error: str


@dataclass(slots=True)
class Collected:
    """What running a data set gave: result rows, the images that `failed`, how many were run, and the wall time."""

    results: Results = field(default_factory=Results)
    failed: list[Failure] = field(default_factory=list)
    images: int = 0
    seconds: float = 0.0


def choose_images(annotations: AnnotationSet, *, all_images: bool = False, limit: int | None = None) -> NDArray[np.bool_]:
    """Say which images are run, bool `[I]`: those with an object that trains, or all; the first `limit` by id."""
    chosen = np.ones(len(annotations), np.bool_)
    if not all_images:
        objects = annotations.image_index[find_trainable(annotations)]
        chosen = np.bincount(objects, minlength=len(annotations)) > 0
    return chosen if limit is None else chosen & (np.cumsum(chosen) <= limit)


def collect_results(
    predictor: Predictor,
    annotations: AnnotationSet,
    folder: Path,
    *,
    labels: NDArray[np.int64] | None = None,
    batch: int = 1,
    all_images: bool = False,
    processes: Processes | None = None,
    on_progress: OnProgress = say_nothing,
) -> Collected | None:
    """Predict the images of a data set, whose files lie in `folder`, and keep rows only.

    `labels` int64 `[C]` has the data set's label of each of the model's; left out, they are the same. An image that
    cannot be run is noted in `failed` and counts as one without detections. With several `processes` each runs its
    share, and rank 0 gets rows, bits and order of one process (at the same number of threads); the others get None. Each
    tells `on_progress` of its share.
    """
    processes = Processes() if processes is None else processes
    labels = np.arange(len(annotations.classes)) if labels is None else labels
    places = np.flatnonzero(choose_images(annotations, all_images=all_images))
    # Whole windows are shared out, so that the images that meet in a batch are those of one process.
    window = np.arange(len(places)) // (1 if batch == 1 else batch * WINDOW)
    share = places[window % processes.count == processes.rank].tolist()
    stage = "Evaluating" if processes.count == 1 else f"Evaluating, share {processes.rank + 1} of {processes.count}"
    done = Collected()
    began = time.perf_counter()
    for place, source, error in _run(predictor, annotations, folder, share, batch, labels, done.results):
        if error is not None:
            done.failed.append(Failure(int(annotations.image_ids[place]), source, error))
        done.images += 1
        done.seconds = time.perf_counter() - began
        rate = processes.count * done.images / done.seconds
        on_progress(ProgressEvent(stage, done.images, len(share), rate=rate))
    if processes.count == 1:
        return done
    parts = processes.gather(done)
    return None if parts is None else _join(parts)


def _run(
    predictor: Predictor,
    annotations: AnnotationSet,
    folder: Path,
    places: list[int],
    batch: int,
    labels: NDArray[np.int64],
    results: Results,
) -> Iterator[tuple[int, str, str | None]]:
    """Add each image's rows, and yield its place, its file and what went wrong."""
    paths = [folder / annotations.file_name(place) for place in places]
    found = predictor.predict_each(paths, score=0, batch_size=batch)
    for place, path, (_, prediction) in zip(places, paths, found, strict=True):
        error = None
        try:
            if isinstance(prediction, ImageError):
                raise prediction
            height, width = annotations.sizes[place].tolist()
            results.add_prediction(place, prediction, (height, width), labels)
        except MaskzooError as fault:
            error = str(fault) if isinstance(fault, ImageError) else f"{path}: {fault}"
        yield place, str(path), error


def _join(parts: list[Collected]) -> Collected:
    return Collected(
        join_results([part.results for part in parts]),
        sorted((failure for part in parts for failure in part.failed), key=lambda failure: failure.image_id),
        sum(part.images for part in parts),
        max(part.seconds for part in parts),
    )
