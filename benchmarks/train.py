"""Time one training step against torchvision's Mask R-CNN: same image, same weights' law, same sampled RoIs.

    benchmarks/peers.sh torchvision        # once: torchvision in a virtual environment of its own
    python benchmarks/train.py [--rounds 5] [--threads 1 2]

R50-FPN, batch 1 at 800x1199 on a canvas of 800x1216, stem and first stage frozen, frozen norms, SGD with momentum: forward,
backward and the optimiser's step. Both run their own matching and sampling; then both go on with the same 512 RoIs, 128 of
them foreground, of the same 8 objects. Every contender runs in processes of its own, one after the other, A B A B: these
are ratios of one run, not bare times.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scripts import HERE, NO_GPU, ROW, find_peer, make_parser, tell

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result
from weights import write_weights

SIZE = (800, 1199)


def main():
    parser = make_parser(__doc__, "train.json", rounds=5)
    parser.add_argument("--repeats", type=int, default=3, help="steps in a process, after one that is not counted")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    peer = find_peer("torchvision")
    result = {"machine": describe_machine(), "rounds": options.rounds, "runs": {}}
    contenders = {
        "torchvision": (peer, "torchvision", False),
        "torchvision, freed memory kept": (peer, "torchvision", True),
        "maskzoo": (sys.executable, "maskzoo", True),  # as `maskzoo train` runs
    }
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": str(make_inputs(Path(folder))), "repeats": options.repeats}
        for threads in options.threads:

            def measure(name, threads=threads):
                python, which, keep = contenders[name]
                told = job | {"contender": which, "keep": keep, "threads": threads}
                return run_process([python, HERE / "train_worker.py"], told, threads=threads, environment=NO_GPU)

            runs = take_turns(contenders, options.rounds, measure, tell(f"{threads} thread(s)"))
            result["runs"][str(threads)] = summarize(runs)
    for threads, table in result["runs"].items():
        print(f"\n{threads} thread(s)                              of torchvision   seconds   peak MB")
        for name, row in table.items():
            print(f"  {name:40s} {row['of_torchvision']:12.2f} {row['seconds']:11.2f} {row['peak_memory_mb']:9.0f}")
    write_result(options.out, result)


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


def summarize(runs):
    return {
        name: {
            "seconds": median_of(values, "seconds", 3),
            "of_torchvision": round(median_of(values, "seconds", 9) / median_of(runs["torchvision"], "seconds", 9), 3),
            "all_seconds": [round(value["seconds"], 3) for value in values],
            "peak_memory_mb": median_of(values, "peak_memory_mb"),
            "parts_s": {part: median_of([value["parts_s"] for value in values], part, 3) for part in values[0]["parts_s"]},
            "samples": values[0]["samples"],
            "versions": values[0]["versions"],
        }
        for name, values in runs.items()
    }


if __name__ == "__main__":
    main()
