"""The card of a published model: what it is, what it reached on what, and how to use it, from what its files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

from maskzoo.config import ModelConfig
from maskzoo.zoo.rows import summarize

__all__ = ["list_measures", "write_card"]

MEASURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
SHOWN = 100  # classes of the table


def list_measures(numbers: Mapping[str, Any], provenance: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return what was measured of the weights, by box and mask: AP 0 to 1 under COCO's names; empty if nothing was.

    `numbers` are those of a run's best-metrics.json; without them the three in the weights' provenance count.
    """
    stated = json.loads(provenance.get("metrics") or "null") or {}
    known = {kind: {name: stated.get(f"{kind}_{name.lower()}") for name in MEASURES[:3]} for kind in ("box", "mask")}
    found = {kind: dict(numbers.get(kind) or known[kind]) for kind in known}
    kept = {kind: {name: row[name] for name in MEASURES if row.get(name) is not None} for kind, row in found.items()}
    return {kind: row for kind, row in kept.items() if row}


def write_card(
    repository: str, config: ModelConfig, provenance: Mapping[str, str], numbers: Mapping[str, Any], sha256: str
) -> str:
    """Return the Markdown of a model's card, with the metadata that the hub reads.

    Args:
        repository: `user/name`.
        config: The model's.
        provenance: What its weights file says of its origin.
        numbers: Those of a run's best-metrics.json, empty where there is none.
        sha256: Of the weights file.
    """
    measures = list_measures(numbers, provenance)
    summary = summarize(config, measured=True)
    network = f"Mask R-CNN, {summary.backbone}-{summary.heads}, {summary.parameters / 1e6:.1f} M parameters"
    classes = ", ".join(list(config.classes.values())[:SHOWN]) + (", ..." if len(config.classes) > SHOWN else "")
    parts = [
        f"# {repository.partition('/')[2]}",
        f"{network}, for {len(config.classes)} classes: {classes}.",
        "## Use",
        f"```\npip install 'maskzoo[hub]'\nmaskzoo predict hf://{repository} photo.jpg\n```\n\n```python\nimport maskzoo\n\n"
        f'prediction = maskzoo.load("hf://{repository}").predict("photo.jpg")\n```',
        "## Measured",
        _describe_measures(measures, numbers, provenance),
        "## Origin",
        "\n".join(f"* {line}" for line in _list_origin(config, provenance)),
        f"`model.safetensors` holds weights, config and classes; its SHA-256 is `{sha256}`. `model.yml` is its config to read.",
    ]
    return f"---\n{_write_metadata(repository, config, measures, provenance)}---\n\n" + "\n\n".join(parts) + "\n"


def _describe_measures(
    measures: Mapping[str, Mapping[str, float]], numbers: Mapping[str, Any], provenance: Mapping[str, str]
) -> str:
    if not measures:
        return "Nothing was measured: no number says how good these weights are."
    names = [name for name in MEASURES if any(name in row for row in measures.values())]
    rows = [
        f"| {kind} | " + " | ".join(f"{100 * row[name]:.1f}" if name in row else "-" for name in names) + " |"
        for kind, row in measures.items()
    ]
    table = "\n".join([f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names), *rows])
    on = f"{numbers['images']} images with {numbers['objects']} objects" if numbers else "the run's validation split"
    text = f"In percent, by COCO's rules, on {on}; the weights were chosen by this mask AP.\n\n{table}"
    rows = [
        f"| {row['name'].replace('|', chr(92) + '|')} | {row['objects']} | {_percent(row.get('segm'))} |"
        for row in numbers.get("classes", ())[:SHOWN]
    ]
    return text + ("\n\n" + "\n".join(["| class | objects | mask AP |", "|---|---|---|", *rows]) if rows else "")


def _percent(measured: Mapping[str, Any] | None) -> str:
    value = None if measured is None else measured.get("ap")
    return "-" if value is None else f"{100 * value:.1f}"


def _list_origin(config: ModelConfig, provenance: Mapping[str, str]) -> list[str]:
    """Return what the file says of where its weights come from; of a path its last part, for the rest is private."""
    words = {
        "trained_by": "trained by",
        "from": "began with",
        "data": "trained on",
        "data_sha256": "SHA-256 of its annotations",
    }
    told = {name: provenance[name] for name in words if provenance.get(name)}
    lines = [f"{words[name]}: {PurePath(value).name if name in ('from', 'data') else value}" for name, value in told.items()]
    photos = (
        f"photos: short side {config.input.short_side}, long side {config.input.long_side} at most, `{config.input.resize}`"
    )
    return [*lines, photos, f"licence: {config.source.licence or 'not said'}"]


def _write_metadata(
    repository: str, config: ModelConfig, measures: Mapping[str, Mapping[str, float]], provenance: Mapping[str, str]
) -> str:
    metadata: dict[str, Any] = {
        "library_name": "maskzoo",
        "pipeline_tag": "image-segmentation",
        "tags": ["mask-rcnn", "instance-segmentation", "object-detection", "pytorch"],
    }
    if config.source.licence and config.source.licence != "none":
        metadata["license"] = config.source.licence.lower()
    if measures:
        data = PurePath(provenance.get("data") or "own data").stem
        metrics = [
            {"type": f"{kind}_{name.lower()}", "name": f"{kind} {name}", "value": round(value, 4)}
            for kind, row in measures.items()
            for name, value in row.items()
        ]
        task = {"type": "image-segmentation", "name": "Instance segmentation"}
        result = {"task": task, "dataset": {"name": data, "type": "coco"}, "metrics": metrics}
        metadata["model-index"] = [{"name": repository.partition("/")[2], "results": [result]}]
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
