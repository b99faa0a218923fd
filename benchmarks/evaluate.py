"""Time COCO's box and mask evaluation against pycocotools on the same made-up files, and hold the numbers together.

    python benchmarks/evaluate.py [--images 1000] [--detections 100] [--rounds 3]

Every contender runs in a process of its own, one after the other, A B A B, and is timed twice over:
- from files: from the annotation and the result file on disk to the 24 numbers. maskzoo checks every row and mask here.
- from rows: ground truth loaded, rows in memory, as after a run of a model: maskzoo's columns, pycocotools' list of dicts.
  maskzoo's columns hold the masks' areas already; pycocotools counts them here.

Objects are polygons and a few crowds; detections are shifted objects and false ones, written once by seed.
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


def main():
    parser = make_parser(__doc__, "evaluate.json", rounds=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=7, help="on average, of an image")
    parser.add_argument("--detections", type=int, default=100, help="of an image")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer(WORKERS[options.worker[0]](Path(options.worker[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        print("making the files", file=sys.stderr)
        counts = make_files(Path(folder), options)

        def measure(name):
            return run_process([sys.executable, __file__, "--worker", name, folder])

        runs = take_turns(WORKERS, options.rounds, measure, tell(""))
    result = summarize(runs) | {"rounds": options.rounds, "data": counts, "machine": describe_machine()}
    write_result(options.out, result)
    print(options.out.read_text(), end="")
    if result["largest_difference"] > 1e-9:
        sys.exit("the numbers differ")


def make_files(folder, options):
    """Write truth.json and results.json."""
    from hotcoco import mask

    random = np.random.default_rng(0)
    height, width = SIZE
    images = [{"id": n + 1, "file_name": f"{n}.jpg", "height": height, "width": width} for n in range(options.images)]
    annotations, rows = [], []
    for image in images:
        objects = []
        for _ in range(random.poisson(options.objects)):
            side = np.exp(random.uniform(np.log(12), np.log(300), 2))
            centre = random.uniform((0, 0), (width, height))
            objects.append((make_outline(random, centre, side), int(random.integers(CLASSES)) + 1))
        for outline, category in objects:
            crowd = random.random() < 0.01
            annotations.append(annotate(len(annotations) + 1, image, category, outline, crowd, mask))
        for number in range(options.detections):
            if objects and number % 3:
                outline, category = objects[int(random.integers(len(objects)))]
                outline = outline * np.exp(random.normal(0, 0.01)) + random.normal(0, 4, 2)
            else:
                outline = make_outline(random, random.uniform((0, 0), (width, height)), random.uniform(10, 200, 2))
                category = int(random.integers(CLASSES)) + 1
            rows.append(detect(image, category, np.clip(outline, 0, (width, height)), random, mask))
    categories = [{"id": n + 1, "name": f"class {n}"} for n in range(CLASSES)]
    truth = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(rows))
    return {"images": len(images), "objects": len(annotations), "detections": len(rows)}


def make_outline(random, centre, side):
    """A wobbly oval of 24 points `[24 2]`, inside the image."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = random.uniform(0.8, 1, 24)[:, None] * side / 2
    points = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(points, 0, SIZE[::-1]).round(2)


def annotate(number, image, category, outline, crowd, mask):
    polygon = outline.ravel().tolist()
    runs = mask.frPyObjects([polygon], *SIZE)[0]
    start, end = outline.min(axis=0), outline.max(axis=0)
    encoded = {"size": list(SIZE), "counts": runs["counts"].decode()}
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": category,
        "bbox": [*start.tolist(), *(end - start).tolist()],
        "area": float(mask.area(runs)),
        "iscrowd": int(crowd),
        "segmentation": encoded if crowd else [polygon],
    }


def detect(image, category, outline, random, mask):
    runs = mask.frPyObjects([outline.ravel().tolist()], *SIZE)[0]
    start, end = outline.min(axis=0), outline.max(axis=0)
    return {
        "image_id": image["id"],
        "category_id": category,
        "bbox": [*start.tolist(), *(end - start).tolist()],
        "score": float(random.random()),
        "segmentation": {"size": list(SIZE), "counts": runs["counts"].decode()},
    }


def evaluate_with_maskzoo(folder):
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.evaluation.metrics import compute_metrics
    from maskzoo.evaluation.results import read_results
    from maskzoo.system.memory import keep_freed_memory

    keep_freed_memory()  # as `maskzoo eval` does
    began = time.perf_counter()
    annotations = read_annotations(folder / "truth.json")
    results = read_results(folder / "results.json", annotations)
    loaded = time.perf_counter()
    evaluation = compute_metrics(annotations, results)
    return sum_up(began, loaded, (*evaluation.box.values, *evaluation.mask.values))


def evaluate_with_pycocotools(folder):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbers = []
    with contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        truth = COCO(folder / "truth.json")
        rows = json.loads((folder / "results.json").read_text())
        loaded = time.perf_counter()
        for kind in ("bbox", "segm"):
            if kind == "segm":  # so that the mask's area decides between small and large
                rows = [{key: value for key, value in row.items() if key != "bbox"} for row in rows]
            evaluator = COCOeval(truth, truth.loadRes(rows), kind)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
            numbers += evaluator.stats.tolist()
    return sum_up(began, loaded, numbers)


WORKERS = {"maskzoo": evaluate_with_maskzoo, "pycocotools": evaluate_with_pycocotools}


def sum_up(began, loaded, numbers):
    ended = time.perf_counter()
    return {
        "from_files": ended - began,
        "from_rows": ended - loaded,
        "peak_memory_mb": read_peak_memory(),
        "numbers": [-1 if value is None else value for value in numbers],
    }


def summarize(runs):
    ours, theirs = runs["maskzoo"], runs["pycocotools"]
    result = {}
    for name, values in runs.items():
        result[name] = {key: median_of(values, key, 2) for key in ("from_files", "from_rows", "peak_memory_mb")} | {
            "all_from_files": [round(value["from_files"], 2) for value in values]
        }
    for key, name in (("from_files", "times_faster_from_files"), ("from_rows", "times_faster_from_rows")):
        result[name] = round(median_of(theirs, key, 9) / median_of(ours, key, 9), 1)
    pairs = zip(ours[0]["numbers"], theirs[0]["numbers"], strict=True)
    result["largest_difference"] = max(abs(a - b) for a, b in pairs)
    result["box_ap"], result["mask_ap"] = (round(ours[0]["numbers"][place], 4) for place in (0, 12))
    result["versions"] = {name: version(name) for name in ("hotcoco", "pycocotools", "numpy")}
    return result


if __name__ == "__main__":
    main()
