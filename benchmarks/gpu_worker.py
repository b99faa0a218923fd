"""One contender of gpu.py on one network, in a process of its own: images per second of each case; prints one line of JSON."""

import gc
from pathlib import Path
from statistics import median

import numpy as np
import torch
from stopwatch import answer, read_job, time_call

WARM = 2  # calls before the measured ones


def main():
    job = read_job()
    cases = [case | measure_case(job, case) for case in job["cases"]]
    answer({"cases": cases, "versions": find_versions(job["contender"])})


def measure_case(job, case):
    cuda = job["device"] == "cuda"
    wait = torch.cuda.synchronize if cuda else lambda: None
    try:
        call, count = prepare(job, case)
        for _ in range(WARM if cuda else 1):
            call()
        wait()
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        times = [time_call(call, wait) for _ in range(job["repeats"])]
    except torch.cuda.OutOfMemoryError:
        return {"refused": "out of memory"}
    except ValueError as error:  # ConfigError of maskzoo: a type that this device cannot run
        return {"refused": str(error)}
    finally:
        call = None  # what it holds goes before the next case comes
        gc.collect()
        torch.cuda.empty_cache()
    memory = round(torch.cuda.max_memory_allocated() / 2**20) if cuda else None
    return {"images_per_second": case["batch"] / median(times), "memory_mb": memory, "counted": count}


def prepare(job, case):
    """What one call does, and what was counted: objects of a photo, or RoIs that train."""
    return (prepare_training if case["task"] == "training" else prepare_prediction)(job, case)


def prepare_prediction(job, case):
    photo = np.load(Path(job["folder"]) / "photo.npy")
    predict = (predict_with_maskzoo if job["contender"] == "maskzoo" else predict_with_torchvision)(job, case["dtype"])
    photos = [photo] * case["batch"]
    return lambda: predict(photos), {"objects": predict(photos)}


def predict_with_maskzoo(job, dtype):
    import maskzoo

    weights, (short, long) = Path(job["folder"]) / f"{job['row']}.pdparams", job["size"]
    overrides = (f"input.short_side={short}", f"input.long_side={long}")
    predictor = maskzoo.load(job["row"], weights, device=job["device"], dtype=dtype, overrides=overrides)

    def predict(photos):
        found = predictor.predict(photos, score=0, batch_size=len(photos))
        return max(len(prediction.masks.rle()) for prediction in found)

    return predict


def predict_with_torchvision(job, dtype):
    from train_worker import build_torchvision

    device, low = job["device"], getattr(torch, dtype)
    model = build_torchvision(Path(job["folder"]), job["row"], torch.nn.BatchNorm2d, job["size"]).eval().to(device)

    @torch.inference_mode()
    def predict(photos):
        images = [torch.from_numpy(photo).to(device).permute(2, 0, 1).float().div(255) for photo in photos]
        with torch.autocast(device, low, enabled=low != torch.float32):
            return len(model(images)[0]["masks"])

    return predict


def prepare_training(job, case):
    from train_worker import Maskzoo, Torchvision

    stored = dict(np.load(Path(job["folder"]) / "step.npz"))
    kind = Maskzoo if job["contender"] == "maskzoo" else Torchvision
    contender = kind(Path(job["folder"]), stored, job["row"], job["device"], case["batch"], case["dtype"])

    def step():
        contender.compute().backward()
        contender.optimizer.step()
        contender.optimizer.zero_grad(set_to_none=True)

    return step, contender.samples


def find_versions(contender):
    from importlib.metadata import version

    packages = ("torch",) if contender == "maskzoo" else ("torch", "torchvision")
    return {name: version(name) for name in packages}


if __name__ == "__main__":
    main()
