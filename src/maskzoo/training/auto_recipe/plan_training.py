"""`maskzoo.plan_training`: a whole recipe from a data set and the machine, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.datasets.annotations import AnnotationSet, select_for_training
from maskzoo.datasets.class_edits import GivenClasses
from maskzoo.errors import ArgumentError, SourceError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.machine import inspect_processor
from maskzoo.system.processes import Device, Processes
from maskzoo.training.auto_recipe.decisions import Decision
from maskzoo.training.auto_recipe.facts import DataFacts, measure_data
from maskzoo.training.auto_recipe.shape import decide_shape
from maskzoo.training.auto_recipe.trial import can_bfloat16, find_batch, list_readable, time_image
from maskzoo.training.plan import make_plan
from maskzoo.training.schedule import change_epochs
from maskzoo.zoo.download import find_fetched
from maskzoo.zoo.rows import read_row

__all__ = ["TrainingPlan", "plan_training"]

PUBLISHED, SMALL, TINY = "mask_rcnn_r50_vd_fpn_ssld_2x_coco", "maskzoo_r18_fpn_small", "maskzoo_r18_fpn_tiny"
SEEN = {"none": 10_000, PUBLISHED: 4_000}  # images that a run should see, from random and from published weights
EPOCHS = 12, 200  # the fewest and the most, where no time is given
MOST_TIMES = 5  # the epochs of a run without a time, where one is given
HOURS = 1.0  # on a CPU, by which the network is chosen where none are given
FEW = 0.1  # of the images that a run should see, below which they are worth more than pixels
SOONER = 1.5  # times as fast, from which fewer pixels are worth it
SHARE = 0.85  # of the hours that the steps take; the rest is for measuring
CPU_BATCH, GPU_BATCH = 4, 16
FASTER = 1.15  # times as fast, from which bfloat16 is worth it
MEASURED = 5  # times in a run
AVERAGED = 20  # parts of a run, of which one is averaged
RARE = 0.25  # of the middle class's share of images, below which a class is rare


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What `train` would do with a data set: the model file, the run's settings, the weights to begin with (`source`).

    `decisions` are the values that were chosen, each with its reason as data; as text, a sentence.
    """

    config: ModelConfig
    settings: RunSettings
    source: str
    decisions: tuple[Decision, ...]

    def list_kept(self, config: ModelConfig, settings: RunSettings) -> tuple[Decision, ...]:
        """Return the decisions that hold for a run with this config and these settings, some of which were given."""
        values = {**config.model_dump(mode="json"), "run": settings.model_dump(mode="json")}
        kept = []
        for decision in self.decisions:
            value: Any = values
            for part in decision.key.split("."):
                value = value.get(part, decision.value) if isinstance(value, dict) else value
            kept += [decision] if value == decision.value else []
        return tuple(kept)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return {
            "config": self.config.model_dump(mode="json"),
            "settings": self.settings.model_dump(mode="json"),
            "source": self.source,
            "decisions": [decision.to_dict() for decision in self.decisions],
        }


def plan_training(
    data: str | Path,
    *,
    hours: float | None = None,
    images: str | Path | None = None,
    classes: GivenClasses | None = None,
    crowds_as_objects: bool = False,
    device: Device = "auto",
    on_progress: OnProgress = say_nothing,
) -> TrainingPlan:
    """Choose a whole recipe from a data set and the machine: what `maskzoo train DATA` does without a model.

    A few steps are tried, which takes seconds; nothing is written.

    Args:
        data: a COCO instances file, or a folder with a train split.
        hours: how long the training may take; left out, the number of images decides.
        images: the images' folder, or one with a folder for each split.
        classes: a class map, as `train` takes it.
        crowds_as_objects: whether crowds train as objects.
        device: "auto" is the GPU where there is one.
        on_progress: is told what is looked at.

    Returns:
        Model file, settings, first weights, and the reason of every value that was chosen.

    Raises:
        ArgumentError: `hours` is not above 0.
        SourceError: the data set, its images or an object to learn is not found.
        AnnotationsError: the annotation file has faults.
        ConfigError: the class map does not fit.
        ImageError: no image can be read.
    """
    if hours is not None and not 0 < hours < float("inf"):
        raise ArgumentError(f"hours (--hours): found {hours}; expected a number above 0")
    on_progress(ProgressEvent("Looking at the data"))
    base = RunSettings(crowds_as_objects=crowds_as_objects)
    place = None if images is None else Path(images)
    plan = make_plan(read_row(TINY), base, data, images=place, classes=classes)
    annotations, _ = select_for_training(plan.read("train"))
    if not len(annotations):
        raise SourceError(f"{data}: has no object to train on; `maskzoo data stats {data}` says what is there")
    names = plan.config.classes
    maker = _Maker(measure_data(annotations), names, hours, Processes(device=device).device, on_progress)
    return maker.make(annotations, Path(plan.data["train_images"]), base)


