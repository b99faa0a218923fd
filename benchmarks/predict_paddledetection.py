"""PaddleDetection as a contender of predict.py: its 2.6.0 wheel on today's Paddle, dynamic graph, float32.

What the wheel no longer finds is mended from outside before it is imported: packages that other networks need, and counts
that have become tensors without an axis. What is computed is left alone.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
from pycocotools import mask as coco_mask

NAME = "mask_rcnn_r50_fpn_1x_coco"
CONFIG = {
    "architecture": "MaskRCNN",
    "num_classes": 80,
    "MaskRCNN": {
        "backbone": "ResNet",
        "neck": "FPN",
        "rpn_head": "RPNHead",
        "bbox_head": "BBoxHead",
        "mask_head": "MaskHead",
        "bbox_post_process": "BBoxPostProcess",
        "mask_post_process": "MaskPostProcess",
    },
    "ResNet": {"depth": 50, "norm_type": "bn", "freeze_at": 0, "return_idx": [0, 1, 2, 3], "num_stages": 4},
    "FPN": {"out_channel": 256},
    "RPNHead": {
        "anchor_generator": {
            "aspect_ratios": [0.5, 1.0, 2.0],
            "anchor_sizes": [[32], [64], [128], [256], [512]],
            "strides": [4, 8, 16, 32, 64],
        },
        "test_proposal": {"min_size": 0.0, "nms_thresh": 0.7, "pre_nms_top_n": 1000, "post_nms_top_n": 1000},
    },
    "BBoxHead": {
        "head": "TwoFCHead",
        "roi_extractor": {"resolution": 7, "sampling_ratio": 0, "aligned": True},
        "bbox_assigner": "BBoxAssigner",
    },
    "TwoFCHead": {"out_channel": 1024},
    "BBoxPostProcess": {
        "decode": "RCNNBox",
        "nms": {"name": "MultiClassNMS", "keep_top_k": 100, "score_threshold": 0.05, "nms_threshold": 0.5},
    },
    "MaskHead": {
        "head": "MaskFeat",
        "roi_extractor": {"resolution": 14, "sampling_ratio": 0, "aligned": True},
        "mask_assigner": "MaskAssigner",
        "share_bbox_feat": False,
    },
    "MaskFeat": {"num_convs": 4, "out_channel": 256},
    "MaskAssigner": {"mask_resolution": 28},
    "MaskPostProcess": {"binary_thresh": 0.5},
}
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class PaddleDetection:
    """A photo in memory to run-length masks: its resize and normalisation, its network, pycocotools."""

    def __init__(self, job):
        mend()
        from ppdet.core.workspace import create, merge_config

        paddle.set_device("cpu")
        merge_config(CONFIG)
        self.model = create("MaskRCNN")
        self.model.eval()
        missing, unexpected = self.model.set_state_dict(read_weights(Path(job["folder"]) / f"{NAME}.pdparams"))
        if missing or unexpected:
            sys.exit(f"the weights do not fit: {missing} are missing, {unexpected} are not known")
        self.versions = {"paddle": paddle.__version__}
        self.counts = {}

    @paddle.no_grad()
    def predict(self, photo):
        height, width = photo.shape[:2]
        scale = min(800 / min(height, width), 1333 / max(height, width))
        rows, columns = int(scale * height + 0.5), int(scale * width + 0.5)
        resized = cv2.resize(photo, (columns, rows), interpolation=cv2.INTER_CUBIC)
        canvas = np.zeros((1, 3, -(-rows // 32) * 32, -(-columns // 32) * 32), np.float32)
        canvas[0, :, :rows, :columns] = ((resized * np.float32(1 / 255) - MEAN) / STD).transpose(2, 0, 1)
        inputs = {
            "image": canvas,
            "im_shape": np.float32([[rows, columns]]),
            "scale_factor": np.float32([[rows / height, columns / width]]),
        }
        found = self.model({name: paddle.to_tensor(value) for name, value in inputs.items()})
        masks = found["mask"].numpy().astype(np.uint8)
        self.counts["detections"] = len(masks)
        return [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]


def mend():
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from golden.reference import do_without_unused

    do_without_unused()
    own = paddle.concat

    def concat(x, axis=0, name=None):
        return own([tensor.reshape([1]) if tensor.ndim == 0 else tensor for tensor in x], axis, name)

    paddle.concat = concat


def read_weights(path):
    """Numpy 2 wrote the file, and calls by new names what the wheel's numpy 1 has. Nothing else may find these names."""
    aliases = {} if hasattr(np, "_core") else {"numpy._core": np.core, "numpy._core.multiarray": np.core.multiarray}
    sys.modules.update(aliases)
    state = paddle.load(str(path))
    for name in aliases:
        del sys.modules[name]
    return state
