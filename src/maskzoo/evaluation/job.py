"""Measuring a model, or a file of results, on a data set: `maskzoo.evaluate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.config import ModelConfig
from maskzoo.dataset_checks.before_use import judge_before, take_crowds
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.class_edits import GivenClasses, read_class_edits
from maskzoo.datasets.classes import ClassMap, ClassMatch, match_classes
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.coco_writer import to_coco
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.datasets.layout import find_splits, pick_split
from maskzoo.errors import ArgumentError
from maskzoo.evaluation.analysis import Analysis, analyze
from maskzoo.evaluation.collect import Collected, Failure, choose_images, collect_results
from maskzoo.evaluation.common_classes import LeftOut, keep_common
from maskzoo.evaluation.judgement import Provenance
from maskzoo.evaluation.metrics import Evaluation, compute_metrics
from maskzoo.evaluation.published import Comparison, compare_with_published
from maskzoo.evaluation.results import Results, read_results
from maskzoo.inference.outputs import write_results
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_folder, make_folder, write_file
from maskzoo.system.processes import Device, Processes, join_processes
from maskzoo.zoo.backend_choice import BackendChoice, DtypeChoice
from maskzoo.zoo.load import load
from maskzoo.zoo.rows import read_model_config

__all__ = ["EvaluationRun", "evaluate"]

PREFERRED = ("val", "test", "train")  # the split of a folder that is evaluated if none is named


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationRun:
    """What was measured, and of what.

    Args:
        model: its name, or that of the file of results.
        annotations: the images that count, with their objects of the classes that the model and the data set both have.
        evaluation: COCO's numbers, 0 to 1.
        comparison: how they stand to the published ones; None if there are none.
        match: how the model's classes, or those of a file of results, are the data set's; None where nothing says.
        results: every row that was found, `results.provenance` how those of a file were matched. None in other processes
            than the first of those that torchrun started.
        analysis: what is wrong with them; None where `results` is.
        images: how many were run, in `seconds`.
        failed: the images that could not be run. They count as images without detections.
        folder: where the images are; None if nothing was run.
        left_out: the data set's classes that the model does not know, which do not count.
    """

    model: str
    annotations: AnnotationSet
    evaluation: Evaluation
    comparison: Comparison | None
    match: ClassMatch | None
    results: Results | None
    analysis: Analysis | None = None
    images: int = 0
    seconds: float = 0.0
    failed: tuple[Failure, ...] = ()
    folder: Path | None = None
    left_out: tuple[LeftOut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values that `json.dumps` takes."""
        provenance = None if self.results is None else self.results.provenance
        return {
            "model": self.model,
            "data": self.annotations.source,
            **self.evaluation.to_dict(self.annotations.classes),
            "published": None if self.comparison is None else self.comparison.to_dict(),
            "classes_matched": None if self.match is None else self.match.note,
            "classes_left_out": [asdict(one) for one in self.left_out],
            "matching": None if provenance is None else provenance.to_dict(),
            "detections_left_out": 0 if self.results is None else self.results.left_out,
            "analysis": None if self.analysis is None else self.analysis.to_dict(self.annotations),
            "images_run": self.images,
            "seconds": round(self.seconds, 3),
            "failed": [asdict(failure) for failure in self.failed],
        }


