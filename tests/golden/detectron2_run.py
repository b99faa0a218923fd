"""detectron2's Mask R-CNNs, run as they are. MASKZOO_DETECTRON2 names the checkout, for its configuration files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import LazyConfig, get_cfg, instantiate
from detectron2.data import MetadataCatalog
from detectron2.data import transforms as T
from detectron2.modeling import build_model

from golden.elsewhere_run import Reference, Run
from golden.watch import Watch, join_rows, to_array

CONFIGS = {
    "d2_r50_fpn": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
    "d2_r101_fpn": "COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x.yaml",
    "d2_x101_32x8d_fpn": "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x.yaml",
    "d2_r50_c4": "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x.yaml",
    "d2_r101_c4": "COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x.yaml",
    "d2_r50_dc5": "COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x.yaml",
    "d2_r50_fpn_lsj": "new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py",
}
LEVELS = ("p2", "p3", "p4", "p5", "p6")


def build(arch: str, size: tuple[int, int]) -> Reference:
    """Build a network from the library's own configuration, for photos of that short and long side."""
    path = str(Path(os.environ["MASKZOO_DETECTRON2"]) / "configs" / CONFIGS[arch])
    if path.endswith(".py"):
        network = instantiate(LazyConfig.load(path).model)
    else:
        config = get_cfg()
        config.merge_from_file(path)
        config.MODEL.DEVICE = "cpu"
        network = build_model(config)
    network.short_and_long = size
    return Reference(network, network.roi_heads.box_predictor.cls_score, _run)


def _run(reference: Reference, photo: np.ndarray, watch: Watch) -> Run:
    network, run = reference.network, Run()
    rpn, heads, keep = network.proposal_generator, network.roi_heads, run.arrays
    pyramid, shared = hasattr(network.backbone, "bottom_up"), hasattr(heads, "res5")
    modules = {
        "stages": network.backbone.bottom_up if pyramid else network.backbone, "levels": network.backbone,
        "rpn": rpn.rpn_head, "anchors": rpn.anchor_generator, "proposals": rpn, "boxes": heads.box_predictor,
        "pooled": heads.pooler if shared else heads.box_pooler, "feature": heads.res5 if shared else heads.box_head,
        "mask_logits": heads.mask_head.predictor,
    }  # fmt: skip
    for name, module in modules.items():
        watch.module(name, module)
    if not shared:
        watch.module("mask_pooled", heads.mask_pooler)
    watch.function("input", network, "preprocess_image")
    watch.function("network", heads.box_predictor, "inference", _copy_detections)
    short, long = network.short_and_long
    bgr = photo[:, :, ::-1]
    resized = T.ResizeShortestEdge([short, short], long).get_transform(bgr).apply_image(bgr)
    pixels = torch.from_numpy(resized.astype(np.float32).transpose(2, 0, 1).copy())
    with torch.no_grad():
        found = network([{"image": pixels, "height": photo.shape[0], "width": photo.shape[1]}])[0]["instances"]
    keep.summarize("resized", resized)
    keep.summarize("image", to_array(watch["input"].tensor))
    keep["im_shape"] = np.array(watch["input"].image_sizes[0])
    run.keep_stages(watch["stages"])
    levels = LEVELS if pyramid else tuple(rpn.in_features)
    if pyramid:
        run.keep_levels("fpn", watch["levels"].items())
    for prefix, found_levels in (("rpn.logits", watch["rpn"][0]), ("rpn.deltas", watch["rpn"][1])):
        run.keep_levels(prefix, zip(levels, found_levels, strict=True))
    run.keep_levels("anchors", ((name, level.tensor) for name, level in zip(levels, watch["anchors"], strict=True)))
    proposals = watch["proposals"][0][0]
    keep["proposals.boxes"] = to_array(proposals.proposal_boxes.tensor)
    keep["proposals.scores"] = to_array(proposals.objectness_logits)
    run.keep_boxes(watch["pooled"], watch["feature"], *watch["boxes"])
    keep["det.network"], keep["det.roi"] = watch["network"]
    if shared:
        keep.summarize("mask.head_in", to_array(watch.seen["feature"][1]))
    mask_pooled = watch.seen["pooled"][1] if shared else watch["mask_pooled"]
    run.keep_mask_logits(mask_pooled, watch["mask_logits"], keep["det.network"][:, 0])
    _keep_objects(run, found)
    return run


def _copy_detections(result: Any) -> tuple[np.ndarray, np.ndarray]:
    """Copy the detections in pixels of the network before the library scales them in place, and their proposals."""
    found, places = result[0][0], result[1][0]
    return join_rows(found.pred_classes, found.scores, found.pred_boxes.tensor), to_array(places)


def _keep_objects(run: Run, found: Any) -> None:
    labels = MetadataCatalog.get("coco_2017_val").thing_dataset_id_to_contiguous_id
    categories = {label: category for category, label in labels.items()}
    rows = join_rows(found.pred_classes, found.scores, found.pred_boxes.tensor)
    run.keep_objects(rows, [categories[int(label)] for label in found.pred_classes], found.pred_masks)
