"""mmdetection's Mask R-CNNs, run as they are but for the compiled operators of mmcv, of which mmcv-lite has none.

RoIAlign is torchvision's with mmcv's defaults, suppression torchvision's on boxes that each id moves away from the others,
which is mmcv's rule for fewer than 10,000 boxes.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
import torchvision

from golden.elsewhere_run import Reference, Run
from golden.watch import Watch, join_rows, to_array

CONFIGS = {
    "mm_r50_fpn": "mask-rcnn_r50_fpn_1x_coco",
    "mm_r50_fpn_caffe": "mask-rcnn_r50-caffe_fpn_1x_coco",
    "mm_r101_fpn_caffe": "mask-rcnn_r101-caffe_fpn_1x_coco",
    "mm_x101_32x4d_fpn": "mask-rcnn_x101-32x4d_fpn_1x_coco",
    "mm_x101_64x4d_fpn": "mask-rcnn_x101-64x4d_fpn_1x_coco",
    "mm_x101_32x8d_fpn": "mask-rcnn_x101-32x8d_fpn_1x_coco",
}
LEVELS = ("p2", "p3", "p4", "p5", "p6")
NEWEST_MMCV = "2.1.0"  # that mmdetection 3.3.0 takes
MOST_AT_ONCE = 10_000  # boxes that mmcv suppresses in one go
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # ids between 1 and 90 that COCO's categories leave out


class RoIAlign(torch.nn.Module):
    """mmcv's layer, computed by torchvision."""

    def __init__(
        self,
        output_size: Any,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = "avg",
        aligned: bool = True,
    ) -> None:
        super().__init__()
        self.output_size = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
        self.rest = (spatial_scale, sampling_ratio, aligned)

    def forward(self, features: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        return torchvision.ops.roi_align(features, rois, self.output_size, *self.rest)


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, ids: torch.Tensor, settings: Any, class_agnostic: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes with scores that survive suppression within their id, best first, and their places."""
    if class_agnostic or len(boxes) >= settings.get("split_thr", MOST_AT_ONCE):
        raise NotImplementedError(f"{len(boxes)} boxes, class_agnostic {class_agnostic}: mmcv has another rule for these")
    moved = boxes + (ids.to(boxes) * (boxes.max() + 1))[:, None]
    kept = torchvision.ops.nms(moved, scores, settings["iou_threshold"])
    return torch.cat([boxes[kept], scores[kept, None]], dim=1), kept


class Operators(types.ModuleType):
    """`mmcv.ops`, and any module below it: two operators that Mask R-CNN needs, and an empty layer for every other name."""

    RoIAlign = RoIAlign
    batched_nms = staticmethod(batched_nms)
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `mmcv.ops` and what is below it in `Operators`."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        ours = name == "mmcv.ops" or name.startswith("mmcv.ops.")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Operators(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def build(arch: str, size: tuple[int, int]) -> Reference:
    """Build a network from the library's own configuration, for photos of that short and long side."""
    mmcv.__version__ = NEWEST_MMCV
    sys.meta_path.insert(0, Finder())
    import mmdet
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules()
    folder = Path(mmdet.__file__).parent / ".mim" / "configs" / "mask_rcnn"
    config = Config.fromfile(folder / f"{CONFIGS[arch]}.py")
    config.model.backbone.init_cfg = None
    network = MODELS.build(config.model)
    network.short_and_long = size
    return Reference(network, network.roi_head.bbox_head.fc_cls, _run)


def _run(reference: Reference, photo: np.ndarray, watch: Watch) -> Run:
    from mmdet.datasets.transforms import PackDetInputs, Resize

    network, run = reference.network, Run()
    heads, keep = network.roi_head, run.arrays
    modules = {
        "input": network.data_preprocessor, "stages": network.backbone, "levels": network.neck, "rpn": network.rpn_head,
        "pooled": heads.bbox_roi_extractor, "boxes": heads.bbox_head, "mask_pooled": heads.mask_roi_extractor,
        "mask_logits": heads.mask_head,
    }  # fmt: skip
    for name, module in modules.items():
        watch.module(name, module)
    watch.input("feature", heads.bbox_head.fc_cls)
    watch.function("anchors", network.rpn_head.prior_generator, "grid_priors")
    watch.function("proposals", network.rpn_head, "predict", lambda found: (found[0].bboxes, found[0].scores))
    watch.function("network", heads.bbox_head, "predict_by_feat", _copy_detections)
    short, long = network.short_and_long
    entry = {"img": np.ascontiguousarray(photo[:, :, ::-1]), "img_id": 0, "img_path": "", "ori_shape": photo.shape[:2]}
    entry = Resize(scale=(long, short), keep_ratio=True)(entry | {"img_shape": photo.shape[:2]})
    resized = entry["img"].copy()
    packed = PackDetInputs(meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"))(entry)
    with torch.no_grad():
        batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
        found = network.test_step(batch)[0].pred_instances
    keep.summarize("resized", resized)
    keep["scale_factor_wh"] = np.array(entry["scale_factor"])
    keep.summarize("image", to_array(watch["input"]["inputs"]))
    keep["im_shape"] = np.array(resized.shape[:2])
    run.keep_stages(dict(zip(("res2", "res3", "res4", "res5"), watch["stages"], strict=True)))
    named = {"fpn": watch["levels"], "rpn.logits": watch["rpn"][0], "rpn.deltas": watch["rpn"][1], "anchors": watch["anchors"]}
    for prefix, levels in named.items():
        run.keep_levels(prefix, zip(LEVELS, levels, strict=True))
    keep["proposals.boxes"], keep["proposals.scores"] = map(to_array, watch["proposals"])
    run.keep_boxes(watch["pooled"], watch["feature"], *watch["boxes"])
    keep["det.network"] = watch["network"]
    labels = to_array(found.labels)
    run.keep_mask_logits(watch["mask_pooled"], watch["mask_logits"], labels)
    categories = np.array([category for category in range(1, 91) if category not in UNUSED])
    run.keep_objects(join_rows(labels, found.scores, found.bboxes), categories[labels], found.masks)
    return run


def _copy_detections(result: Any) -> np.ndarray:
    """Copy the detections in pixels of the network."""
    return join_rows(result[0].labels, result[0].scores, result[0].bboxes)
