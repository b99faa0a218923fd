"""One contender of throughput.py: predict a folder as `maskzoo predict` does, print one line of JSON."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch
from stopwatch import answer, read_job, read_peak_memory

from maskzoo.images.find import find_images
from maskzoo.inference.backends import Eager
from maskzoo.inference.folder_share import Work, predict_share
from maskzoo.inference.outputs import join_json
from maskzoo.inference.prediction import to_coco_row
from maskzoo.inference.prediction_plan import PlannedImage
from maskzoo.inference.predictor import Predictor
from maskzoo.progress import say_nothing
from maskzoo.system.files import write_file
from maskzoo.system.memory import keep_freed_memory
from maskzoo.system.processes import Processes
from maskzoo.zoo.rows import read_row
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
    job = read_job()
    out = Path(job["out"])
    keep_freed_memory()
    config = small_config(FPN, *SMALL) if job["network"] == "small" else read_row(FPN)
    predictor = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
    paths = find_images([job["photos"]])[: job["images"]]
    plan = [PlannedImage(n, str(path), path, n + 1, out / f"{path.stem}.jpg") for n, path in enumerate(paths)]
    work = Work(predictor, frozenset({"image", "json"}), 0.5, 1)
    predictor.predict(paths[0], score=0)
    began = time.perf_counter()
    parts = predict_share(work, plan, out, job["workers"], Processes(), say_nothing)
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in parts.paths)
    began = time.perf_counter()
    rows = (to_coco_row(plan[number].image_id, row) for number, record in parts.read() for row in record["detections"])
    write_file(out / "predictions.json", map(str.encode, join_json(rows)))
    merge = time.perf_counter() - began
    objects = sum(len(record["detections"]) for _, record in parts.read())
    answer(
        {
            "images": len(plan),
            "images_per_second": len(plan) / seconds,
            "peak_memory_mb": read_peak_memory(),
            "part_bytes_per_image": size / len(plan),
            "objects_per_image": objects / len(plan),
            "merge_microseconds_per_image": merge / len(plan) * 1e6,
        }
    )


if __name__ == "__main__":
    main()
