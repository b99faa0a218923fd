"""The rule that weights of torchvision, detectron2 and mmdetection follow in tests, and in the fixtures that they made.

As in `pdparams_files.py` it takes integer operations, +, -, *, / and square roots only. Every entry of a manifest gets its
value from the network, its name, its shape and a seed.
"""

import zlib
from pathlib import Path

import numpy as np

MANIFESTS = Path(__file__).parent / "golden" / "elsewhere" / "manifest"

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
GREY_LEVELS = (  # whose pixels are not divided by a deviation
    *("d2_r50_fpn", "d2_r50_fpn_lsj", "d2_r101_fpn", "d2_r50_c4", "d2_r101_c4", "d2_r50_dc5"),
    *("mm_r50_fpn_caffe", "mm_r101_fpn_caffe"),
)


def find_manifest(arch: str) -> Path:
    """Return the file of the names and shapes of a library's state dict; mmdetection's two styles have the same."""
    return MANIFESTS / f"{arch.removesuffix('_caffe')}.json"


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
        if layer.endswith(CLASSES) and arch.endswith("_c4"):
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
