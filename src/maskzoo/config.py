"""The schema of a model file, and strict YAML in and out.

A model file says everything about one row of the zoo: the network, its input, its limits, the training recipe,
the classes and where the weights come from. It is data: `yaml.safe_load`, no tags, no references to code.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from maskzoo.errors import ConfigError

__all__ = [
    "Anchors",
    "Backbone",
    "BoxLimits",
    "BoxSampling",
    "Input",
    "Limits",
    "ModelConfig",
    "Network",
    "ProposalLimits",
    "Published",
    "ResizeRule",
    "RpnSampling",
    "RunSettings",
    "Source",
    "Training",
    "Warmup",
    "dump_config",
    "parse_config",
    "parse_settings",
    "read_config",
]

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
ResizeRule = Literal["one_factor", "rounded"]
_FOREIGN = re.compile(r"^(_BASE_\s*:\s*\[|(architecture|[A-Z]\w*Reader|OptimizerBuilder)\s*:)", re.MULTILINE)
MAX_MODEL_FILE_BYTES = 1 << 20  # the published files have about 6 KB


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Backbone(_Section):
    """A ResNet: `variant` b is the plain one, d has the three-convolution stem and pooled shortcuts.

    `width` is the number of channels of the stem; all stages follow it. `norm` frozen uses stored statistics and never
    trains, as published; the others learn: bn, sync_bn (statistics over all processes), gn (groups of channels).
    """

    depth: Literal[18, 34, 50, 101]
    variant: Literal["b", "d"]
    width: Annotated[int, Field(ge=8, multiple_of=8)]
    groups: Positive
    group_width: Positive
    norm: Literal["frozen", "bn", "sync_bn", "gn"]
    frozen: tuple[Literal["stem", "res2", "res3", "res4", "res5"], ...]

    @model_validator(mode="after")
    def _check(self) -> Backbone:
        if self.depth < 50 and (self.groups, self.group_width) != (1, 64):
            raise ValueError(f"depth {self.depth} has no grouped convolutions; it needs groups 1 and group_width 64")
        return self


class Anchors(_Section):
    """Anchor `sizes` (side of the square, pixels) of each level and its `strides`; ratios are height / width."""

    sizes: tuple[tuple[Annotated[float, Field(gt=0)], ...], ...]
    ratios: tuple[Annotated[float, Field(gt=0)], ...]
    strides: tuple[Positive, ...]

    @model_validator(mode="after")
    def _check(self) -> Anchors:
        if len(self.sizes) != len(self.strides):
            raise ValueError(f"{len(self.sizes)} levels of sizes, but {len(self.strides)} strides")
        if len({len(sizes) for sizes in self.sizes}) != 1 or not self.sizes[0] or not self.ratios:
            raise ValueError("every level needs the same number of sizes, at least one, and one ratio or more")
        return self


class Network(_Section):
    """`heads` fpn: a pyramid and two-layer box head; c4: one level of stride 16 and res5 on every RoI.

    `channels` are those of pyramid, RPN and mask head (of c4, of the mask head), `box_features` those of the two-layer
    box head. `norm` stands in pyramid and mask convolutions; the published networks have none there.
    """

    heads: Literal["fpn", "c4"]
    channels: Annotated[int, Field(ge=8, multiple_of=8)]
    box_features: Positive
    norm: Literal["none", "bn", "sync_bn", "gn"]
    backbone: Backbone
    anchors: Anchors

    @model_validator(mode="after")
    def _check(self) -> Network:
        if self.heads == "c4" and "res5" in self.backbone.frozen:
            raise ValueError("backbone.frozen names res5, which is part of the c4 heads; it cannot be frozen")
        expected = (4, 8, 16, 32, 64) if self.heads == "fpn" else (16,)
        if self.anchors.strides != expected:
            raise ValueError(
                f"anchors.strides is {list(self.anchors.strides)}; {self.heads} heads need {list(expected)}"
            )
        return self


class Input(_Section):
    """How a photo becomes the network's input: target sides, the rule of resizing, RGB mean, deviation, canvas multiple.

    `resize` belongs to the weights (`data/transforms.py` has the rules): `one_factor` where they are published ones or go on
    from those. Files of maskzoo that do not say it are from before there was a choice, and mean `rounded`.
    """

    short_side: Positive
    long_side: Positive
    resize: ResizeRule = "rounded"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    canvas_multiple: Positive


class ProposalLimits(_Section):
    """Per level: keep `before_nms` by score, suppress above `iou`, keep `after_nms`; then `total` of an image."""

    before_nms: Positive
    after_nms: Positive
    total: Positive
    iou: Fraction
    min_side: Annotated[float, Field(ge=0)]


class BoxLimits(_Section):
    """Detections: class scores above `score`, suppressed above `iou` within a class, the best `total` of an image."""

    score: Fraction
    iou: Fraction
    total: Positive
    mask_threshold: Annotated[float, Field(gt=0, le=1)]


class Limits(_Section):
    proposals: ProposalLimits
    detections: BoxLimits


class Warmup(_Section):
    iterations: Annotated[int, Field(ge=0)]
    start_factor: Fraction


class RpnSampling(_Section):
    """Which anchors train the RPN: positive from `positive_iou`, negative below `negative_iou`."""

    samples: Positive
    positive_fraction: Fraction
    positive_iou: Fraction
    negative_iou: Fraction


class BoxSampling(_Section):
    """Which RoIs train the heads: foreground from `foreground_iou`, at most `foreground_fraction` of `samples`."""

    samples: Positive
    foreground_fraction: Fraction
    foreground_iou: Fraction


class Training(_Section):
    """The published recipe. `learning_rate` belongs to `images_per_batch` images over all processes."""

    epochs: Positive
    milestones: tuple[Positive, ...]
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Fraction
    warmup: Warmup
    momentum: Fraction
    weight_decay: Annotated[float, Field(ge=0)]
    stage_rates: dict[Literal["res2", "res3", "res4", "res5"], float]
    images_per_batch: Positive
    short_sides: tuple[Positive, ...]
    long_side: Positive
    flip: Fraction
    proposals: ProposalLimits
    rpn: RpnSampling
    boxes: BoxSampling


class Published(_Section):
    """What a published row reaches and costs: AP on COCO val2017 in percent, as PaddleDetection publishes it.

    `parameters` leaves running statistics out; `gflops` is one image of 800x1216, a multiply-add counted as two.
    """

    box_ap: float
    mask_ap: float
    parameters: Positive
    gflops: Annotated[float, Field(gt=0)]


class Source(_Section):
    """Where the weights come from and under which licence. The URLs are empty in a user's own file."""

    weights: str
    imagenet: str
    licence: str
    published: Published | None

    @field_validator("weights", "imagenet")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError(f"{value!r} is not an http(s) address; leave it empty and pass weights= for a local file")
        return value


