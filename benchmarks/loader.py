"""Time reading training images, file to normalised batch and truth, against a loader in torchvision's way.

    python benchmarks/loader.py [--data ../shared/data/coco] [--rounds 5] [--images 200]

Both read the same photos of a COCO data set in the same order, one thread, each in a process of its own, one after the
other, A B A B: a ratio of one run, not bare times. Seconds are those that the process had a core, whatever else the
machine did meanwhile. Sides and flips are drawn from the same recipe.
- maskzoo: its own loader without workers, batch 1: decode, cubic resize, flip, boxes and polygons, normalise, pad.
- pillow: open, convert to RGB, bilinear resize by Pillow, flip, float tensor, normalise; boxes; each object's mask decoded
  by pycocotools at the photo's full size. torchvision resizes these masks as well; here that is left out.
"""

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path

from scripts import NO_GPU, ROW, SHARED, make_parser, tell
from stopwatch import answer, read_peak_memory

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result

SIDES, LONG, FLIP = (640, 672, 704, 736, 768, 800), 1333, 0.5  # that row's recipe
WARM = 10  # images that are not counted


def main():
    parser = make_parser(__doc__, "loader.json", rounds=5)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "coco", help="with annotations/ and train2017/")
    parser.add_argument("--images", type=int, default=200, help="photos that each process reads")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer(WORKERS[options.worker](options.data, options.images))
        return
    if options.images <= WARM:
        parser.error(f"--images {options.images}: the first {WARM} are not counted; expected more")
    if not (options.data / "train2017").is_dir():
        sys.exit(f"{options.data} has no folder train2017: give a COCO data set with --data")

    def measure(name):
        command = [sys.executable, __file__, "--worker", name, "--data", options.data, "--images", options.images]
        return run_process(command, threads=1, environment=NO_GPU)

    runs = take_turns(WORKERS, options.rounds, measure, tell(""))
    result = summarize(runs) | {"rounds": options.rounds, "machine": describe_machine()}
    write_result(options.out, result)
    print(options.out.read_text(), end="")


def open_data(data):
    """The data set, selected as for training, and the images of the first epoch in their order."""
    from maskzoo.config import RunSettings
    from maskzoo.datasets.annotations import select_for_training
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.training.samples import order_images

    annotations, _ = select_for_training(read_annotations(data / "annotations" / "instances_train2017.json"))
    return annotations, order_images(annotations, RunSettings(), 0, 1).tolist()


def read_with_maskzoo(data, images):
    import cv2
    import torch

    from maskzoo.config import RunSettings
    from maskzoo.training.loader import TrainingLoader
    from maskzoo.zoo.rows import read_row

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    annotations, order = open_data(data)
    config = read_row(ROW)
    recipe = config.training
    if (recipe.short_sides, recipe.long_side, recipe.flip) != (SIDES, LONG, FLIP):
        sys.exit(f"{ROW}: its recipe is no longer the one that the other contender follows")
    loader = TrainingLoader(annotations, data / "train2017", config, RunSettings(workers=0, damaged_images="stop"))
    batches = ((batch.images.pixels, len(batch.truth.outlines[0])) for batch in loader.epoch(0))
    return time_reading(batches, min(images, len(order)))


def read_with_pillow(data, images):
    import numpy as np
    import torch
    from PIL import Image
    from pycocotools import mask as coco_mask

    torch.set_num_threads(1)
    annotations, order = open_data(data)
    random = np.random.default_rng(0)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def decode(place, size):
        masks = []
        for row in range(*annotations.first[place : place + 2].tolist()):
            outline = annotations.segmentation(row)
            if isinstance(outline, list):
                outline = coco_mask.merge(coco_mask.frPyObjects(outline, *size))
            masks.append(coco_mask.decode(outline))
        return torch.from_numpy(np.stack(masks))

    def read(place):
        photo = Image.open(data / "train2017" / annotations.file_name(place)).convert("RGB")
        width, height = photo.size
        masks = decode(place, (height, width))
        side = int(random.choice(SIDES))
        scale = min(side / min(width, height), LONG / max(width, height))
        photo = photo.resize((int(scale * width + 0.5), int(scale * height + 0.5)), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1).contiguous().float().div_(255)
        boxes = torch.from_numpy(annotations.boxes[annotations.first[place] : annotations.first[place + 1]]) * scale
        if random.random() < FLIP:
            pixels, masks = pixels.flip(2), masks.flip(2)
            boxes[:, [0, 2]] = pixels.shape[2] - boxes[:, [2, 0]]
        return pixels.sub_(mean).div_(std), len(masks)

    return time_reading((read(place) for place in order), min(images, len(order)))


WORKERS = {"maskzoo": read_with_maskzoo, "pillow": read_with_pillow}


def time_reading(samples, images):
    """Read `images` of what an iterator gives, and time all but the first few."""
    objects = pixels = 0
    for number in range(images):
        if number == WARM:
            began = time.process_time()
        image, count = next(samples)
        objects += count
        pixels += image.shape[-1] * image.shape[-2]
    seconds = time.process_time() - began
    return {
        "per_second": (images - WARM) / seconds,
        "images": images,
        "objects": objects,
        "megapixels": pixels / images / 1e6,
        "peak_memory_mb": read_peak_memory(),
    }


def summarize(runs):
    result = {
        name: {
            "images_per_core_second": median_of(values, "per_second", 1),
            "all_images_per_core_second": [round(value["per_second"], 1) for value in values],
            "mean_megapixels": round(values[0]["megapixels"], 2),
            "peak_memory_mb": median_of(values, "peak_memory_mb"),
        }
        for name, values in runs.items()
    }
    if len({(values[0]["images"], values[0]["objects"]) for values in runs.values()}) != 1:
        sys.exit("the contenders did not read the same images and objects")
    ours, theirs = (result[name]["images_per_core_second"] for name in WORKERS)
    first = runs["maskzoo"][0]
    return result | {
        "times_as_fast": round(ours / theirs, 2),
        "data": {"images": first["images"], "objects": first["objects"]},
        "versions": {name: version(name) for name in ("opencv-python-headless", "pillow", "pycocotools", "torch", "numpy")},
    }


if __name__ == "__main__":
    main()