class _Maker:
    """Makes the decisions, one after the other: later ones need what earlier ones chose."""

    def __init__(
        self, facts: DataFacts, classes: dict[int, str], hours: float | None, device: torch.device, on_progress: OnProgress
    ) -> None:
        self.facts, self.classes, self.hours, self.device, self.on_progress = facts, classes, hours, device, on_progress
        self.decisions: list[Decision] = []

    def make(self, annotations: AnnotationSet, folder: Path, base: RunSettings) -> TrainingPlan:
        """Decide all of it, on images of a `folder`."""
        photos = list_readable(annotations, folder)
        self.on_progress(ProgressEvent("Trying some steps"))
        config, source, seconds = self._choose_model(photos)
        self.decide("--from", source, "no-weights" if source == "none" else "begins-with")
        batch = self._choose_batch(config, photos)
        seconds = self._choose_precision(config, photos, batch, seconds)
        epochs = self._choose_epochs(source, seconds)
        steps = max(1, self.facts.images // batch) * epochs
        ema = float(f"{min(max(1 - AVERAGED / steps, 0.9), 0.9998):.4g}")
        self.decide("run.ema", ema, "steps-averaged", steps=steps)
        self.decide("run.evaluate_every", max(1, epochs // MEASURED), "five-times")
        self._choose_workers()
        self._repeat_rare()
        recipe = change_epochs(config.training, epochs)
        rate = recipe.learning_rate
        self.decide("training.learning_rate", rate, "linear-rule", rate=rate, images=recipe.images_per_batch)
        settings = {one.key.removeprefix("run."): one.value for one in self.decisions if one.key.startswith("run.")}
        config = config.model_copy(update={"training": recipe, "name": "auto", "schedule": f"{epochs} epochs"})
        return TrainingPlan(config, base.model_copy(update=settings), source, tuple(self.decisions))

    def decide(self, key: str, value: Any, reason: str, **facts: Any) -> None:
        """Keep a value and its reason."""
        self.decisions.append(Decision(key, value, reason, facts))

    def _choose_model(self, photos: list[str]) -> tuple[ModelConfig, str, float]:
        """Return the network at its input size, its first weights, and the seconds of an image (float32; 0: not tried)."""
        here = find_fetched(read_row(PUBLISHED).source.weights) is not None
        if here or self.device.type == "cuda":
            self.decide("MODEL", PUBLISHED, "published-weights" if here else "gpu")
            config, seconds = self._fit_size(PUBLISHED, PUBLISHED, photos, 0.0)
            return config, PUBLISHED, seconds if self.device.type == "cpu" else 0.0  # a GPU's batch is another
        shapes = {row: self._shape(row) for row in (TINY, SMALL)}
        tiny, small = (_count_work(shapes[row][0]) for row in (TINY, SMALL))
        seconds = self._time(shapes[TINY][0], photos)
        budget, minutes = (self.hours or HOURS) * SHARE * 60, seconds * SEEN["none"] / 60 * small / tiny
        row, reason = (TINY, "cpu-no-time") if minutes > budget else (SMALL, "cpu-time")
        self.decide("MODEL", row, reason, wanted=SEEN["none"], budget=budget, minutes=minutes)
        config, seconds = self._fit_size(row, "none", photos, seconds if row == TINY else 0.0)
        return config, "none", seconds

    def _fit_size(self, row: str, source: str, photos: list[str], seconds: float) -> tuple[ModelConfig, float]:
        """Return a row's network at its input size, and the seconds of an image (0: not tried).

        That is the size that objects want, or, where the given hours leave too few images of it, the one they need.
        """
        config, decisions = self._shape(row)
        least, hurried = self._shape(row, hurried=True)
        if self.hours is not None and least.input.short_side < config.input.short_side:
            seconds = seconds or self._time(config, photos)
            if self.hours * 3600 * SHARE < FEW * SEEN[source] * seconds:
                quick = self._time(least, photos)
                if seconds >= SOONER * quick:
                    config, decisions, seconds = least, hurried, quick
        self.decisions += decisions
        return config, seconds

    def _shape(self, row: str, *, hurried: bool = False) -> tuple[ModelConfig, list[Decision]]:
        config = read_row(row).model_copy(update={"classes": dict(self.classes)})
        return decide_shape(config, self.facts, hurried=hurried)

    def _time(self, config: ModelConfig, photos: list[str]) -> float:
        return time_image(config, photos, min(CPU_BATCH, self.facts.images), "float32", self.device)

    def _choose_batch(self, config: ModelConfig, photos: list[str]) -> int:
        batch, reason = CPU_BATCH, "cpu-batch"
        if self.device.type == "cuda":
            batch, reason = find_batch(config, photos, min(GPU_BATCH, self.facts.images), self.device), "gpu-batch"
        if self.facts.images < batch:
            batch, reason = self.facts.images, "few-images"
        self.decide("run.batch", batch, reason, images=self.facts.images)
        return batch

    def _choose_precision(self, config: ModelConfig, photos: list[str], batch: int, seconds: float) -> float:
        """Return the seconds of an image in the chosen precision."""
        seconds = seconds or time_image(config, photos, batch, "float32", self.device)
        if not can_bfloat16(self.device):
            self.decide("run.precision", "float32", "no-bfloat16")
            return seconds
        low = time_image(config, photos, batch, "bfloat16", self.device)
        fast = seconds / low >= FASTER
        self.decide("run.precision", "bfloat16" if fast else "float32", "faster" if fast else "not-faster", gain=seconds / low)
        return low if fast else seconds

    def _choose_epochs(self, source: str, seconds: float) -> int:
        images = self.facts.images
        usual = min(max(-(-SEEN[source] // images), EPOCHS[0]), EPOCHS[1])
        if self.hours is None:
            self.decide("training.epochs", usual, "images-seen", images=images, seen=usual * images)
            return usual
        fitting = int(self.hours * 3600 * SHARE / (seconds * images))
        epochs = min(max(1, fitting), MOST_TIMES * usual)
        self.decide("training.epochs", epochs, "hours", seconds=seconds, images=images, hours=self.hours)
        return epochs

    def _choose_workers(self) -> None:
        usable = inspect_processor().usable
        most = 8 if self.device.type == "cuda" else 1
        workers = min(most, usable - 1) if usable > 2 else 0
        self.decide("run.workers", workers, "processors" if workers else "one-processor", processors=usable)

    def _repeat_rare(self) -> None:
        shares = sorted((share, name) for name, share in self.facts.class_shares.items())
        middle, (least, rarest) = shares[len(shares) // 2][0], shares[0]
        if least < RARE * middle:
            facts = {"rarest": rarest, "share": least, "middle": middle}
            self.decide("run.repeat_rare", float(f"{middle / 2:.3g}"), "rare-classes", **facts)


def _count_work(config: ModelConfig) -> float:
    from maskzoo.models.cost import measure_cost

    multiple, shape = config.input.canvas_multiple, config.input
    canvas = tuple(-(-side // multiple) * multiple for side in (shape.short_side, shape.long_side))
    return measure_cost(config.network, len(config.classes), config.limits, (canvas[0], canvas[1]))[1]
