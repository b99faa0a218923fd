"""Weights of torchvision, detectron2 and mmdetection for tests: they follow from names by a rule, in the libraries' files.

As in `pdparams_files.py` the rule takes integer operations, +, -, *, / and square roots only. Every entry of a manifest gets
its value from the network, its name, its shape and a seed.
"""

import json
import pickle
import zlib
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from maskzoo.config import ModelConfig
from maskzoo.model_file import read_config
from maskzoo.weights.libraries import list_library_renames
from maskzoo.zoo.load import build_empty, list_shapes

ROOT = Path(__file__).parent.parent
MANIFESTS = ROOT / "tests" / "golden" / "elsewhere" / "manifest"
ROWS = {
    "tv_r50_fpn": "torchvision/maskrcnn_resnet50_fpn",
    "tv_r50_fpn_v2": "torchvision/maskrcnn_resnet50_fpn_v2",
    "d2_r50_fpn": "detectron2/mask_rcnn_R_50_FPN_3x",
    "d2_r50_fpn_lsj": "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ",
    "d2_r50_c4": "detectron2/mask_rcnn_R_50_C4_3x",
    "d2_r101_fpn": "detectron2/mask_rcnn_R_101_FPN_3x",
    "d2_x101_32x8d_fpn": "detectron2/mask_rcnn_X_101_32x8d_FPN_3x",
    "mm_r50_fpn": "mmdet/mask-rcnn_r50_fpn_1x_coco",
    "mm_r50_fpn_caffe": "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco",
}

LIBRARIES = {"tv": "torchvision", "d2": "detectron2", "mm": "mmdetection"}
THIN = (
    "network.backbone.width=8",
    "network.channels=16",
    "network.box_features=32",
    "classes={1: cat, 2: dog}",
    "input.short_side=64",
    "input.long_side=96",
)

# The five output layers, by the end of their names: what weights are multiplied by, and how far biases spread.
OUTPUT_LAYERS = {
    (".cls_logits", ".objectness_logits", ".rpn_cls"): (1.0, 0.1),
    ("rpn.head.bbox_pred", ".anchor_deltas", ".rpn_reg"): (0.25, 0.1),
    (".cls_score", ".fc_cls"): (3.0, 0.3),
    ("box_predictor.bbox_pred", ".fc_reg"): (1.0, 0.3),
    (".mask_fcn_logits", "mask_head.predictor", ".conv_logits"): (2.0, 0.3),
}
CLASSES = (".cls_score", ".fc_cls")
TRANSPOSED = (".conv5_mask", "mask_head.deconv", ".upsample")
LAST_NORMS = (".bn3", "conv3.norm")
STEMS = ("backbone.body.conv1", "stem.conv1", "backbone.conv1")
GREY_LEVELS = ("d2_r50_fpn", "d2_r50_fpn_lsj", "d2_r101_fpn", "d2_r50_c4", "mm_r50_fpn_caffe")  # not divided by a deviation


def rule_value(arch: str, name: str, shape: tuple[int, ...], seed: str, background: float = 16.0) -> np.ndarray:
    """Return one entry of a library's state dict; `background` is added to the bias of the background's class."""
    layer, _, leaf = name.rpartition(".")
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    spread = _spread(name, tuple(shape), seed)
    gain, bias = next((values for ends, values in OUTPUT_LAYERS.items() if layer.endswith(ends)), (np.sqrt(2.0), 0.1))
    if leaf == "running_mean":
        value = 0.1 * spread
    elif leaf == "running_var":
        value = 1.0 + 0.2 * spread
    elif leaf == "bias":
        value = bias * spread
        if layer.endswith(CLASSES):
            value[0 if arch.startswith("tv_") else -1] += background
    elif len(shape) == 1:
        value = (0.3 if layer.endswith(LAST_NORMS) else 1.0) * (1.0 + 0.1 * spread)
    else:
        if layer.endswith(CLASSES) and arch == "d2_r50_c4":
            gain *= 6.0
        if layer.endswith(STEMS) and arch in GREY_LEVELS:
            gain /= 58.0
        axes = (0,) if layer.endswith(TRANSPOSED) else tuple(range(1, len(shape)))
        fan_in = int(np.prod([shape[axis] for axis in axes]))
        value = (spread - spread.mean(axis=axes, keepdims=True)) * (gain / np.sqrt(fan_in))
    return value.astype(np.float32)


def _spread(name: str, shape: tuple[int, ...], seed: str) -> np.ndarray:
    """Return values of deviation 1 between -sqrt(3) and sqrt(3)."""
    bits = np.random.PCG64(zlib.crc32(f"{seed}:{name}".encode())).random_raw(int(np.prod(shape)))
    return ((((bits >> np.uint64(11)).astype(np.float64) + 0.5) * (2.0 / (1 << 53)) - 1.0) * np.sqrt(3.0)).reshape(shape)


def read_row_of(arch: str, *overrides: str) -> ModelConfig:
    """Read the model file of a network."""
    return read_config(ROOT / "src" / "maskzoo" / "zoo" / "models" / f"{ROWS[arch]}.yml", overrides)


@cache
def read_manifest(arch: str) -> dict[str, list[int]]:
    """Return the names and shapes of a library's state dict; mmdetection's two styles have the same."""
    return json.loads((MANIFESTS / f"{arch.removesuffix('_caffe')}.json").read_text())


def rule_state(arch: str, seed: str, background: float) -> dict[str, np.ndarray]:
    """Return the library's whole state dict; all but the background's bias is kept for the next call."""
    shapes = read_manifest(arch)
    if _kept.get("key") != (arch, seed):
        _kept.clear()
        _kept.update(key=(arch, seed), state={name: rule_value(arch, name, shape, seed) for name, shape in shapes.items()})
    bias = next(name for name in shapes if name.endswith(tuple(f"{layer}.bias" for layer in CLASSES)))
    return _kept["state"] | {bias: rule_value(arch, bias, tuple(shapes[bias]), seed, background)}


_kept: dict = {}


def write_library_file(folder: Path, arch: str, state: dict[str, np.ndarray]) -> Path:
    """Write what the library itself writes: a bare state dict, a pickle of arrays, or a checkpoint with its `meta`."""
    if arch.startswith("d2_"):
        path = folder / f"{arch}.pkl"
        path.write_bytes(pickle.dumps({"model": state, "__author__": "Detectron2 Model Zoo"}, protocol=2))
        return path
    path, tensors = folder / f"{arch}.pth", OrderedDict((name, torch.from_numpy(array)) for name, array in state.items())
    torch.save(tensors if arch.startswith("tv_") else {"meta": {"epoch": 12}, "state_dict": tensors}, path)
    return path


def make_thin(arch: str, *overrides: str) -> tuple[ModelConfig, dict[str, tuple[int, ...]], dict[str, np.ndarray]]:
    """Return a thin network's config and shapes, and a library's state dict for it."""
    config = read_row_of(arch, *THIN, *overrides)
    shapes = list_shapes(build_empty(config))
    state = {}
    for line in list_library_renames(LIBRARIES[arch[:2]], config.network, "it"):
        shape = list(shapes[line.ours])
        shape[0] += {"BACKGROUND_BOX": 4, "BACKGROUND_MASK": 1}.get(line.layout.name, 0)
        state[line.theirs] = rule_value(arch, line.theirs, tuple(shape), "seed", 1.0)
    return config, shapes, state
