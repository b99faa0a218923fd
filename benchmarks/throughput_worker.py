"""One contender of throughput.py: predict a folder as `maskzoo predict` does, print one line of JSON."""

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch

from maskzoo.cli.outputs import join_json
from maskzoo.cli.prediction_job import Job, Task, run_jobs
from maskzoo.data.images import find_images
from maskzoo.files import write_file
from maskzoo.inference.backends import Eager
from maskzoo.inference.memory import keep_freed_memory
from maskzoo.inference.predictor import Predictor
from maskzoo.processes import Processes
from maskzoo.zoo.table import read_row
from networks import FPN, small_config, small_network

SMALL = (
    "network.channels=64",
    "network.box_features=256",
    "network.backbone.depth=18",
    "network.backbone.group_width=64",
    "network.backbone.width=32",
    "input.short_side=320",
    "input.long_side=544",
    "limits.proposals.before_nms=1000",
    "limits.proposals.after_nms=1000",
    "limits.proposals.total=300",
    "limits.detections.total=30",
)


def main():
    network, workers, photos, count, out = sys.argv[1:]
    keep_freed_memory()
    config = small_config(FPN, *SMALL) if network == "small" else read_row(FPN)
    predictor = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
    paths = find_images([photos])[: int(count)]
    jobs = [Job(n, str(path), path, n + 1, Path(out) / f"{path.stem}.jpg") for n, path in enumerate(paths)]
    task = Task(predictor, frozenset({"image", "json"}), 0.5, 1, False)
    predictor.predict(paths[0])
    began = time.perf_counter()
    parts = run_jobs(task, jobs, Path(out), int(workers), Processes())
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in parts.paths)
    began = time.perf_counter()
    rows = (row for _, record in parts.read() for row in record["coco"])
    write_file(Path(out) / "predictions.json", map(str.encode, join_json(rows)))
    merge = time.perf_counter() - began
    objects = sum(sum(record["names"].values()) for _, record in parts.read())
    print(
        json.dumps(
            {
                "images": len(jobs),
                "images_per_second": len(jobs) / seconds,
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "part_bytes_per_image": size / len(jobs),
                "objects_per_image": objects / len(jobs),
                "merge_microseconds_per_image": merge / len(jobs) * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