class ModelConfig(_Section):
    """One row of the zoo, complete. `classes` maps the data set's category id to its name, in label order."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    schedule: str
    network: Network
    input: Input
    limits: Limits
    classes: Annotated[dict[int, str], Field(min_length=1)]
    training: Training
    source: Source


class RunSettings(_Section):
    """How a training run uses its machine and its data; the recipe itself stands in the model file.

    A step takes `batch` images in each process and adds up `accumulate` such batches: the learning rate follows their
    total. `short_sides`, flip and long side are the recipe's; `jitter` (smallest and largest factor) replaces them by
    large-scale jitter, and `copy_paste` is the probability that objects of another image are pasted.
    """

    batch: Positive = 1
    accumulate: Positive = 1
    workers: Annotated[int, Field(ge=0)] = 2
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    patience: Positive | None = None
    evaluate_every: Positive = 1
    snapshot_every: Positive = 1000
    deterministic: bool = False
    empty_images: bool = False
    damaged_images: Literal["replace", "stop"] = "replace"
    group_by_aspect: bool = False
    jitter: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None
    copy_paste: Fraction = 0.0


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice instead of keeping the last one, and aliases, which can nest into gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed in a model file", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} stands twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes a value out each time it stands, as _Loader wants it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read a model file. `overrides` are `key.path=value` texts, the value in YAML.

    Raises ConfigError that names the file, the key and the nearest valid name.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_MODEL_FILE_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes, a model file has at most {MAX_MODEL_FILE_BYTES}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such model file; `maskzoo models` lists the names, `models copy` makes a file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a model file: {error}") from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, origin: str, overrides: Sequence[str] = ()) -> ModelConfig:
    """Check the YAML text of a model file; `origin` names it in errors."""
    if _FOREIGN.search(text):
        raise ConfigError(
            f"{origin}: a PaddleDetection config; expected a maskzoo model file. Take the row's name (`maskzoo models` lists "
            "them), or `maskzoo models copy NAME my.yml` and bring your changes over"
        )
    try:
        data = yaml.load(text, _Loader)  # a SafeLoader: builds plain values only
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{origin}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: expected a mapping of sections, found {type(data).__name__}")
    for override in overrides:
        _override(data, override)
    try:
        return ModelConfig.model_validate_json(_to_json(data, origin))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in _explain(error, ModelConfig))) from None


def parse_settings(overrides: Sequence[str] = (), base: RunSettings | None = None) -> RunSettings:
    """Return the settings of a run: `base` or the defaults, with `overrides`, which are `key=value` texts.

    Raises ConfigError that names the key and the nearest valid one.
    """
    data = (base or RunSettings()).model_dump(mode="json")
    for override in overrides:
        _override(data, override)
    try:
        return RunSettings.model_validate_json(_to_json(data, "--set run"))
    except ValidationError as error:
        raise ConfigError("\n".join(f"--set run: {line}" for line in _explain(error, RunSettings))) from None


def dump_config(config: ModelConfig) -> str:
    """Return the YAML text that `parse_config` reads back to an equal config."""
    data = config.model_dump(mode="json")
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def _to_json(data: dict[Any, Any], origin: str) -> str:
    """JSON gives pydantic's strict mode its natural forms: lists for tuples, text keys for whole numbers."""
    try:
        return json.dumps(data, allow_nan=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: holds a value that is no number, text, list or mapping: {error}") from None


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected key.path=value, for example limits.detections.score=0.3")
    *parents, last = key.split(".")
    section: Any = data
    for parent in parents:
        section = section.get(parent) if isinstance(section, dict) else None
    if not isinstance(section, dict):
        raise ConfigError(f"--set {override}: there is no section {'.'.join(parents)!r}")
    try:
        section[last] = yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from error


def _explain(error: ValidationError, schema: type[_Section]) -> list[str]:
    """One line per fault: key path, what was found, what was expected, nearest valid name of an unknown key."""
    lines = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"]) or "the file"
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}{_nearest(fault['loc'], schema)}")
        elif fault["type"] == "missing":
            lines.append(f"key {key!r} is missing")
        else:
            found = repr(fault["input"])
            lines.append(f"{key}: {fault['msg']} (found {found if len(found) < 80 else found[:77] + '...'})")
    return lines


def _nearest(location: tuple[int | str, ...], schema: type[_Section]) -> str:
    section: Any = schema
    for part in location[:-1]:
        field: Any = section.model_fields.get(part) if _is_section(section) else None
        section = next((kind for kind in _kinds(field.annotation) if _is_section(kind)), None) if field else None
    if not _is_section(section):
        return ""
    known: Mapping[str, Any] = section.model_fields
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *getattr(annotation, "__args__", ()))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _Section)
