"""Train on six made-up sets of different kinds by the recipe from the data, and by fixed ones, for the same processor time.

    python benchmarks/auto_recipe.py [KIND ...] [--seconds 30] [--seeds 2] [--arms auto row published] [--out FILE]

Fixed are the small row as it stands, and the published recipe: rate, schedule, sampling and limits of
mask_rcnn_r50_fpn_1x_coco, its input and anchors scaled to the 256 pixels of the small row (of its own 800 a processor sees
hardly any image in this time) and its epochs to those that the small row gets. All three train the network of that row
from random weights, with the same mean of the weights. What a kind gave is written at once: kinds may be run one after
the other, and --arms measures some again beside those that are in the file.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import maskzoo
from maskzoo.model_file import dump_config
from maskzoo.training.schedule import change_epochs
from maskzoo.training.trial_steps import TrainingSteps
from maskzoo.zoo.first_weights import make_first_weights
from maskzoo.zoo.rows import read_row

RESULTS = Path(__file__).parent / "results" / "auto_recipe.json"
ROW, PUBLISHED = "maskzoo_r18_fpn_tiny", "mask_rcnn_r50_fpn_1x_coco"
TRAIN, VAL = 64, 32  # pictures
ARMS = ("auto", "row", "published")  # by the recipe from the data, the small row's, the published one
BATCH = 4
COLOURS = ((200, 70, 60), (60, 140, 200), (90, 190, 90))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), choices=[*KINDS, []], metavar="KIND")
    parser.add_argument("--seconds", type=float, default=30, help="processor time of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each, of which the mean is told")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind in options.kinds:
        record = json.loads(options.out.read_text()) if options.out.exists() else {}
        before = record[kind]["arms"] if kind in record and len(options.arms) < len(ARMS) else {}
        with tempfile.TemporaryDirectory() as folder:
            found = compare(kind, Path(folder), options.seconds, range(options.seeds), options.arms, before)
        record[kind] = record.get(kind, {}) | found if before else found
        options.out.write_text(json.dumps({name: record[name] for name in KINDS if name in record}, indent=1) + "\n")
        print(kind, {name: arm["mask_ap"] for name, arm in found["arms"].items()}, flush=True)


def compare(kind, folder, seconds, seeds, wanted, before):
    """Train by each recipe that is wanted on one set, and return what they reached, beside what others did before."""
    data = folder / "data"
    make_set(data, *KINDS[kind])
    plan = maskzoo.plan_training(data, hours=seconds / 3600)
    averaged = {"ema": plan.settings.ema}
    recipes = {
        "auto": (plan.config, averaged | plan.settings.model_dump(include={"repeat_rare", "precision"})),
        "published": (make_published(plan.config.classes), averaged),
        "row": (read_row(ROW).model_copy(update={"classes": plan.config.classes}), averaged),
    }
    arms = dict(before)
    for name in wanted:
        epochs = arms["row"]["epochs"] if name == "published" else None
        arms[name] = train_by_seed(*recipes[name], data, seconds, folder / name, seeds, epochs)
    decisions = {"decisions": [str(one) for one in plan.decisions if one.key != "training.epochs"]} if "auto" in wanted else {}
    return {"seconds": seconds, **decisions, "arms": {name: arms[name] for name in ARMS}}


def make_published(classes):
    """The small row's network with all else as the published row has it, pixels scaled to those of the small row."""
    row, theirs = read_row(ROW), read_row(PUBLISHED)
    factor = row.input.short_side / theirs.input.short_side
    sizes = tuple(tuple(size * factor for size in level) for level in theirs.network.anchors.sizes)
    anchors = row.network.anchors.model_copy(update={"sizes": sizes})
    network = row.network.model_copy(update={"anchors": anchors})
    long = round(theirs.input.long_side * factor)
    sides = tuple(round(side * factor) for side in theirs.training.short_sides)
    recipe = theirs.training.model_copy(update={"short_sides": sides, "long_side": long})
    shape = theirs.input.model_copy(update={"short_side": row.input.short_side, "long_side": long})
    return row.model_copy(
        update={"network": network, "input": shape, "limits": theirs.limits, "training": recipe, "classes": classes}
    )


def train_by_seed(config, settings, data, seconds, out, seeds, epochs):
    """Train with each seed; return what the first gave, with the mean AP and that of each seed."""
    places = {seed: out.with_name(f"{out.name}-{seed}") for seed in seeds}
    runs = [train(config, settings | {"seed": seed}, data, seconds, place, epochs) for seed, place in places.items()]
    kinds = {kind: [run[kind] for run in runs] for kind in ("mask_ap", "box_ap")}
    means = {kind: round(sum(values) / len(values), 1) for kind, values in kinds.items()}
    return runs[0] | means | {f"{kind}_by_seed": values for kind, values in kinds.items()}


def train(config, settings, data, seconds, out, epochs=None):
    """Train for so many epochs, or so much processor time in whole ones, and return the AP of the last weights."""
    photos = [str(path) for path in sorted((data / "train").glob("*.*g"))]
    each = time_image(config, photos, settings.get("precision", "float32"))
    epochs = epochs or max(1, round(seconds / (each * len(photos))))
    changes = [f"run.{key}={value}" for key, value in settings.items() if value is not None]
    changes.append("run.evaluate_every=100000")
    config = config.model_copy(update={"training": change_epochs(config.training, epochs)})
    model = out.with_suffix(".yml")
    model.write_text(dump_config(config))
    began = time.process_time()
    run = maskzoo.train(model, data, out, source="none", batch=BATCH, workers=0, overrides=changes)
    measured = maskzoo.evaluate(run.last_weights, data).evaluation
    return {
        "mask_ap": round(100 * (measured.mask.ap or 0), 1),
        "box_ap": round(100 * (measured.box.ap or 0), 1),
        "epochs": epochs,
        "images_seen": run.iterations * BATCH,
        "seconds_an_image": round(each, 3),
        "processor_seconds": round(time.process_time() - began, 1),
        "short_side": config.input.short_side,
    }


