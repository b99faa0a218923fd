"""How PaddleDetection's config prepares photos and trains, translated into a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskzoo.errors import ConfigError, list_some
from maskzoo.zoo.choices import Draft, Settings

__all__ = ["READERS", "name_steps", "translate_input", "translate_training"]

GPUS = 8  # for which PaddleDetection's configs state their learning rates
INTERPOLATIONS = {2: "one_factor", 1: "opencv"}  # OpenCV's numbers of cubic and linear
RPN_KEYS = {
    "samples": "batch_size_per_im",
    "positive_fraction": "fg_fraction",
    "positive_iou": "positive_overlap",
    "negative_iou": "negative_overlap",
}
BOX_KEYS = {"samples": "batch_size_per_im", "foreground_fraction": "fg_fraction", "foreground_iou": "fg_thresh"}
STEP = 32  # pixels between the short sides that stand for a range
READERS = ("TestReader", "EvalReader")  # the first prepares photos for prediction and for exported files
TRAIN, RATES = "TrainReader.sample_transforms", "LearningRate.schedulers"
LISTS = [(f"{name}Reader", f"{kind}_transforms") for name in ("Train", "Eval", "Test") for kind in ("sample", "batch")]
LISTS.append(("LearningRate", "schedulers"))


def name_steps(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a config whose lists of transforms and of schedulers are mappings: their names with their arguments.

    Raises ConfigError for a list that is none of those, or has a name twice.
    """
    named = dict(values)
    for section, key in LISTS:
        inner = named.get(section)
        if isinstance(inner, Mapping) and inner.get(key) is not None:
            named[section] = {**inner, key: _name_list(inner[key], f"{origin}: {section}.{key}")}
    return named


def _name_list(steps: Any, source: str) -> dict[str, Any]:
    if not isinstance(steps, list):
        raise ConfigError(f"{source} is {steps!r:.80}; expected a list")
    named: dict[str, Any] = {}
    for step in steps:
        if isinstance(step, Mapping) and isinstance(step.get("name"), str):
            name, arguments = step["name"], {key: value for key, value in step.items() if key != "name"}
        elif isinstance(step, Mapping) and len(step) == 1:
            name, arguments = next(iter(step.items()))
        else:
            raise ConfigError(f"{source} has {step!r:.80}; expected a name with its arguments")
        if name in named:
            raise ConfigError(f"{source} has {name} twice; expected each once")
        named[str(name)] = arguments or {}
    return named


def translate_input(settings: Settings, draft: Draft) -> None:
    """Put into a draft how photos are prepared. Raises ConfigError for what is not computed here."""
    readers = [f"{name}.sample_transforms" for name in READERS if settings.find(f"{name}.sample_transforms")]
    key = readers[0] if readers else f"{READERS[0]}.sample_transforms"
    steps = settings.find(key) or {}
    if other := set(steps) - {"Decode", "Resize", "NormalizeImage", "Permute"}:
        raise ConfigError(f"{settings.tell(key)} has {list_some(sorted(other))}, which is not computed here; expected Resize")
    for name, kept in (("Resize", "sides"), ("NormalizeImage", "mean and deviation")):
        if name not in steps:
            draft.notes.append(f"{settings.origin}: {key} has no {name}; {kept} stay as the published networks have them")
    if "Resize" in steps:
        _translate_resize(settings, draft, f"{key}.Resize")
    if "NormalizeImage" in steps:
        settings.need(f"{key}.NormalizeImage.norm_type", "mean_std")
        divisor = 1.0 if settings.flag(f"{key}.NormalizeImage.is_scale") else 255.0
        for name in ("mean", "std"):
            theirs = f"{key}.NormalizeImage.{name}"
            draft.set(f"input.{name}", [value / divisor for value in settings.numbers(theirs)], settings.tell(theirs))
    pad = f"{key.partition('.')[0]}.batch_transforms.PadBatch.pad_to_stride"
    draft.set("input.canvas_multiple", max(1, settings.whole(pad)), settings.tell(pad))
    for other_key in readers[1:]:
        if settings.find(other_key) != steps:
            draft.notes.append(f"{settings.origin}: {other_key} prepares photos otherwise; the way of {key} was taken")
    normalise = settings.find(f"{TRAIN}.NormalizeImage")
    if normalise is not None and normalise != steps.get("NormalizeImage"):
        draft.notes.append(f"{settings.origin}: {TRAIN} normalises otherwise; the way of {key} was taken")


def _translate_resize(settings: Settings, draft: Draft, key: str) -> None:
    settings.need(f"{key}.keep_ratio", True)
    draft.set("input.resize", INTERPOLATIONS[settings.need(f"{key}.interp", *INTERPOLATIONS)], settings.tell(f"{key}.interp"))
    short, long = _read_sides(settings.find(f"{key}.target_size"), settings.tell(f"{key}.target_size"))
    draft.set("input.short_side", short, settings.tell(f"{key}.target_size"))
    draft.set("input.long_side", long, settings.tell(f"{key}.target_size"))


def _read_sides(size: Any, source: str) -> tuple[int, int]:
    sides = [size, size] if type(size) is int else size
    if not isinstance(sides, list) or len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise ConfigError(f"{source} is {size!r:.80}; expected two sides in pixels, such as [800, 1333]")
    return min(sides), max(sides)


# Training


