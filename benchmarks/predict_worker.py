"""One contender of predict.py in a process of its own: times whole predictions, then stages; prints one line of JSON."""

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

CONTENDERS = {
    "maskzoo": ("predict_maskzoo", "Eager"),
    "maskzoo in OpenVINO": ("predict_maskzoo", "Maskzoo"),
    "torchvision": ("predict_torchvision", "Torchvision"),
    "torchvision in OpenVINO": ("predict_torchvision", "TorchvisionInOpenVINO"),
    "PaddleDetection": ("predict_paddledetection", "PaddleDetection"),
}


def main():
    job = json.loads(sys.argv[1])
    photo = np.load(Path(job["folder"]) / "photo.npy")
    module, name = CONTENDERS[job["contender"]]
    contender = getattr(import_module(module), name)(job)
    contender.predict(photo)
    times = [measure(lambda: contender.predict(photo)) for _ in range(job["repeats"])]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = [contender.stages(photo) for _ in times] if hasattr(contender, "stages") else [{}]
    best = {stage: min(run[stage] for run in stages) * 1000 for stage in stages[0]} if stages else {}
    result = {"seconds": min(times, default=None), "peak_memory_mb": peak, "stages_ms": best}
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


if __name__ == "__main__":
    main()