def time_image(config, photos, precision):
    """Processor time of a training step for each image of it."""
    network = make_first_weights(config, "none", seed=0).model
    steps = TrainingSteps(network, config, photos, BATCH, precision, torch.device("cpu"))
    steps.run()
    began = time.process_time()
    steps.run()
    steps.run()
    return (time.process_time() - began) / (2 * BATCH)


# The sets


def make_set(out, classes, side, paint, train=TRAIN, val=VAL):
    """Write a set of one kind, COCO files and square pictures; the same each time."""
    for split, count in (("train", train), ("val", val)):
        (out / split).mkdir(parents=True)
        images, rows = [], []
        for number in range(1, count + 1):
            random = np.random.default_rng([len(split), number])
            pixels, owners, objects = draw(random, side, paint(random, side))
            Image.fromarray(pixels).save(out / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": side, "height": side})
            for place, (label, points) in enumerate(objects, 1):
                mask = owners == place
                if mask.sum() < 9:  # hidden by others
                    continue
                y, x = np.nonzero(mask)
                box = [int(x.min()), int(y.min()), int(x.max() - x.min() + 1), int(y.max() - y.min() + 1)]
                outline = [np.clip(points, 0, side).astype(float).ravel().tolist()]
                shared = {"iscrowd": 0, "bbox": box, "area": int(mask.sum()), "segmentation": outline}
                rows.append({"id": len(rows) + 1, "image_id": number, "category_id": label + 1, **shared})
        categories = [{"id": label + 1, "name": name} for label, name in enumerate(classes)]
        (out / f"{split}.json").write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))


def draw(random, side, objects):
    """Paint objects over a noisy slope, leaving out those that would meet earlier ones; return whose each pixel is, too."""
    y, x = np.mgrid[0:side, 0:side] / side
    canvas = random.uniform(90, 150, 3) + 40 * (x * random.normal() + y * random.normal())[..., None] * np.ones(3)
    owners, kept = np.zeros((side, side), np.uint8), []
    for label, points in objects:
        mask = np.zeros((side, side), np.uint8)
        cv2.fillPoly(mask, [np.round(points * 4).astype(np.int32)], 1, shift=2)
        if (owners[mask > 0] > 0).any() or mask.sum() < 9:
            continue
        kept.append((label, points))
        owners[mask > 0] = len(kept)
        canvas[mask > 0] = np.array(COLOURS[label]) + random.normal(0, 20, 3)
    return (canvas + random.normal(0, 9, canvas.shape)).clip(0, 255).astype(np.uint8), owners, kept


def shape(random, side, width, height, corners, turn=None):
    """The corners of an ellipse, rectangle or triangle of this size, somewhere, turned."""
    angles = np.linspace(0, math.tau, corners, endpoint=False) + math.pi / 4
    around = np.stack([np.cos(angles) * width, np.sin(angles) * height], 1) * (0.71 if corners == 4 else 0.5)
    turn = random.uniform(0, math.tau) if turn is None else turn
    around = around @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    reach = np.abs(around).max(axis=0)
    return around + random.uniform(np.minimum(reach, side / 2), np.maximum(side - reach, side / 2))


def few_large(random, side):
    sizes = random.uniform(0.5, 0.75, int(random.integers(1, 3))) * side
    return [(label := int(random.integers(2)), shape(random, side, size, 0.8 * size, (32, 4)[label])) for size in sizes]


def many_tiny(random, side):
    sizes = random.uniform(8, 13, int(random.integers(25, 40)))
    return [(label := int(random.integers(2)), shape(random, side, size, size, (16, 4)[label])) for size in sizes]


def long_thin(random, side):
    sizes = random.uniform(0.4, 0.8, int(random.integers(2, 5))) * side
    turns = random.choice((0, math.pi / 2), len(sizes)) + random.normal(0, 0.06, len(sizes))
    return [(0, shape(random, side, size, size / 10, 4, turn)) for size, turn in zip(sizes, turns, strict=True)]


def rare_classes(random, side):
    labels = random.choice(3, int(random.integers(1, 4)), p=(0.86, 0.08, 0.06))
    return [(int(label), shape(random, side, *random.uniform(24, 44, 2), (32, 4, 3)[label])) for label in labels]


def one_class(random, side):
    return [(0, shape(random, side, *random.uniform(22, 50, 2), 32)) for _ in range(random.integers(1, 5))]


def aerial(random, side):
    turn = random.uniform(0, math.tau)
    houses = [(1, shape(random, side, *random.uniform(40, 64, 2), 4, turn)) for _ in range(2)]
    return houses + [(0, shape(random, side, 18, 9, 4, turn + random.normal(0, 0.1))) for _ in range(random.integers(6, 16))]


KINDS = {
    "few large": (("disc", "block"), 256, few_large),
    "many tiny": (("dot", "chip"), 192, many_tiny),
    "long thin": (("rod",), 160, long_thin),
    "rare classes": (("disc", "block", "wedge"), 128, rare_classes),
    "one class": (("disc",), 128, one_class),
    "aerial": (("car", "house"), 256, aerial),
}


if __name__ == "__main__":
    main()