def translate_training(settings: Settings, draft: Draft) -> None:
    """Put the recipe into a draft; what has no counterpart becomes a note. Raises ConfigError for what makes no sense."""
    for section, theirs, keys in (("rpn", "RPNHead.rpn_target_assign", RPN_KEYS), ("boxes", "BBoxAssigner", BOX_KEYS)):
        for ours, key in keys.items():
            value = settings.whole(f"{theirs}.{key}") if ours == "samples" else settings.number(f"{theirs}.{key}")
            draft.set(f"training.{section}.{ours}", value, settings.tell(f"{theirs}.{key}"))
    if settings.number("BBoxAssigner.bg_thresh") != settings.number("BBoxAssigner.fg_thresh"):
        draft.notes.append(
            f"{settings.tell('BBoxAssigner.bg_thresh')}: not used: fg_thresh alone parts objects from background"
        )
    draft.set("training.learning_rate", settings.number("LearningRate.base_lr"), settings.tell("LearningRate.base_lr"))
    _translate_schedule(settings, draft)
    _translate_optimizer(settings, draft)
    _translate_samples(settings, draft)
    batch = settings.whole("TrainReader.batch_size")
    draft.set("training.images_per_batch", batch * GPUS, f"{settings.tell('TrainReader.batch_size')}, on {GPUS} GPUs")
    draft.notes.append(
        f"training.images_per_batch is {batch * GPUS}: {batch} a GPU on {GPUS} GPUs, for which PaddleDetection states learning "
        "rates; if yours is for another number: --set training.images_per_batch=N"
    )


def _translate_schedule(settings: Settings, draft: Draft) -> None:
    epochs = settings.whole("epoch") if settings.find("epoch") is not None else draft.get("training.epochs")
    draft.set("training.epochs", epochs, settings.tell("epoch"))
    found, key = settings.find(RATES) or {}, f"{RATES}.PiecewiseDecay"
    if "PiecewiseDecay" in found or not found:
        milestones = settings.numbers(f"{key}.milestones")
        whole = [
            int(one) if one.is_integer() else one for one in milestones
        ]  # what is not whole is refused with the whole file
        draft.set("training.milestones", whole, settings.tell(key))
        draft.set("training.decay", settings.numbers(f"{key}.gamma")[0], settings.tell(key))
    else:
        draft.set("training.milestones", [max(1, epochs * 2 // 3), max(1, epochs * 11 // 12)], "two thirds, eleven twelfths")
    warmup = f"{RATES}.LinearWarmup"
    if "LinearWarmup" in found or not found:
        draft.set("training.warmup.iterations", settings.whole(f"{warmup}.steps"), settings.tell(f"{warmup}.steps"))
        factor = settings.number(f"{warmup}.start_factor")
        draft.set("training.warmup.start_factor", factor, settings.tell(f"{warmup}.start_factor"))
    for name in set(found) - {"PiecewiseDecay", "LinearWarmup"}:
        draft.notes.append(
            f"{settings.tell(RATES)}.{name}: not used: learning rates fall at milestones, after a linear warm-up"
        )


def _translate_optimizer(settings: Settings, draft: Draft) -> None:
    kind = settings.find("OptimizerBuilder.optimizer.type")
    if kind == "Momentum":
        settings.find("OptimizerBuilder.regularizer.type")
        for ours, theirs in (("momentum", "optimizer.momentum"), ("weight_decay", "regularizer.factor")):
            key = f"OptimizerBuilder.{theirs}"
            draft.set(f"training.{ours}", settings.number(key), settings.tell(key))
    else:
        draft.notes.append(f"{settings.origin}: optimizer {kind!r:.40}: not used: training here is SGD with momentum")
    if (norm := settings.find("OptimizerBuilder.clip_grad_by_norm")) is not None:
        draft.notes.append(f"{settings.origin}: clip_grad_by_norm is a setting of a run: train --set run.clip_norm={norm}")


def _translate_samples(settings: Settings, draft: Draft) -> None:
    steps = settings.find(TRAIN) or {}
    if "RandomResize" in steps:
        _translate_sides(settings, draft, f"{TRAIN}.RandomResize")
    elif "Resize" in steps:
        _translate_sides(settings, draft, f"{TRAIN}.Resize")
    if steps:
        flip = settings.number(f"{TRAIN}.RandomFlip.prob") if "RandomFlip" in steps else 0.0
        draft.set("training.flip", flip, settings.tell(f"{TRAIN}.RandomFlip") if flip else f"{settings.tell(TRAIN)}: no flip")
    if other := sorted(set(steps) - {"Decode", "RandomResize", "Resize", "RandomFlip", "NormalizeImage", "Permute"}):
        draft.notes.append(
            f"{settings.tell(TRAIN)}: not used: {list_some(other)}; training here resizes and flips; it jitters sizes "
            "or pastes objects with --set run.jitter=[0.1,2.0], run.copy_paste=0.5, and training.augmentation lists the rest"
        )


def _translate_sides(settings: Settings, draft: Draft, key: str) -> None:
    sizes, source = settings.find(f"{key}.target_size"), settings.tell(f"{key}.target_size")
    settings.need(f"{key}.keep_ratio", True)
    listed = sizes if isinstance(sizes, list) and sizes and isinstance(sizes[0], list) else [sizes]
    pairs = [_read_sides(size, source) for size in listed]
    shorts = sorted({short for short, _ in pairs})
    if settings.find(f"{key}.random_range") is True:
        shorts = [*range(shorts[0], shorts[-1], STEP), shorts[-1]]
        draft.notes.append(f"{source}: the range of short sides is taken in steps of {STEP} pixels")
    draft.set("training.short_sides", shorts, source)
    draft.set("training.long_side", max(long for _, long in pairs), source)
