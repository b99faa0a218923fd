"""`convert`: weights of any library into one safe file, with where each value of its model file is from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, ConfigError, WeightsError
from maskzoo.images.batch import make_batch
from maskzoo.system.files import hash_file
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.weights.foreign import ForeignFile, read_tensors
from maskzoo.weights.recognition import Recognised, recognise
from maskzoo.zoo.choices import Choice, Draft
from maskzoo.zoo.class_names import set_class_names
from maskzoo.zoo.load import build_empty, list_shapes, note_rule
from maskzoo.zoo.model_draft import draft_model
from maskzoo.zoo.rows import find_row, read_row

__all__ = ["Conversion", "convert"]

CHECKED_REGIONS = 20  # that a converted network's heads are tried on


@dataclass(frozen=True, slots=True)
class Conversion:
    """What `convert` wrote.

    Attributes:
        path: the file.
        library: whose weights they were.
        config: the model file inside.
        choices: each value of it, and where it is from.
        used: how many entries of the source became weights.
        left_out: how many did not, by reason.
        notes: what you should know.
        tensors: the weights, by our names.
        provenance: what the file says about its source.
    """

    path: Path
    library: str
    config: ModelConfig
    choices: tuple[Choice, ...]
    used: int
    left_out: dict[str, int]
    notes: tuple[str, ...]
    tensors: dict[str, Tensor] = field(repr=False)
    provenance: dict[str, str] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what was chosen and counted as plain values for JSON."""
        return {
            "path": str(self.path),
            "library": self.library,
            "classes": {str(number): name for number, name in self.config.classes.items()},
            "choices": [choice.to_dict() for choice in self.choices],
            "used": self.used,
            "left_out": self.left_out,
            "notes": list(self.notes),
        }


