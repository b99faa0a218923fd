"""torchvision as a contender of predict.py: in PyTorch, and its network in OpenVINO."""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision
from pycocotools import mask as coco_mask
from stopwatch import Clock, time_call
from torchvision.models.detection import maskrcnn_resnet50_fpn

WEIGHTS = "mask_rcnn_r50_fpn_1x_coco.npz"


class Torchvision:
    """As its users call it, float32, then run-length masks by pycocotools."""

    def __init__(self, job):
        torch.set_num_threads(job["threads"])
        self.model = maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=81, box_detections_per_img=100, box_score_thresh=0.05
        ).eval()
        stored = np.load(Path(job["folder"]) / WEIGHTS)
        self.model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(stored[name])) for name in stored})
        self.versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
        self.counts = {}

    @torch.inference_mode()
    def predict(self, photo):
        found = self.model([to_input(photo)])[0]
        self.counts["detections"] = len(found["boxes"])
        return encode(found["masks"])

    @torch.inference_mode()
    def stages(self, photo):
        model, heads, clock = self.model, self.model.roi_heads, Clock()
        images, _ = model.transform([to_input(photo)])
        clock.lap("read and resize")
        features = model.backbone(images.tensors)
        head = time_call(lambda: model.rpn.head(list(features.values())))
        clock.lap("backbone, pyramid, RPN head")
        proposals, _ = model.rpn(images, features)  # runs its head once more
        clock.lap("proposals")
        clock.laps["proposals"] -= head
        pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
        clock.lap("box RoIAlign")
        scores, deltas = heads.box_predictor(heads.box_head(pooled))
        clock.lap("box head")
        boxes, scores, labels = heads.postprocess_detections(scores, deltas, proposals, images.image_sizes)
        clock.lap("box post-processing")
        pooled = heads.mask_roi_pool(features, boxes, images.image_sizes)
        clock.lap("mask RoIAlign")
        logits = heads.mask_predictor(heads.mask_head(pooled))
        clock.lap("mask head")
        chosen = logits.sigmoid()[torch.arange(len(logits)), labels[0]][:, None]
        found = [{"boxes": boxes[0], "labels": labels[0], "scores": scores[0], "masks": chosen}]
        found = model.transform.postprocess(found, images.image_sizes, [photo.shape[:2]])[0]
        encode(found["masks"])
        clock.lap("paste and encode")
        self.counts = {"proposals": len(proposals[0]), "detections": len(boxes[0])}
        return clock.laps


class TorchvisionInOpenVINO:
    """The same network and weights, converted; it stops at mask probabilities: no pasting, no run lengths."""

    def __init__(self, job):
        sys.modules["openvino_telemetry"] = None  # else it reports its use
        import openvino

        network, photo = Outputs(Torchvision(job).model), np.load(Path(job["folder"]) / "photo.npy")
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tracing, which is the only way into OpenVINO for this network
            graph = openvino.convert_model(network, example_input=(to_input(photo),))
        self.versions = {"openvino": openvino.__version__}
        precision = {"float32": "f32", "bfloat16": "bf16"}[job["dtype"]]
        settings = {"INFERENCE_NUM_THREADS": job["threads"], "INFERENCE_PRECISION_HINT": precision}
        self.compiled = openvino.compile_model(graph, "CPU", settings)
        self.counts = {}

    def predict(self, photo):
        self.counts["detections"] = len(self.compiled([to_input(photo).numpy()])[0])


class Outputs(torch.nn.Module):
    """torchvision's Mask R-CNN up to the mask probabilities, as plain tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        images, _ = self.model.transform([image])
        features = self.model.backbone(images.tensors)
        proposals, _ = self.model.rpn(images, features)
        found, _ = self.model.roi_heads(features, proposals, images.image_sizes)
        return found[0]["boxes"], found[0]["scores"], found[0]["labels"], found[0]["masks"]


def to_input(photo):
    return torch.from_numpy(photo).permute(2, 0, 1).float().div(255)


def encode(masks):
    found = (masks[:, 0] >= 0.5).numpy().astype(np.uint8)
    return [coco_mask.encode(np.asfortranarray(mask)) for mask in found]
