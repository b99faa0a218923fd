"""What a run is asked to do, said once before it begins: its model, its settings, where its data lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.dataset_checks.before_use import judge_before, take_crowds
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.class_edits import EditedClasses, GivenClasses, read_class_edits
from maskzoo.datasets.classes import ClassMap, join_classes
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.datasets.layout import find_splits
from maskzoo.errors import ArgumentError, TrainingError
from maskzoo.model_file import parse_settings
from maskzoo.system.files import hash_file
from maskzoo.training.auto_recipe.decisions import Decision
from maskzoo.training.schedule import change_epochs

__all__ = ["Plan", "change_plan", "make_plan"]

RESUMABLE = ("workers", "snapshot_every")  # settings that change nothing in the result


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run was asked to do: `config` and `settings`, and where its data is.

    `data` has `train`, `train_images` and, with a validation split, `val`, `val_images` (paths), and the annotation
    files' `train_sha256`, `val_sha256`; `start` says where the first weights came from; `processes` how many there are.
    `renamed` has the class that each of the data's became (None: left out), if a class map was given; `notes` say what
    became of the classes; `decisions` are those of a recipe from the data.
    """

    config: ModelConfig
    settings: RunSettings
    data: Mapping[str, str]
    start: Mapping[str, Any]
    processes: int
    renamed: Mapping[str, str | None] | None = None
    notes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def read(self, split: str) -> AnnotationSet:
        """Read the annotations of a split as the run takes them, under the class map's classes if one was given."""
        annotations = _read(self.data[split], self.settings)
        if self.renamed is None:
            return annotations
        return EditedClasses.from_dict(self.renamed, ClassMap.from_classes(self.config.classes)).edit(annotations)


def _read(file: str | Path, settings: RunSettings) -> AnnotationSet:
    annotations = read_annotations(file)
    return take_crowds(annotations) if settings.crowds_as_objects else annotations


def make_plan(
    config: ModelConfig,
    settings: RunSettings,
    data: str | Path,
    *,
    images: Path | None = None,
    val: Path | None = None,
    source: str | None = None,
    processes: int = 1,
    classes: GivenClasses | None = None,
) -> Plan:
    """Find the splits of `data` and their images, and make the model's classes those of the data set.

    These are the classes of both splits, joined by name, or what a class map (`classes`) makes of them.

    Raises SourceError where something is not found, AnnotationsError with every fault of an annotation file or where a set
    is nonsense as a whole, ConfigError if the splits' classes disagree or the class map does not fit them.
    """
    edits = None if classes is None else read_class_edits(classes)
    splits = find_splits(data)
    if "train" not in splits:
        raise TrainingError(f"{data}: found {', '.join(splits)}; expected a train split; give its annotation file as DATA")
    files = {"train": splits["train"], "val": splits.get("val") if val is None else val}
    places: dict[str, str] = {}
    found: dict[str, AnnotationSet] = {}
    for split, file in files.items():
        if file is None:
            continue
        found[split] = annotations = _read(file, settings)
        places[split] = str(file.absolute())
        places[f"{split}_images"] = str(find_image_folder(annotations, images, split).absolute())
        places[f"{split}_sha256"] = hash_file(file)
    renamed, note = None, None
    if edits is not None:
        edited = edits.resolve(*(annotations.classes.to_pairs() for annotations in found.values()))
        joined, renamed, note = edited.classes, edited.to_dict(), f"{edits.origin}: {edited}"
        found = {split: edited.edit(annotations) for split, annotations in found.items()}
    elif len(found) > 1:
        joined, note = join_classes(found["train"].classes, found["val"].classes, found["val"].count_objects())
    else:
        joined = found["train"].classes
    notes = judge_before(data, found, learning=True)
    if joined.to_classes() != dict(config.classes):
        config = config.model_copy(update={"classes": joined.to_classes()})
    return Plan(config, settings, places, {"from": source}, processes, renamed, (*([note] if note else []), *notes))


def change_plan(plan: Plan, settings: Sequence[str], processes: int, epochs: int | None = None) -> Plan:
    """Return the plan of a run that goes on with other `settings` (KEY=VALUE), of those that change nothing in the result.

    Or with more `epochs`: milestones move in proportion, as in a new run of so many.

    Raises ArgumentError for other settings; TrainingError if the run cannot go on exactly: other data, or another number of
    processes.
    """
    for text in settings:
        if text.partition("=")[0] not in RESUMABLE:
            refuse_change(f"--set run.{text}")
    if processes != plan.processes:
        raise TrainingError(
            f"the run was begun with {plan.processes} processes, found {processes}; resume it with as many "
            "(torchrun --nproc-per-node), or it would not be the same run"
        )
    for split in ("train", "val"):
        if split in plan.data and hash_file(Path(plan.data[split])) != plan.data[f"{split}_sha256"]:
            raise TrainingError(
                f"{plan.data[split]}: is not the file that the run was begun with (its SHA-256 has changed); "
                "put the old one back, or start a new run with --from"
            )
    if epochs is not None:
        if epochs < plan.config.training.epochs:
            raise ArgumentError(
                f"epochs (--epochs): found {epochs}; the run was begun with {plan.config.training.epochs}, and --resume can "
                "raise that number, not lower it"
            )
        recipe = change_epochs(plan.config.training, epochs)
        plan = replace(plan, config=plan.config.model_copy(update={"training": recipe}))
    return replace(plan, settings=parse_settings(settings, plan.settings))


def refuse_change(option: str) -> None:
    """Raise ArgumentError for an option that a resumed run cannot take."""
    raise ArgumentError(f"{option} cannot change with --resume; a resumed run keeps what it began with")