def evaluate(
    model: str | Path | None,
    data: str | Path,
    *,
    weights: str | Path | None = None,
    predictions: str | Path | None = None,
    split: str | None = None,
    images: str | Path | None = None,
    batch: int = 1,
    device: Device = "auto",
    backend: BackendChoice = "auto",
    dtype: DtypeChoice = "auto",
    calibrate: str | Path | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    all_images: bool = False,
    crowds_as_objects: bool = False,
    classes: GivenClasses | None = None,
    out: str | Path | None = None,
    processes: Processes | None = None,
    on_progress: OnProgress = say_nothing,
) -> EvaluationRun:
    """Measure box and mask AP on a data set.

    All that the model finds counts: its own score threshold applies. An image that has no object but crowds is not run,
    as in the published evaluation, and still counts as one of the data set. Classes are matched by name, and those count
    that the model and the data set both have. Where torchrun started several processes, all call it: they share the
    images, all get the numbers of one process, and the first has the rows.

    Args:
        model: as `maskzoo.load` takes it; with `predictions` it says what to compare with, and may be None.
        data: a COCO instances file, or a folder of a usual layout.
        weights: weights in place of the published ones; your own .yml needs them.
        predictions: a COCO result file to score; nothing is run. Its rows are matched with the images by the names in the
            images.json beside it, without one by their ids. Rows that cannot belong to these images are refused.
        split: the split of a folder; else val, or test, or train.
        images: the images' folder, or one with a folder for each split.
        batch: images computed together.
        device, backend, dtype, calibrate, overrides: as for `maskzoo.load`.
        limit: run and score the first so many images only.
        all_images: run images without an object too.
        crowds_as_objects: score crowds as objects, as in sets drawn with a brush.
        classes: a class map (.yml, or a mapping): the data's classes renamed, merged, left out, in another order, so that
            their names are those of the model.
        out: a folder for metrics.json and, if images were run, predictions.json and images.json.
        processes: those that share the images; all that torchrun started if left out.
        on_progress: gets downloads and images, and in notes how a file's rows were matched.

    Returns:
        The numbers, what they are to be compared with, and every row that was found.

    Raises:
        ArgumentError: arguments that do not go together.
        AnnotationsError: all that is wrong in the annotations or the results, or with the data set as a whole.
        SourceError: a split or the images are not found.
        MaskzooError: as `maskzoo.load`; or a file in `out` cannot be written.
    """
    given = {"--weights": weights, "--images": images} if predictions is not None else {}
    for option in (name for name, value in given.items() if value is not None):
        raise ArgumentError(f"{option}: nothing is run with --from-predictions; leave it out")
    if model is None and predictions is None:
        raise ArgumentError("MODEL: found -, which is accepted only with --from-predictions; name a model")
    if model is None and overrides:
        raise ArgumentError("--set: MODEL is -, so there is no value to change; leave it out")
    if out is not None:
        check_folder(Path(out))
    edits = None if classes is None else read_class_edits(classes)
    with join_processes(device) if processes is None else nullcontext(processes) as processes:
        tell = on_progress if processes.rank == 0 else say_nothing
        annotations = _read_data(Path(data), split, tell)
        annotations = take_crowds(annotations) if crowds_as_objects else annotations
        if edits is not None:
            edited = edits.resolve(annotations.classes.to_pairs())
            annotations = edited.edit(annotations)
            tell(ProgressEvent("Evaluating", note=f"{edits.origin}: {edited}"))
        for note in judge_before(data, {"": annotations}, learning=False):
            tell(ProgressEvent("Evaluating", note=note))
        if not sum(annotations.count_objects()):
            tell(ProgressEvent("Evaluating", note=f"{annotations.source}: has no object to find, so nothing is measured"))
        kept = None if limit is None else choose_images(annotations, all_images=all_images, limit=limit)
        chosen = annotations if kept is None else annotations.select(kept)
        folder, found = None, None
        if model is not None and predictions is None:
            folder = find_image_folder(chosen, None if images is None else Path(images), split)
            place = device if processes.count == 1 else processes.device.type
            options: dict[str, Any] = {"device": place, "backend": backend, "dtype": dtype, "calibrate": calibrate}
            predictor = load(model, weights, overrides=overrides, on_progress=tell, **options)
            subject = _Subject.of(predictor.config, chosen)
            scope: dict[str, Any] = {"batch": batch, "all_images": all_images, "processes": processes}
            found = collect_results(predictor, chosen, folder, labels=subject.labels, on_progress=tell, **scope)
        else:
            config = None if model is None else read_model_config(model, overrides)
            subject = _Subject(Path(str(predictions)).name) if config is None else _Subject.of(config, chosen)
            if predictions is not None and processes.rank == 0:
                found = Collected(read_results(predictions, annotations, kept))
                tell(ProgressEvent("Reading", note=f"{predictions}: {found.results.provenance}"))
                subject = subject.as_predicted(found.results.provenance)
        changes = [*(f"--set {text}" for text in overrides), *(["--all-images"] if all_images else [])]
        changes += [] if dtype in ("auto", "float32") else [f"--dtype {dtype}"]
        run = None if found is None else subject.score(chosen, found, changes, folder)
        shared = processes.broadcast(None if run is None else replace(run, results=None, analysis=None))
    if run is not None and out is not None:
        _write(Path(out), run, choose_images(chosen, all_images=all_images))
    run = run or shared
    assert run is not None  # the first process has it
    return run


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whose results are scored: a name, and of a model its config and how its classes are the data set's."""

    name: str
    config: ModelConfig | None = None
    match: ClassMatch | None = None

    @classmethod
    def of(cls, config: ModelConfig, annotations: AnnotationSet) -> _Subject:
        ours = ClassMap.from_classes(config.classes)
        objects = annotations.count_objects()
        return cls(config.name, config, match_classes(ours, annotations.classes, config.name, annotations.source, objects))

    def as_predicted(self, provenance: Provenance | None) -> _Subject:
        """Return the same with the classes that the rows of a file are said to have, where something says it."""
        return self if provenance is None or provenance.match is None else replace(self, match=provenance.match)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        return None if self.match is None else self.match.labels

    def score(self, annotations: AnnotationSet, found: Collected, changes: list[str], folder: Path | None) -> EvaluationRun:
        annotations, results, left_out = keep_common(annotations, found.results, self.match)
        evaluation = compute_metrics(annotations, results)
        changes = [*changes, *([f"{len(found.failed)} images could not be run"] if found.failed else [])]
        differs = f"this run differs by {', '.join(changes)}" if changes else None
        comparison = None
        if self.config is not None:
            comparison = compare_with_published(self.config, annotations, evaluation, differs)
        rest = analyze(annotations, results), found.images, found.seconds, tuple(found.failed), folder, left_out
        return EvaluationRun(self.name, annotations, evaluation, comparison, self.match, results, *rest)


def _read_data(data: Path, split: str | None, on_progress: OnProgress) -> AnnotationSet:
    if split is None and data.is_file():
        return read_annotations(data)
    files = find_splits(data)
    if split is not None:
        return read_annotations(pick_split(files, split, data))
    chosen = next(name for name in PREFERRED if name in files)
    if chosen == "train":
        text = f"{data}: has no val and no test split; evaluating on train, which says little if the model learned on it"
        on_progress(ProgressEvent("Evaluating", note=text))
    return read_annotations(files[chosen])


def _write(out: Path, run: EvaluationRun, chosen: NDArray[np.bool_]) -> None:
    """Write the numbers and, if the `chosen` images were run, what was found on those that could be."""
    make_folder(out)
    if run.folder is not None and run.results is not None:
        done = chosen & ~np.isin(run.annotations.image_ids, [failure.image_id for failure in run.failed])
        index = to_coco(run.annotations.select(done, np.zeros(len(run.annotations.ids), np.bool_)))
        write_results(out, [run.results.to_json(run.annotations).decode("ascii")], [json.dumps(index)])
    numbers = json.dumps(run.to_dict(), indent=1, allow_nan=False)
    write_file(out / "metrics.json", numbers.encode("ascii") + b"\n")
