"""torchvision's Mask R-CNNs, run as they are."""

from functools import partial

import numpy as np
import torch
import torchvision
from torchvision.models.detection import MaskRCNN, backbone_utils, maskrcnn_resnet50_fpn_v2

from golden.elsewhere_run import Reference, Run
from golden.watch import Watch, join_rows, to_array

LEVELS = ("p2", "p3", "p4", "p5", "p6")


def build(arch: str, size: tuple[int, int]) -> Reference:
    """Build a network for photos of that short and long side; its norms have the epsilon of the published weights."""
    sides = {"num_classes": 91, "min_size": size[0], "max_size": size[1]}
    if arch == "tv_r50_fpn_v2":
        network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, **sides)
    else:  # as the library builds it for its published weights, whose epsilon it sets to 0
        body = torchvision.models.resnet50(norm_layer=torchvision.ops.FrozenBatchNorm2d)
        network = MaskRCNN(backbone_utils._resnet_fpn_extractor(body, 3), **sides)
        for module in network.modules():
            if isinstance(module, torchvision.ops.FrozenBatchNorm2d):
                module.eps = 0.0
    return Reference(network, network.roi_heads.box_predictor.cls_score, _run)


def _run(reference: Reference, photo: np.ndarray, watch: Watch) -> Run:
    network, run = reference.network, Run()
    rpn, heads, keep = network.rpn, network.roi_heads, run.arrays
    modules = {
        "input": network.transform, "stages": network.backbone.body, "levels": network.backbone, "rpn": rpn.head,
        "anchors": rpn.anchor_generator, "pooled": heads.box_roi_pool, "feature": heads.box_head, "boxes": heads.box_predictor,
        "mask_pooled": heads.mask_roi_pool, "mask_logits": heads.mask_predictor,
    }  # fmt: skip
    for name, module in modules.items():
        watch.module(name, module)
    watch.function("proposals", rpn, "filter_proposals", lambda found: [to_array(part[0]) for part in found])
    watch.function("network", heads, "postprocess_detections", lambda found: [to_array(part[0]) for part in found])
    with torch.no_grad():
        found = network([torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255])[0]
    canvas = watch["input"][0]
    keep.summarize("image", to_array(canvas.tensors))
    keep["im_shape"] = np.array(canvas.image_sizes[0])
    run.keep_stages(dict(zip(("res2", "res3", "res4", "res5"), watch["stages"].values(), strict=True)))
    named = partial(zip, LEVELS, strict=True)
    run.keep_levels("fpn", named(watch["levels"].values()))
    run.keep_levels("rpn.logits", named(watch["rpn"][0]))
    run.keep_levels("rpn.deltas", named(watch["rpn"][1]))
    counts = [level.numel() for level in watch["rpn"][0]]
    run.keep_levels("anchors", named(watch["anchors"][0].split(counts)))
    keep["proposals.boxes"], keep["proposals.scores"] = watch["proposals"]
    run.keep_boxes(watch["pooled"], watch["feature"], *watch["boxes"])
    boxes, scores, labels = watch["network"]
    keep["det.network"] = join_rows(labels, scores, boxes)
    run.keep_mask_logits(watch["mask_pooled"], watch["mask_logits"], labels)
    soft = to_array(found["masks"])[:, 0]
    keep.summarize("mask.soft", soft)
    run.keep_objects(join_rows(found["labels"], found["scores"], found["boxes"]), found["labels"], soft >= 0.5)
    return run
