"""Train the network of examples/scratch.yml until it has memorised some real photos: a trained model for accuracy.py.

    python benchmarks/by_heart.py COCO OUT [--first]

COCO holds annotations/instances_train2017.json and the photos in train2017; a part of them is enough. At first the sixteen
photos with the lowest ids that have one to six large objects, for 450 epochs (OUT/first); from there all photos whose
objects are not small, for 90 (OUT/all). One scale, no flip. Each takes about forty minutes on one core.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.coco_writer import write_coco
from maskzoo.ops.boxes import pairwise_iou

MODEL = Path(__file__).parent.parent / "examples" / "scratch.yml"
# Masks of 28 x 28 cells hold objects from here on at an AP beyond 0.9, and of two boxes of one class that overlap by more than
# suppression allows only one can be found.
LARGE = 128  # pixels, the root of an object's area
MEDIUM = 64
MOST_OVERLAP = 0.3  # IoU of two boxes of one class


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("coco", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", action="store_true", help="stop after the first sixteen")
    options = parser.parse_args()
    annotations = read_annotations(options.coco / "annotations" / "instances_train2017.json")
    options.out.mkdir(parents=True, exist_ok=True)
    train("first", choose(annotations, LARGE, 16), "none", (450, 375, 425), options)
    if not options.first:
        train("all", choose(annotations, MEDIUM), options.out / "first" / "best.safetensors", (90, 74, 85), options)


def choose(annotations, least_side, most=None):
    """The photos with one to six objects, all of `least_side` or more, none a crowd, and apart from others of their class."""
    sides = np.sqrt(annotations.area)
    sound = [
        0 < len(rows) <= 6
        and sides[rows].min() >= least_side
        and not annotations.crowd[rows].any()
        and find_overlap(annotations, rows) <= MOST_OVERLAP
        for rows in (np.arange(*annotations.first[place : place + 2]) for place in range(len(annotations)))
    ]
    chosen = np.zeros(len(annotations), np.bool_)
    chosen[np.flatnonzero(sound)[:most]] = True
    return annotations.select(chosen)


def find_overlap(annotations, rows):
    """The largest IoU of two boxes of one class among the objects `rows` of an image."""
    boxes = torch.from_numpy(annotations.boxes[rows])
    same = torch.from_numpy(annotations.labels[rows][:, None] == annotations.labels[rows])
    return float((pairwise_iou(boxes, boxes) * same).fill_diagonal_(0).max())


def train(name, annotations, begin, schedule, options):
    epochs, *milestones = schedule
    data = options.out / f"{name}.json"
    write_coco(data, annotations)
    command = [
        sys.executable, "-m", "maskzoo", "train", MODEL, data, "--val", data, "--images", options.coco / "train2017",
        "--from", begin, "--batch", 4, "--epochs", epochs, "--out", options.out / name, "--set", "run.workers=0",
        "--set", f"training.milestones={milestones}", "--set", "training.flip=0", "--set", "training.short_sides=[256]",
        "--set", "run.evaluate_every=30",
    ]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    main()