def convert(
    source: str | Path,
    out: str | Path,
    model: str | Path | None = None,
    *,
    config: str | Path | None = None,
    classes: str | Path | Sequence[str] | None = None,
    part: str | None = None,
    style: Literal["caffe", "pytorch"] | None = None,
    options: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Conversion:
    """Write other libraries' weights as one safe file that holds config, class names and origin as well.

    Args:
        source: A weights file of torchvision, detectron2, mmdetection, PaddleDetection or Detectron; no code in it is run.
        out: The `.safetensors` file to write.
        model: The network they belong to, a row's name or a model file. None: it is found from the file and `config`.
        config: The toolkit's own config: detectron2's or PaddleDetection's YAML, mmdetection's `.py`, with the files that it
            names as its bases; read as data.
        classes: Class names in the model's order, or a file that lists them.
        part: Which part of a checkpoint is taken, such as "ema_state_dict".
        style: Of mmdetection's ResNets, whose files do not say it: "caffe" or "pytorch".
        options: What torchvision's function was called with, `name=value` texts.
        overrides: As for `load`, stronger than all else. No file says which PaddleDetection wrote it: for weights that 2.6.1
            or later trained, `input.resize=rounded` is yours to say.

    Returns:
        What was written, every value of its model file with its source, and what of the file was not used.

    Raises:
        ConfigError: It is not known which network the weights belong to, or a config is not computed here.
        WeightsError: They are damaged, of a network that is not computed here, or `out` cannot be written.
        ArgumentError: Arguments do not go together, or `classes` are no list of names.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: expected a name that ends in .safetensors")
    if out.exists() and source.exists() and out.samefile(source):
        raise WeightsError(f"{out}: is the file that is converted, which stays as it is; give the new one another name")
    file = read_tensors(source, part)
    if file.said.get("format") == "maskzoo":
        raise WeightsError(f"{source}: is a model of maskzoo already; use it as it is")
    found = recognise(file.tensors, str(source))
    if model is None and config is None and found.library == "PaddleDetection" and find_row(source.stem):
        row = read_row(source.stem)  # a file under a row's name is its file, unless it has other classes
        model = row.name if len(row.classes) == found.classes else None
    if model is not None:
        if config is not None or style is not None or options:
            raise ArgumentError(f"{model} says all of the network; leave config, style and options out, or the model (--model)")
        chosen = read_row(model, overrides)
        note_rule(chosen, model)
        draft = Draft(chosen, str(model))
        draft.note_overrides(overrides)
        if classes is not None:
            set_class_names(draft, found, classes)
            chosen = draft.finish(str(model), ())
    else:
        draft = draft_model(source, file, found, config=config, classes=classes, style=style, options=options)
        chosen = draft.finish(f"{source} (what was found)", overrides)
    return _write(source, out, file, found, draft, chosen)


def _write(source: Path, out: Path, file: ForeignFile, found: Recognised, draft: Draft, config: ModelConfig) -> Conversion:
    _check_anchors(found, config, source)
    network = build_empty(config)
    tensors = found.to_ours(config.network, list_shapes(network), str(source))
    _run_once(config, tensors, source)
    choices = draft.list_choices(config)
    provenance = {
        "source_file": source.name,
        "source_sha256": hash_file(source),
        "source_url": config.source.weights,
        "licence": config.source.licence,
        "maskzoo_version": version("maskzoo"),
        "library": found.library,
        "choices": json.dumps([choice.to_dict() for choice in choices], ensure_ascii=False),
    }
    write_checkpoint(out, tensors, config, provenance)
    notes = (*file.notes, *_describe_parts(file), *draft.notes)
    left_out = {reason: len(entries) for reason, entries in found.left_out.items()}
    return Conversion(out, found.library, config, choices, len(found.arrays), left_out, notes, tensors, provenance)


def _describe_parts(file: ForeignFile) -> list[str]:
    if not file.others:
        return []
    others = " and ".join(repr(one) for one in file.others)
    taken = repr(file.part) if file.part else "the weights on the outside"
    return [f"of the file's parts {taken} was taken; it also has {others}: --part takes it"]


def _check_anchors(found: Recognised, config: ModelConfig, source: Path) -> None:
    anchors = config.network.anchors
    expected = len(anchors.sizes[0]) * len(anchors.ratios)
    if found.anchors != expected:
        raise ConfigError(
            f"{source}: its RPN has {found.anchors} anchors in each place, and the model file {expected} "
            f"({len(anchors.sizes[0])} sizes a level, {len(anchors.ratios)} ratios); they are not in the file: give "
            "the toolkit's config, or --set network.anchors.sizes='[[...], ...]' and --set network.anchors.ratios='[...]'"
        )


def _run_once(config: ModelConfig, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Run every part of the network on a picture: what it computes must be numbers."""
    network = build_empty(config)
    network.load_state_dict(dict(tensors), assign=True)
    network.eval()
    rows, columns = np.mgrid[0:128, 0:160]
    picture = np.stack([rows * 1.9, columns * 1.5, (rows // 20 + columns // 20) % 2 * 255], axis=2).astype(np.uint8)
    batch = make_batch([picture], config.input)
    with torch.inference_mode():
        features = network.features(batch.pixels)
        _check_finite("backbone or pyramid", features, source)
        scores, deltas, anchors = network.score_anchors(features)
        _check_finite("RPN", [*scores, *deltas], source)
        limits = config.limits.proposals.model_copy(update={"total": CHECKED_REGIONS})
        proposals = network.propose(scores, deltas, anchors, batch.sizes, limits)
        table = network.heads.table(features)
        logits, deltas_of_boxes, proposals = network.heads.refine(table, proposals, batch.sizes)
        _check_finite("box head", [logits, deltas_of_boxes], source)
        regions = proposals.boxes
        labels = torch.zeros(regions.shape[:2], dtype=torch.int64)
        _check_finite("mask head", [network.heads.masks(table, regions, labels)], source)


def _check_finite(part: str, values: Iterable[Tensor], source: Path) -> None:
    if not all(value.isfinite().all() for value in values):
        raise WeightsError(
            f"{source}: the converted network computes values that are not numbers, in its {part}; nothing was written. Its "
            "norms may have variances of 0 (an epsilon is set by --set network.backbone.epsilon=1.0e-5), or the training had "
            "diverged"
        )
