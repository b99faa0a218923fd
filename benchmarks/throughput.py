"""Images per second of `maskzoo predict` on a folder of photos, several at once against one by one.

    python benchmarks/throughput.py PHOTOS [--images 80] [--rounds 3] [--networks small r50_fpn]

PHOTOS is a folder, for example COCO's val2017. Both contenders read, predict, draw and save the same photos with the same
number of threads, in processes of their own, one after the other, A B A B: these are ratios of one run. The time is that
of the images alone, without the start and the first prediction. Weights are made by seed: the time hangs on their shapes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from predict import describe_machine

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved processes of each contender")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=["small", "r50_fpn"], choices=["small", "r50_fpn"])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "throughput.json")
    options = parser.parse_args()
    result = {"machine": describe_machine(), "threads": options.threads, "rounds": options.rounds, "networks": {}}
    for network in options.networks:
        runs = {"one by one": [], "several at once": []}
        for number in range(options.rounds):
            for name, workers in (("one by one", 1), ("several at once", options.threads)):
                print(f"{network}, round {number + 1}/{options.rounds}: {name}", file=sys.stderr)
                runs[name].append(run_worker(network, workers, options))
        result["networks"][network] = summarize(runs)
        report(network, result["networks"][network])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def run_worker(network, workers, options):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, HERE / "throughput_worker.py", network, workers, options.photos, options.images, folder]
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{network} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def summarize(runs):
    table = {
        name: {
            "images_per_second": round(median(row["images_per_second"] for row in rows), 3),
            "all_images_per_second": [round(row["images_per_second"], 3) for row in rows],
            "peak_memory_mb": round(median(row["peak_memory_mb"] for row in rows)),
            "images": rows[0]["images"],
            "part_bytes_per_image": round(rows[0]["part_bytes_per_image"]),
            "objects_per_image": round(rows[0]["objects_per_image"], 1),
            "merge_microseconds_per_image": round(median(row["merge_microseconds_per_image"] for row in rows)),
        }
        for name, rows in runs.items()
    }
    ratio = table["several at once"]["images_per_second"] / table["one by one"]["images_per_second"]
    return {"ratio": round(ratio, 3), "goal": 1.15, **table}


def report(network, row):
    print(f"{network}: {row['ratio']:.2f} times one by one (goal {row['goal']})")
    for name in ("one by one", "several at once"):
        print(f"  {name:18s}{row[name]['images_per_second']:8.2f} images/s{row[name]['peak_memory_mb']:8d} MB")


if __name__ == "__main__":
    main()
