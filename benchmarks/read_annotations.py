"""Time reading a COCO instances file of train2017's size, every value checked, and how much memory that takes.

    python benchmarks/read_annotations.py [--images 118287] [--objects 860001] [--rounds 3]

The file is made by seed: outlines of 8 to 40 points, a crowd in 86 objects, 0.5 GB of text. maskzoo, pycocotools and Python's
json.load take turns, A B A B, each in a process of its own; the last two check nothing, and json.load only makes objects.
Seconds are those that the process had a core, whatever else the machine did meanwhile.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scripts import make_parser, tell
from stopwatch import answer, read_peak_memory

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result

SIZE = (480, 640)
CLASSES = 80
CROWDS = 86  # one in so many


def main():
    parser = make_parser(__doc__, "read_annotations.json", rounds=3)
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--objects", type=int, default=860_001)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, path = options.worker
        began = time.process_time()
        READERS[name](Path(path))
        answer({"seconds": time.process_time() - began, "peak_memory_mb": read_peak_memory()})
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        print("making the file", file=sys.stderr)
        write_instances(path, options)
        size = path.stat().st_size

        def measure(name):
            return run_process([sys.executable, __file__, "--worker", name, path], threads=1)

        runs = take_turns(READERS, options.rounds, measure, tell(""))
    result = {name: {key: median_of(values, key, 2) for key in values[0]} for name, values in runs.items()}
    for name, values in runs.items():
        result[name]["all_seconds"] = [round(value["seconds"], 2) for value in values]
    result |= {
        "data": {"images": options.images, "objects": options.objects, "megabytes": round(size / 1e6)},
        "rounds": options.rounds,
        "versions": {name: version(name) for name in ("msgspec", "numpy", "pycocotools")},
        "machine": describe_machine(),
    }
    write_result(options.out, result)
    print(options.out.read_text(), end="")


def write_instances(path, options):
    random = np.random.default_rng(0)
    height, width = SIZE
    images = [
        {"id": n, "file_name": f"{n:012d}.jpg", "height": height, "width": width, "date_captured": "2013-11-14 17:02:52"}
        for n in range(1, options.images + 1)
    ]
    categories = [{"id": n, "name": f"class {n}", "supercategory": "thing"} for n in range(1, CLASSES + 1)]
    with path.open("w") as file:
        file.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [')
        for number in range(1, options.objects + 1):
            file.write((", " if number > 1 else "") + json.dumps(annotate(number, random, options.images)))
        file.write("]}")


def annotate(number, random, images):
    points = int(random.integers(8, 41))
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = random.uniform(0.8, 1, (points, 1)) * random.uniform(5, 50)
    outline = random.uniform(50, np.array(SIZE[::-1]) - 50) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outline = outline.round(2)
    start, side = outline.min(axis=0), np.ptp(outline, axis=0)
    crowd = number % CROWDS == 0
    return {
        "segmentation": {"size": SIZE, "counts": [1000, 50, 480 * 640 - 1050]} if crowd else [outline.ravel().tolist()],
        "area": round(float(side.prod()), 4),
        "iscrowd": int(crowd),
        "image_id": int(random.integers(1, images + 1)),
        "bbox": [*start.tolist(), *side.round(2).tolist()],
        "category_id": int(random.integers(1, CLASSES + 1)),
        "id": number,
    }


def read_with_maskzoo(path):
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.system.memory import keep_freed_memory

    keep_freed_memory()  # as `maskzoo train` and `maskzoo eval` do
    read_annotations(path)


def read_with_pycocotools(path):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        COCO(path)


def read_with_json(path):
    with path.open("rb") as file:
        json.load(file)


READERS = {"maskzoo": read_with_maskzoo, "pycocotools": read_with_pycocotools, "json.load": read_with_json}


if __name__ == "__main__":
    main()
