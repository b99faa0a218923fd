"""Time a whole prediction, photo to run-length masks, against torchvision and PaddleDetection: same photo, same weights.

    benchmarks/peers.sh torchvision paddle      # once: each in a virtual environment of its own
    python benchmarks/predict.py [--rounds 5] [--threads 1 2] [--dtypes float32 bfloat16 int8] [--peers torchvision paddle]

Every contender runs in processes of its own, one after the other, A B A B: these are ratios of one run, not bare times.
R50-FPN, a photo that fills 800x1216, rule-made weights, 1,000 proposals and 100 detections (counted, and written into the
result). The photo is made up, and so are those that int8 is calibrated on: no contender's time depends on what they show.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from weights import write_weights

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("MASKZOO_PEERS", Path.home() / ".cache" / "maskzoo-peers"))
ROW = "mask_rcnn_r50_fpn_1x_coco"
SIZE = (427, 640)  # becomes 800 x 1199, on a canvas of 800 x 1216
CALIBRATION = 4  # photos
DTYPES = ["float32", "bfloat16", "int8"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved processes of each contender")
    parser.add_argument("--repeats", type=int, default=3, help="predictions in a process, after one that is not counted")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--peers", nargs="+", default=["torchvision", "paddle"], choices=["torchvision", "paddle"])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "predict.json")
    options = parser.parse_args()
    contenders = list_contenders(options.dtypes, options.peers)
    for python in {python for python, _ in contenders.values()}:
        if not Path(python).exists():
            sys.exit(f"{python} is not there: run benchmarks/peers.sh {' '.join(options.peers)} first")
    result = {"machine": describe_machine(), "rounds": options.rounds, "runs": {}}
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": str(make_inputs(Path(folder))), "repeats": options.repeats}
        for python, contender in contenders.values():
            if contender["backend"] == "openvino":  # writes the network down, which must not count as its memory
                run_worker(python, job | contender | {"threads": os.cpu_count(), "repeats": 0})
        for threads in options.threads:
            runs = {name: [] for name in contenders}
            for number in range(options.rounds):
                for name, (python, contender) in contenders.items():
                    print(f"{threads} thread(s), round {number + 1}/{options.rounds}: {name}", file=sys.stderr)
                    runs[name].append(run_worker(python, job | contender | {"threads": threads}))
            result["runs"][str(threads)] = {name: summarize(values) for name, values in runs.items()}
            report(threads, result["runs"][str(threads)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def list_contenders(dtypes, peers):
    """By name: whose Python runs it, and what its process is told."""
    own, torchvision, paddle = sys.executable, *(PEERS / name / "bin" / "python" for name in ("torchvision", "paddle"))

    def describe(contender, dtype, backend="eager", keep=False):
        return {"contender": contender, "dtype": dtype, "backend": backend, "keep": keep}

    found = {"torchvision float32": (torchvision, describe("torchvision", "float32"))}
    if "paddle" in peers:
        found["PaddleDetection float32"] = (paddle, describe("PaddleDetection", "float32"))
    for dtype in dtypes:
        if dtype != "int8":  # NNCF 3.4 stops at torchvision's graph ("Could not find a node" of a conditional's inside)
            name = f"torchvision in OpenVINO {dtype}, no pasting"
            found[name] = (torchvision, describe("torchvision in OpenVINO", dtype, "runtime"))
            found[f"maskzoo {dtype}"] = (own, describe("maskzoo", dtype))
            found[f"maskzoo {dtype}, freed memory kept"] = (own, describe("maskzoo", dtype, keep=True))
        for keep in [False, True] if dtype == "int8" else [False]:
            name = f"maskzoo in OpenVINO {dtype}" + ", freed memory kept" * keep
            found[name] = (own, describe("maskzoo in OpenVINO", dtype, "openvino", keep))
    return found


def describe_machine():
    """The processor in words; capabilities decide which types are fast."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = fields.get("flags", "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if flag in flags]
    return {"processor": fields.get("model name", platform.processor()), "cores": os.cpu_count(), "extensions": known}


def make_inputs(folder):
    """Weights for all contenders, a photo, and a folder of others to calibrate on, by seed."""
    write_weights(ROW, folder)
    np.save(folder / "photo.npy", make_photo(0))
    (folder / "photos").mkdir()
    for seed in range(1, CALIBRATION + 1):
        Image.fromarray(make_photo(seed)).save(folder / "photos" / f"{seed}.png")
    return folder


def make_photo(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[0] // 7 + 1, SIZE[1] // 7 + 1, 3), np.uint8)
    return noise.repeat(7, 0).repeat(7, 1)[: SIZE[0], : SIZE[1]]


def run_worker(python, job):
    threads = str(job["threads"])
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "FLAGS_paddle_num_threads": threads,
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(python), str(HERE / "predict_worker.py"), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{job['contender']} {job['dtype']} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def summarize(values):
    """The median over processes of each figure; `stages` likewise."""
    from statistics import median

    return {
        "seconds": round(median(value["seconds"] for value in values), 3),
        "all_seconds": [round(value["seconds"], 3) for value in values],
        "peak_memory_mb": round(median(value["peak_memory_mb"] for value in values)),
        "stages_ms": {
            stage: round(median(value["stages_ms"][stage] for value in values), 1) for stage in values[0]["stages_ms"]
        },
        "proposals": values[0].get("proposals"),
        "detections": values[0]["detections"],
        "versions": values[0]["versions"],
    }


def report(threads, table):
    """Add each contender's ratios to its row, and print them."""
    base, paddle = table["torchvision float32"], table.get("PaddleDetection float32")
    print(f"\n{threads} thread(s)                              of torchvision   seconds   peak MB")
    for name, row in table.items():
        row["of_torchvision"] = round(row["seconds"] / base["seconds"], 3)
        if paddle is not None:
            row["of_paddledetection"] = round(row["seconds"] / paddle["seconds"], 3)
        if row["stages_ms"]:
            pooled, theirs = (values["stages_ms"]["box RoIAlign"] for values in (row, base))
            row["roi_align_of_torchvision"] = round(pooled / theirs, 3)
        print(f"  {name:45s} {row['of_torchvision']:7.2f} {row['seconds']:11.2f} {row['peak_memory_mb']:9.0f}")
    told = {name: row["stages_ms"] for name, row in table.items() if row["stages_ms"]}
    print(f"  stages, ms: {' | '.join(told)}")
    for stage in base["stages_ms"]:
        print(f"  {stage:40s}", *(f"{stages[stage]:10.1f}" for stages in told.values()))


if __name__ == "__main__":
    main()
