"""A PaddleDetection config of one's own becomes a model file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.datasets.importers.class_names import read_class_names
from maskzoo.model_file import dump_config
from maskzoo.system.files import check_target, write_file
from maskzoo.zoo.choices import Choice, Draft
from maskzoo.zoo.paddledetection_config import translate_paddledetection
from maskzoo.zoo.rows import read_row
from maskzoo.zoo.toolkit_configs import read_yaml_config

__all__ = ["ImportedConfig", "import_config"]

PRETRAINED = re.compile(r"https?://\S+_pretrained\.pdparams")  # what PaddleDetection calls ImageNet's


@dataclass(frozen=True, slots=True)
class ImportedConfig:
    """A model file that was written.

    Attributes:
        path: The file.
        config: What is in it.
        choices: Its values, and which key of the other config each is from.
        unused: Keys of the other config that nothing here needs.
        notes: What else to know.
    """

    path: Path
    config: ModelConfig
    choices: tuple[Choice, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what was taken over as plain values for JSON."""
        return {
            "path": str(self.path),
            "choices": [choice.to_dict() for choice in self.choices],
            "unused": list(self.unused),
            "notes": list(self.notes),
        }


def import_config(
    source: str | Path,
    out: str | Path,
    *,
    classes: str | Path | Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
) -> ImportedConfig:
    """Write a model file of a PaddleDetection config with the files that its `_BASE_` names; nothing in them is run.

    Args:
        source: The `.yml` of a Mask R-CNN.
        out: The model file to write.
        classes: Class names in the order of training, or a file that lists them; None: COCO's where there are 80.
        overrides: Values of the model file to change, `key.path=value` texts.
        force: Whether `out` is overwritten if it is there.

    Returns:
        The model file's values, each with the key it is from, and the keys that were not used.

    Raises:
        ConfigError: The config cannot be read, or asks for what is not computed here.
        ArgumentError: `classes` are no list of names, or `out` is there already.
    """
    source, out = Path(source), Path(out)
    values = read_yaml_config(source)
    inner = values.get("MaskRCNN")
    fpn = isinstance(inner, dict) and inner.get("neck") is not None
    draft = Draft(read_row("mask_rcnn_r50_fpn_1x_coco" if fpn else "mask_rcnn_r50_1x_coco"), "default of maskzoo")
    _name(draft, source, values)
    if classes is not None:
        draft.set("classes", dict(enumerate(read_class_names(classes), 1)), "--classes")
    unused = translate_paddledetection(values, source.name, draft)
    if draft.get("input.resize") == "one_factor":
        draft.notes.append(
            "input.resize is one_factor, as published weights need it; PaddleDetection 2.6.1 and later rounds each side: for "
            "weights that those trained --set input.resize=rounded"
        )
    config = draft.finish(str(source), overrides)
    check_target(out, force=force)
    write_file(out, dump_config(config).encode())
    data = config.model_dump(mode="json")
    choices = tuple(Choice(key, _pick(data, key), source) for key, source in draft.sources.items())
    return ImportedConfig(out, config, choices, tuple(unused), tuple(draft.notes))


def _pick(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data[part]
    return data


def _name(draft: Draft, source: Path, values: dict[str, Any]) -> None:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem).strip("-._") or "imported"
    weights = values.get("pretrain_weights")
    imagenet = isinstance(weights, str) and PRETRAINED.fullmatch(weights)
    if weights and not imagenet:
        draft.notes.append(f"pretrain_weights {weights!s:.100}: no ImageNet weights; begin with them by train --from FILE")
    draft.set("name", name, f"name of {source.name}")
    draft.set("schedule", "own", f"name of {source.name}")
    draft.data["source"] = {"weights": "", "imagenet": "", "licence": "yours", "published": None}
    draft.set("source.imagenet", weights if imagenet else "", f"{source.name}: pretrain_weights")
