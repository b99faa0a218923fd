"""One contender of predict.py in a process of its own: times whole predictions, then stages; prints one line of JSON."""

from importlib import import_module
from pathlib import Path

import numpy as np
from stopwatch import answer, read_job, read_peak_memory, time_call

CONTENDERS = {
    "maskzoo": ("predict_maskzoo", "Eager"),
    "maskzoo in OpenVINO": ("predict_maskzoo", "Maskzoo"),
    "torchvision": ("predict_torchvision", "Torchvision"),
    "torchvision in OpenVINO": ("predict_torchvision", "TorchvisionInOpenVINO"),
    "PaddleDetection": ("predict_paddledetection", "PaddleDetection"),
    "library": ("predict_converted", "Library"),
    "converted": ("predict_converted", "Converted"),
}


def main():
    job = read_job()
    photo = np.load(Path(job["folder"]) / "photo.npy")
    module, name = CONTENDERS[job["contender"]]
    contender = getattr(import_module(module), name)(job)
    contender.predict(photo)
    times = [time_call(lambda: contender.predict(photo)) for _ in range(job["repeats"])]
    peak = read_peak_memory()
    stages = [contender.stages(photo) for _ in times] if hasattr(contender, "stages") else [{}]
    best = {stage: min(run[stage] for run in stages) * 1000 for stage in stages[0]} if stages else {}
    result = {"seconds": min(times, default=None), "peak_memory_mb": peak, "stages_ms": best}
    answer(result | contender.counts | {"versions": contender.versions})


if __name__ == "__main__":
    main()
