"""Weights of torchvision, detectron2 and mmdetection for tests, in the libraries' own files."""

import json
import pickle
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from elsewhere_rule import CLASSES, find_manifest, rule_value
from maskzoo.config import ModelConfig
from maskzoo.model_file import read_config
from maskzoo.weights.libraries import list_library_renames
from maskzoo.zoo.load import build_empty, list_shapes

ROOT = Path(__file__).parent.parent
ROWS = {
    "tv_r50_fpn": "torchvision/maskrcnn_resnet50_fpn",
    "tv_r50_fpn_v2": "torchvision/maskrcnn_resnet50_fpn_v2",
    "d2_r50_fpn": "detectron2/mask_rcnn_R_50_FPN_3x",
    "d2_r50_fpn_lsj": "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ",
    "d2_r50_c4": "detectron2/mask_rcnn_R_50_C4_3x",
    "d2_r101_c4": "detectron2/mask_rcnn_R_101_C4_3x",
    "d2_r50_dc5": "detectron2/mask_rcnn_R_50_DC5_3x",
    "d2_r101_fpn": "detectron2/mask_rcnn_R_101_FPN_3x",
    "d2_x101_32x8d_fpn": "detectron2/mask_rcnn_X_101_32x8d_FPN_3x",
    "mm_r50_fpn": "mmdet/mask-rcnn_r50_fpn_1x_coco",
    "mm_r50_fpn_caffe": "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco",
    "mm_r101_fpn_caffe": "mmdet/mask-rcnn_r101-caffe_fpn_1x_coco",
    "mm_x101_32x4d_fpn": "mmdet/mask-rcnn_x101-32x4d_fpn_1x_coco",
    "mm_x101_64x4d_fpn": "mmdet/mask-rcnn_x101-64x4d_fpn_1x_coco",
    "mm_x101_32x8d_fpn": "mmdet/mask-rcnn_x101-32x8d_fpn_1x_coco",
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
# The config of a training by mmdetection, with two classes, which its checkpoints hold.
MMDET = """
model = dict(type='MaskRCNN',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0],
                           bgr_to_rgb=False, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=50, frozen_stages=1, norm_cfg=dict(type='BN', requires_grad=False), style='STYLE'),
    neck=dict(type='FPN', num_outs=5),
    rpn_head=dict(type='RPNHead', anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0],
                                                        strides=[4, 8, 16, 32, 64])),
    roi_head=dict(type='StandardRoIHead',
        bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
                                featmap_strides=[4, 8, 16, 32]),
        bbox_head=dict(type='Shared2FCBBoxHead', num_classes=2),
        mask_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
                                featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(type='FCNMaskHead', num_classes=2)),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50, nms=dict(type='nms', iou_threshold=0.7)),
                  rcnn=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20)))
test_pipeline = [dict(type='Resize', scale=(96, 64), keep_ratio=True)]
"""


def read_row_of(arch: str, *overrides: str) -> ModelConfig:
    """Read the model file of a network."""
    return read_config(ROOT / "src" / "maskzoo" / "zoo" / "models" / f"{ROWS[arch]}.yml", overrides)


@cache
def read_manifest(arch: str) -> dict[str, list[int]]:
    """Return the names and shapes of a library's state dict."""
    return json.loads(find_manifest(arch).read_text())


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
