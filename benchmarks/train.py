"""Time one training step against torchvision's Mask R-CNN: same image, same weights' law, same sampled RoIs.

    benchmarks/peers.sh torchvision        # once: torchvision in a virtual environment of its own
    python benchmarks/train.py [--rounds 5] [--threads 1 2]

R50-FPN, batch 1 at 800x1199 on a canvas of 800x1216, stem and first stage frozen, frozen norms, SGD with momentum: forward,
backward and the optimiser's step. Both run their own matching and sampling; then both go on with the same 512 RoIs, 128 of
them foreground, of the same 8 objects. Every contender runs in processes of its own, one after the other, A B A B: these
are ratios of one run, not bare times.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from predict import HERE, PEERS, ROW, describe_machine

from weights import write_weights

SIZE = (800, 1199)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved processes of each contender")
    parser.add_argument("--repeats", type=int, default=3, help="steps in a process, after one that is not counted")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "train.json")
    options = parser.parse_args()
    peer = PEERS / "torchvision" / "bin" / "python"
    if not peer.exists():
        sys.exit(f"{peer} is not there: run benchmarks/peers.sh torchvision first")
    result = {"machine": describe_machine(), "rounds": options.rounds, "runs": {}}
    contenders = {
        "torchvision": (peer, "torchvision", False),
        "torchvision, freed memory kept": (peer, "torchvision", True),
        "maskzoo": (sys.executable, "maskzoo", True),  # as `maskzoo train` runs
    }
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        for threads in options.threads:
            runs = {name: [] for name in contenders}
            for number in range(options.rounds):
                for name, (python, which, keep) in contenders.items():
                    print(f"{threads} thread(s), round {number + 1}/{options.rounds}: {name}", file=sys.stderr)
                    runs[name].append(run_worker(python, which, keep, threads, options.repeats, inputs))
            result["runs"][str(threads)] = summarize(runs)
    for threads, table in result["runs"].items():
        print(f"\n{threads} thread(s)                              of torchvision   seconds   peak MB")
        for name, row in table.items():
            print(f"  {name:40s} {row['of_torchvision']:12.2f} {row['seconds']:11.2f} {row['peak_memory_mb']:9.0f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def make_inputs(folder, row=ROW, size=SIZE):
    """Weights by rule for both, an image, 8 objects with outlines, and the RoIs that train."""
    write_weights(row, folder)
    random = np.random.default_rng(0)
    height, width = size
    image = random.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8).repeat(9, 0).repeat(9, 1)
    centre = random.uniform([0.2, 0.2], [0.8, 0.8], (8, 2)) * [width, height]
    half = np.geomspace(16, 180, 8)[:, None] * [1, 0.8]
    boxes = np.concatenate([centre - half, centre + half], 1).clip(0, [width, height, width, height])
    jitter = random.normal(0, 0.05, (120, 4)) * np.repeat(half, 15, 0)[:, [0, 1, 0, 1]]
    foreground = np.concatenate([boxes, np.repeat(boxes, 15, 0) + jitter])
    corner = random.uniform(0, 0.6, (384, 2)) * [width, height]
    background = np.concatenate([corner, corner + random.uniform(16, 300, (384, 2))], 1)
    rois = np.concatenate([foreground, background]).clip(0, [width, height, width, height])
    index = np.concatenate([np.arange(8), np.repeat(np.arange(8), 15), np.zeros(384)])
    np.savez(folder / "step.npz", image=image[:height, :width], boxes=boxes, labels=np.arange(8), rois=rois, index=index)
    return folder


def run_worker(python, which, keep, threads, repeats, folder):
    command = [python, HERE / "train_worker.py", which, str(int(keep)), str(threads), str(repeats), folder]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{which} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def summarize(runs):
    base = median(value["seconds"] for value in runs["torchvision"])
    return {
        name: {
            "seconds": round(median(value["seconds"] for value in values), 3),
            "of_torchvision": round(median(value["seconds"] for value in values) / base, 3),
            "all_seconds": [round(value["seconds"], 3) for value in values],
            "peak_memory_mb": round(median(value["peak_memory_mb"] for value in values)),
            "parts_s": {part: round(median(v["parts_s"][part] for v in values), 3) for part in values[0]["parts_s"]},
            "samples": values[0]["samples"],
            "versions": values[0]["versions"],
        }
        for name, values in runs.items()
    }


if __name__ == "__main__":
    main()
