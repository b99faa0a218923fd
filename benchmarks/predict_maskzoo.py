"""maskzoo as a contender of predict.py, in a runtime or, with times of its stages, in PyTorch."""

import os
import sys
from pathlib import Path

import torch

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
        prediction = self.predictor.predict(photo, score=0)
        self.counts["detections"] = len(prediction)
        return prediction.masks.rle()


class Eager(Maskzoo):
    """The same in PyTorch."""

    def stages(self, photo):
        from maskzoo.bench.stages import time_stages

        stages = time_stages(self.predictor, photo)
        self.counts = {"proposals": stages.proposals, "detections": stages.detections}
        return stages.seconds
