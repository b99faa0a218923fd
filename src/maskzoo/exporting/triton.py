"""A model repository of NVIDIA Triton around an exported ONNX file: what the server must be told, and a client."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.exporting.example import make_example
from maskzoo.system.packages import import_extra

__all__ = ["MODEL", "describe_model", "make_client"]

MODEL = "model.onnx"  # what Triton's ONNX backend looks for in the folder of a version
MOST, WAIT = 8, 5000  # of a batch; microseconds that an image waits for others
TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
}


def describe_model(name: str, path: Path, prepares: bool) -> str:
    """Return the `config.pbtxt` of an exported file, its tensors as onnxruntime reads them: -1 is a size that may change.

    Images that fill the same canvas are computed together; a file that prepares photos itself takes one at a time. Raises
    MissingPackageError if onnxruntime is not installed.
    """
    runtime = import_extra("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first = 0 if prepares else 1  # Triton adds the batch itself
    lines = [
        f"name: {json.dumps(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {0 if prepares else MOST}",
        *_list_tensors("input", session.get_inputs(), first),
        *_list_tensors("output", session.get_outputs(), first),
    ]
    if not prepares:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {WAIT} }}")
    return "\n".join(lines) + "\n"


def _list_tensors(kind: str, tensors: list[Any], first: int) -> list[str]:
    rows = []
    for one in tensors:
        dims = ", ".join(str(side) if isinstance(side, int) else "-1" for side in one.shape[first:])
        rows.append(f'{kind} {{ name: "{one.name}" data_type: {TYPES[one.type]} dims: [ {dims} ] }}')
    return rows


def make_client(name: str, config: ModelConfig, prepares: bool) -> dict[str, str]:
    """Return the files of a client by their names; `client.py` is the program."""
    texts = make_example(f"{name}/1/{MODEL}", config, prepares)
    script = (files("maskzoo.exporting") / "triton_client.py").read_text(encoding="utf-8")
    return {"client.py": script} | {f"example{ending}": text for ending, text in texts.items()}
