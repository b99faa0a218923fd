"""Weights files for tests: a writer of what Paddle writes, and weights that follow from their names by a rule.

The rule gives every parameter of a published network a value from its name, shape and a seed, with integer operations,
+, -, *, / and square roots only, so that any platform computes the same network without a stored file.
"""

import json
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MANIFESTS = Path(__file__).parent / "golden" / "manifest"

# The output layers: what their weights are multiplied by, and how far their biases spread.
OUTPUT_LAYERS = {
    "rpn_rois_score.": (1.0, 0.1),
    "rpn_rois_delta.": (0.25, 0.1),
    "bbox_score.": (2.0, 0.3),
    "bbox_delta.": (1.0, 0.3),
    "mask_fcn_logits.": (2.0, 0.3),
    "bbox_score_stage": (2.0, 0.3),  # of a cascade
    "bbox_delta_stage": (1.0, 0.3),
}


def write_pdparams(path: str | Path, arrays: Mapping[str, np.ndarray], protocol: int = 4, structured: bool = True) -> None:
    """Write what `paddle.save` makes of a state dict; `structured` adds its table of internal names."""
    content: dict[str, Any] = dict(arrays)
    if structured:
        content["StructuredToParameterName@@"] = {name: f"param_{place}.w_0" for place, name in enumerate(arrays)}
    Path(path).write_bytes(pickle.dumps(content, protocol=protocol))


def rule_weights(name: str, shape: tuple[int, ...], seed: int | str) -> np.ndarray:
    """Return the float32 value of parameter `name`, in Paddle's layout (linear weights are [in, out])."""
    spread = _uniform(name, tuple(shape), seed)
    gain, bias = next((values for layer, values in OUTPUT_LAYERS.items() if layer in name), (np.sqrt(2.0), 0.05))
    if name.endswith("._variance"):
        value = 1.0 + 0.2 * spread
    elif name.endswith(("._mean", "norm.bias")):
        value = 0.1 * spread
    elif name.endswith("norm.weight"):  # a block's last norm is damped: a hundred layers keep activations near 1
        value = (0.3 if "branch2c" in name else 1.0) * (1.0 + 0.1 * spread)
        if "bbox_head_conv3" in name:
            value *= 2.5  # what group norms evened out
    elif name.endswith(".bias"):
        value = bias * spread
        if "bbox_score" in name:
            value[-1] += 9.0  # background wins almost everywhere, as in a trained network
    else:
        inputs_lead = len(shape) == 2 or "conv5_mask" in name
        axes = (0,) if inputs_lead else tuple(range(1, len(shape)))
        fan_in = int(np.prod([shape[axis] for axis in axes]))
        if "bbox_score" in name and fan_in == 2048:
            gain *= 6.0  # the C4 head's pooled feature varies little
        value = (spread - spread.mean(axis=axes, keepdims=True)) * (gain / np.sqrt(fan_in))
    return value.astype(np.float32)


def rule_state(manifest: Mapping[str, Any], seed: int | str) -> dict[str, np.ndarray]:
    """Return all weights of a manifest: a dict of name -> [shape, trainable]."""
    return {name: rule_weights(name, tuple(entry[0]), seed) for name, entry in manifest.items()}


def read_manifest(row: str) -> dict[str, Any]:
    """Return [shape, whether it is trained] of every entry of a published row's weights file, in Paddle's layouts."""
    row = row.rpartition("/")[2]
    network = row.removesuffix("_coco")[:-3]  # of which another schedule may have the manifest
    files = (MANIFESTS / f"{name}_coco.json" for name in (row[:-5], f"{network}_1x", f"{network.replace('_ssld', '')}_1x"))
    return json.loads(next(file for file in files if file.exists()).read_text())


def write_rule_weights(path: Path, row: str, seed: int | str) -> None:
    """Write the weights file of a published row with rule-made weights."""
    write_pdparams(path, rule_state(read_manifest(row), seed))


def rule_permutation(call: int, count: int) -> np.ndarray:
    """Return the permutation of `count` places that stands for the call-th random one, from 0, in training by the rule."""
    return np.argsort(_uniform(f"randperm:{call}", (count,), "perm"), kind="stable")


def _uniform(name: str, shape: tuple[int, ...], seed: int | str) -> np.ndarray:
    """Float64 of mean 0 and variance 1: the upper 53 bits of PCG64, seeded by the name."""
    bits = np.random.PCG64(zlib.crc32(f"{seed}:{name}".encode())).random_raw(int(np.prod(shape)))
    unit = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-52 - 1.0
    return (unit * np.sqrt(3.0)).reshape(shape)
