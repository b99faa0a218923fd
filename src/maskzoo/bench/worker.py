"""One setting in a process of its own, so that its memory, threads and allocator are its own: `python -m maskzoo.bench.worker`.

Reads a job as JSON from standard input, and prints its result as the last line of JSON: libraries print as they like
before it. A setting that maskzoo refuses (MaskzooError) is a result too, `{"refused": why}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from maskzoo.bench.hardware import find_peak, time_call
from maskzoo.bench.stages import time_stages
from maskzoo.errors import MaskzooError
from maskzoo.inference.predictor import Predictor, Source
from maskzoo.system.machine import read_peak_memory
from maskzoo.system.memory import keep_freed_memory
from maskzoo.system.processes import Processes
from maskzoo.training.trial_steps import TrainingSteps
from maskzoo.zoo.load import load, load_network

LEAST_CALLS = 2  # measured ones, however slow
DTYPES = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}  # whose peak torch can measure


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Measure the job's setting for about `seconds`; the first call is apart: it compiles, packs, fills caches."""
    torch.set_num_threads(job["threads"])
    keep_freed_memory()
    device = Processes(device=job["device"]).device
    start = time.perf_counter()
    call, predictor = prepare(job, str(device))
    loading = time.perf_counter() - start
    first = time_call(call, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    while len(times) < LEAST_CALLS or sum(times) < job["seconds"]:
        times.append(time_call(call, device))
    result = {"loading": loading, "first": first, "times": times, "memory": read_peak_memory(), "device": str(device)}
    if device.type == "cuda":
        result["gpu_memory"] = torch.cuda.max_memory_allocated(device)
    if job["details"]:  # after the memory was read: they need some of their own
        if predictor is not None:
            runs = [time_stages(predictor, job["images"][0]) for _ in range(LEAST_CALLS)]
            result["stages"] = asdict(min(runs, key=lambda one: sum(one.seconds.values())))
        if job["dtype"] in DTYPES:
            result["peak"] = find_peak(DTYPES[job["dtype"]], device)
    return result


def prepare(job: dict[str, Any], device: str) -> tuple[Callable[[], object], Predictor | None]:
    """Return what one call of the job does, and the predictor where its steps can be timed."""
    if job["backend"] == "training":
        network, config = load_network(job["model"], job["weights"], overrides=job["overrides"])
        return TrainingSteps(network, config, job["images"], job["batch"], job["dtype"], torch.device(device)).run, None
    options = {name: job[name] for name in ("backend", "dtype", "overrides")}
    if job["dtype"] == "int8":
        options["calibrate"] = Path(job["images"][0]).parent  # for its time alone; accuracy takes the user's own photos
    predictor = load(job["model"], job["weights"], device=device, **options)
    batches = cycle(_split(job["images"], job["batch"]))

    def predict() -> None:
        for prediction in predictor.predict(next(batches), score=0, batch_size=job["batch"]):
            prediction.masks.rle()

    return predict, predictor if job["backend"] in ("eager", "compile") else None


def _split(images: list[str], size: int) -> list[list[Source]]:
    """Batches of `size`, the last one filled up from the first images: every call has as many."""
    number = -(-len(images) // size)
    return [[images[(i * size + k) % len(images)] for k in range(size)] for i in range(number)]


def main() -> None:
    """Run the job of standard input."""
    job = json.load(sys.stdin)
    try:
        result = run(job)
    except MaskzooError as error:
        result = {"refused": str(error)}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
