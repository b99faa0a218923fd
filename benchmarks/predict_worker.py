"""One contender of predict.py in a process of its own: times whole predictions, then stages; prints one line of JSON."""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch


def main():
    which, dtype, keep, threads, repeats, folder = sys.argv[1:]
    torch.set_num_threads(int(threads))
    photo = np.load(Path(folder) / "photo.npy")
    kinds = {"maskzoo": Maskzoo, "torchvision": Torchvision, "torchvision in OpenVINO": TorchvisionInOpenVINO}
    contender = kinds[which](Path(folder), dtype, keep == "1")
    with torch.inference_mode():
        contender.predict(photo)
        seconds = min(measure(lambda: contender.predict(photo)) for _ in range(int(repeats)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stages = [contender.stages(photo) for _ in range(int(repeats))] if hasattr(contender, "stages") else [{}]
    best = {stage: min(run[stage] for run in stages) * 1000 for stage in stages[0]}
    result = {"seconds": seconds, "peak_memory_mb": peak, "stages_ms": best}
    print(json.dumps(result | contender.counts | {"versions": contender.versions}))


def measure(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self):
        self.laps, self.last = {}, time.perf_counter()

    def lap(self, stage):
        now = time.perf_counter()
        self.laps[stage] = now - self.last
        self.last = now


class Maskzoo:
    def __init__(self, folder, dtype, keep):
        import maskzoo

        if keep and not maskzoo.keep_freed_memory():
            sys.exit("this platform's allocator cannot keep freed memory")
        row = "mask_rcnn_r50_fpn_1x_coco"
        self.predictor = maskzoo.load(row, folder / f"{row}.pdparams", device="cpu", dtype=dtype)
        self.versions = {"torch": torch.__version__}
        self.counts = {}

    def predict(self, photo):
        prediction = self.predictor.predict(photo)
        return prediction.masks.rle()

    def stages(self, photo):
        from maskzoo.data.batching import make_batch
        from maskzoo.models.detections import detect
        from maskzoo.ops.roi_align import assign_levels, roi_align

        predictor, model, config = self.predictor, self.predictor.backend.model, self.predictor.config
        heads, clock = model.heads, Clock()
        read = predictor._read(photo)
        batch = make_batch([read.resized.pixels], config.input)
        pixels = batch.pixels.to(getattr(torch, predictor.backend.dtype))
        clock.lap("resize and normalise")
        features = model.features(pixels)
        clock.lap("backbone and pyramid")
        proposals = model.propose(features, batch.sizes)
        clock.lap("RPN and proposals")
        table = heads.table(features)
        boxes = proposals.boxes[0]
        levels, order = assign_levels(boxes, 4).sort(stable=True)
        images = torch.zeros_like(levels)
        chunks = (x.split(heads.chunk) for x in (boxes[order], images, levels))
        for part in zip(*chunks, strict=True):
            roi_align(table, *part, 7)
        clock.lap("box RoIAlign")
        scores, deltas = heads.boxes(table, proposals.boxes)
        clock.lap("box head")
        clock.laps["box head"] -= clock.laps["box RoIAlign"]
        found = detect(scores, deltas, proposals, batch.sizes, config.limits.detections).trimmed()
        clock.lap("box post-processing")
        levels, order = assign_levels(found.boxes[0], 4).sort(stable=True)
        roi_align(table, found.boxes[0][order], torch.zeros_like(levels), levels, 14)
        clock.lap("mask RoIAlign")
        done = model.add_masks(found, table)
        clock.lap("mask head")
        clock.laps["mask head"] -= clock.laps["mask RoIAlign"]
        predictor._to_prediction(read, done, 0).masks.rle()
        clock.lap("paste, threshold, RLE")
        self.counts = {"proposals": int(proposals.valid.sum()), "detections": int(done.valid.sum())}
        return clock.laps


class Torchvision:
    def __init__(self, folder, dtype, keep):
        import torchvision
        from pycocotools import mask as coco_mask
        from torchvision.models.detection import maskrcnn_resnet50_fpn

        self.model = maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=81, box_detections_per_img=100, box_score_thresh=0.05
        ).eval()
        stored = np.load(folder / "torchvision.npz")
        self.model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(stored[name])) for name in stored})
        self.encode = lambda masks: [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
        self.versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
        self.counts = {}

    def to_input(self, photo):
        return torch.from_numpy(photo).permute(2, 0, 1).float().div(255)

    def predict(self, photo):
        found = self.model([self.to_input(photo)])[0]
        return self.encode((found["masks"][:, 0] >= 0.5).numpy().astype(np.uint8))

    def stages(self, photo):
        model, heads, clock = self.model, self.model.roi_heads, Clock()
        images, _ = model.transform([self.to_input(photo)])
        clock.lap("resize and normalise")
        features = model.backbone(images.tensors)
        clock.lap("backbone and pyramid")
        proposals, _ = model.rpn(images, features)
        clock.lap("RPN and proposals")
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
        self.encode((found["masks"][:, 0] >= 0.5).numpy().astype(np.uint8))
        clock.lap("paste, threshold, RLE")
        self.counts = {"proposals": len(proposals[0]), "detections": len(boxes[0])}
        return clock.laps


class TorchvisionInOpenVINO:
    """The same network and weights, converted; it stops at mask probabilities: no pasting, no run lengths."""

    def __init__(self, folder, dtype, keep):
        import openvino

        network = Outputs(Torchvision(folder, dtype, keep).model)
        photo = torch.from_numpy(np.load(folder / "photo.npy"))
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tracing, which is the only way into OpenVINO for this network
            graph = openvino.convert_model(network, example_input=(photo.permute(2, 0, 1).float().div(255),))
        precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": precision}
        self.compiled = openvino.compile_model(graph, "CPU", settings)
        self.versions = {"openvino": openvino.__version__}
        self.counts = {}

    def predict(self, photo):
        image = np.ascontiguousarray(photo.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        boxes = self.compiled([image])[0]
        self.counts = {"detections": len(boxes)}


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


if __name__ == "__main__":
    main()
