"""Images per second of `maskzoo predict` on a folder of photos, several at once against one by one.

    python benchmarks/throughput.py PHOTOS [--images 80] [--rounds 3] [--networks small r50_fpn]

PHOTOS is a folder, for example COCO's val2017. Both contenders read, predict, draw and save the same photos with the same
number of threads, in processes of their own, one after the other, A B A B: these are ratios of one run. The time is that
of the images alone, without the start and the first prediction. Weights are made by seed: the time depends on their
shapes alone.
"""

import sys
import tempfile
from pathlib import Path

from scripts import HERE, NO_GPU, make_parser, tell

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result


def main():
    parser = make_parser(__doc__, "throughput.json", rounds=3)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=["small", "r50_fpn"], choices=["small", "r50_fpn"])
    options = parser.parse_args()
    result = {"machine": describe_machine(), "threads": options.threads, "rounds": options.rounds, "networks": {}}
    for network in options.networks:
        workers = {"one by one": 1, "several at once": options.threads}

        def measure(name, network=network, workers=workers):
            return run_worker(network, workers[name], options)

        result["networks"][network] = summarize(take_turns(workers, options.rounds, measure, tell(network)))
        report(network, result["networks"][network])
        write_result(options.out, result)


def run_worker(network, workers, options):
    with tempfile.TemporaryDirectory() as folder:
        job = {"network": network, "workers": workers, "images": options.images, "photos": str(options.photos), "out": folder}
        command = [sys.executable, HERE / "throughput_worker.py"]
        return run_process(command, job, threads=options.threads, environment=NO_GPU)


def summarize(runs):
    table = {
        name: {
            "images_per_second": median_of(rows, "images_per_second", 3),
            "all_images_per_second": [round(row["images_per_second"], 3) for row in rows],
            "peak_memory_mb": median_of(rows, "peak_memory_mb"),
            "images": rows[0]["images"],
            "part_bytes_per_image": round(rows[0]["part_bytes_per_image"]),
            "objects_per_image": round(rows[0]["objects_per_image"], 1),
            "merge_microseconds_per_image": median_of(rows, "merge_microseconds_per_image"),
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
