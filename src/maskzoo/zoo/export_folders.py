"""Exports that are folders: a page for browsers, a function of CVAT, a model repository of Triton."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from maskzoo.config import ModelConfig
from maskzoo.errors import ExportError
from maskzoo.exporting.onnx import Facts, write_onnx
from maskzoo.exporting.program import Program
from maskzoo.exporting.triton import MODEL, describe_model, make_client
from maskzoo.exporting.web import NETWORK, PAGE
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.system.files import make_folder, write_file
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.cvat import describe_labels

__all__ = ["FOLDERS", "list_files", "write_cvat", "write_triton"]

FOLDERS = ("web", "cvat", "triton")
WEIGHTS = "model.safetensors"
MAIN = '''"""A function of CVAT for nuclio: nuctl deploy --project-name cvat --path THIS_FOLDER --platform local

Its image is built upon maskzoo's own, maskzoo:cpu, whose Dockerfile comes with maskzoo.
"""

import json

import maskzoo
from maskzoo.zoo.cvat import answer


def init_context(context):
    context.user_data.predictor = maskzoo.load("/opt/nuclio/model.safetensors")


def handler(context, event):
    try:
        status, found = 200, answer(context.user_data.predictor, event.body)
    except maskzoo.MaskzooError as error:
        status, found = 400, str(error)
    return context.Response(body=json.dumps(found), headers={}, content_type="application/json", status_code=status)
'''
AGENT = '''"""The function without nuclio: cvat-cli task auto-annotate TASK --function-file THIS_FILE --allow-unmatched-labels

An agent of CVAT takes it as well: cvat-cli function create-native NAME --function-file THIS_FILE, then function run-agent.
"""

from pathlib import Path

from maskzoo.zoo.cvat import create

function = create(str(Path(__file__).with_name("model.safetensors")))
spec, detect = function.spec, function.detect
'''


def list_files(to: str, folder: Path, name: str) -> list[Path]:
    """Return the files that will be written; the first holds the network, the second shows its use."""
    if to == "web":
        return [folder / NETWORK, folder / PAGE]
    if to == "cvat":
        return [folder / one for one in (WEIGHTS, "auto_annotation.py", "main.py", "function.yaml")]
    inside = [f"{name}/1/{MODEL}", "client.py", "example.py", "example.json", f"{name}/config.pbtxt"]
    return [folder / one for one in inside]


def write_cvat(network: MaskRCNN, config: ModelConfig, provenance: Mapping[str, str], folder: Path, name: str) -> None:
    """Write a function of CVAT in both forms, its weights beside it. Raises MaskzooError if a file cannot be written."""
    write_checkpoint(folder / WEIGHTS, network.state_dict(), config, provenance)
    for file, text in {"auto_annotation.py": AGENT, "main.py": MAIN, "function.yaml": _describe_function(config, name)}.items():
        write_file(folder / file, text.encode(), ExportError)


def _describe_function(config: ModelConfig, name: str) -> str:
    labels = ",\n".join("  " + json.dumps(label, ensure_ascii=False) for label in describe_labels(config.classes))
    identifier = re.sub(r"[^a-z0-9]+", "-", f"maskzoo-{name}".lower())[:60].strip("-")  # as Kubernetes allows
    function = {
        "metadata": {
            "name": identifier,
            "namespace": "cvat",
            "annotations": {"name": name, "type": "detector", "framework": "pytorch", "spec": f"[\n{labels}\n]\n"},
        },
        "spec": {
            "description": f"Mask R-CNN of maskzoo: {config.name}",
            "runtime": "python:3.11",
            "handler": "main:handler",
            "eventTimeout": "60s",
            "build": {
                "image": f"cvat.{identifier}",
                "baseImage": "maskzoo:cpu",
                "directives": {"preCopy": [{"kind": "USER", "value": "root"}, {"kind": "WORKDIR", "value": "/opt/nuclio"}]},
            },
            "triggers": {
                "myHttpTrigger": {
                    "kind": "http",
                    "maxWorkers": 1,
                    "workerAvailabilityTimeoutMilliseconds": 10_000,
                    "attributes": {"maxRequestBodySize": 33_554_432},
                }
            },
            "platform": {"attributes": {"restartPolicy": {"name": "always", "maximumRetryCount": 3}, "mountMode": "volume"}},
        },
    }
    return yaml.safe_dump(function, sort_keys=False, allow_unicode=True)


def write_triton(network: MaskRCNN, facts: Facts, folder: Path, name: str) -> None:
    """Write a model repository of Triton, and a client. Raises ExportError as `write_onnx` does."""
    file = list_files("triton", folder, name)[0]
    make_folder(file.parent)
    write_onnx(Program(network), facts, file)
    texts = {f"{name}/config.pbtxt": describe_model(name, file, facts.prepares)} | make_client(
        name, facts.config, facts.prepares
    )
    for one, text in texts.items():
        write_file(folder / one, text.encode(), ExportError)
