"""maskzoo as a contender of predict.py, in a runtime or, with times of its stages, in PyTorch."""

import os
import sys
from pathlib import Path

import torch
from predict_worker import Clock

import maskzoo

ROW = "mask_rcnn_r50_fpn_1x_coco"


class Maskzoo:
    """`maskzoo.load` with the job's backend and dtype, from a photo in memory to run-length masks."""

    def __init__(self, job):
        torch.set_num_threads(job["threads"])
        if job["keep"] and not maskzoo.keep_freed_memory():
            sys.exit("this platform's allocator cannot keep freed memory")
        folder, dtype = Path(job["folder"]), job["dtype"]
        os.environ["MASKZOO_HOME"] = str(folder / "home")  # where an exported network is kept from process to process
        options = {
            "backend": job["backend"],
            "dtype": dtype,
            "calibrate": folder / "photos" if dtype == "int8" else None,
        }
        self.predictor = maskzoo.load(ROW, folder / f"{ROW}.pdparams", device="cpu", **options)
        self.versions = {"torch": torch.__version__}
        if job["backend"] == "openvino":
            import openvino

            self.versions["openvino"] = openvino.__version__
        self.counts = {}

    def predict(self, photo):
        prediction = self.predictor.predict(photo)
        self.counts["detections"] = len(prediction)
        return prediction.masks.rle()


class Eager(Maskzoo):
    """The same in PyTorch."""

    @torch.inference_mode()
    def stages(self, photo):
        from maskzoo.data.batching import batch_resized
        from maskzoo.models.detections import detect
        from maskzoo.ops.roi_align import assign_levels, roi_align

        predictor, model, config = self.predictor, self.predictor.backend.model, self.predictor.config
        heads, clock = model.heads, Clock()
        read = predictor._read(photo)
        batch = batch_resized([read.resized], config.input)
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
