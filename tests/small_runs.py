"""A training run that takes seconds: a data set of a few small pictures, a tiny network, and `maskzoo train` on them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from maskzoo.model_file import dump_config
from maskzoo.zoo.rows import read_row

TINY = (
    "name: tiny",
    "network.channels: 16",
    "network.box_features: 32",
    "network.norm: none",
    "network.backbone: {depth: 18, variant: b, width: 8, groups: 1, group_width: 64, norm: bn, frozen: []}",
    "network.anchors.sizes: [[16], [32], [64], [128], [256]]",
    "input.short_side: 64",
    "input.long_side: 96",
    "limits.proposals: {before_nms: 100, after_nms: 50, total: 50, iou: 0.7, min_side: 1.0}",
    "limits.detections: {score: 0.05, iou: 0.5, total: 10, mask_threshold: 0.5}",
    "training.epochs: 2",
    "training.milestones: [2]",
    "training.images_per_batch: 4",
    "training.short_sides: [56, 64]",
    "training.long_side: 96",
    "training.proposals: {before_nms: 100, after_nms: 50, total: 50, iou: 0.7, min_side: 1.0}",
    "training.rpn.samples: 32",
    "training.boxes.samples: 32",
    "source: {weights: '', imagenet: '', licence: none, published: null}",
)


def write_model(folder: Path, *changes: str) -> Path:
    """Write a tiny model file; later changes win."""
    overrides = [text.replace(": ", "=", 1) for text in (*TINY, *changes)]
    path = folder / "tiny.yml"
    path.write_text(dump_config(read_row("mask_rcnn_r50_fpn_1x_coco", overrides)))
    return path


def write_data(folder: Path, train: int = 8, val: int = 4, size: tuple[int, int] = (64, 80)) -> Path:
    """Write a data set of bright squares and dark disks on noise, with the splits train and val, each if it has images."""
    for split, count in (("train", train), ("val", val)):
        if not count:
            continue
        random = np.random.default_rng([len(split), count])
        (folder / split).mkdir(parents=True)
        images, annotations = [], []
        for number in range(1, count + 1):
            pixels = random.integers(90, 160, (*size, 3), np.uint8)
            for _ in range(2):
                x, y, side = (int(value) for value in random.integers((2, 2, 14), (size[1] - 30, size[0] - 30, 28)))
                label = int(random.integers(2))
                if label:
                    cv2.circle(pixels, (x + side // 2, y + side // 2), side // 2, (20, 20, 40), -1)
                else:
                    pixels[y : y + side, x : x + side] = 235
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": label + 5,
                        "bbox": [x, y, side, side],
                        "area": side * side,
                        "iscrowd": 0,
                        "segmentation": [[x, y, x + side, y, x + side, y + side, x, y + side]],
                    }
                )
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "height": size[0], "width": size[1]})
        categories = [{"id": 5, "name": "square"}, {"id": 6, "name": "disk"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def start_training(*arguments: object, processes: int = 1) -> subprocess.Popen[str]:
    """Start `maskzoo train` in a process of its own, or in several by torchrun."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, "-m", "maskzoo", "train", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def wait_for_steps(process: subprocess.Popen[str], run: Path, steps: int) -> None:
    """Wait until the run's metrics hold `steps` steps; its process must not end before."""
    while len(read_rows(run)) < steps:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill a process and all below it without warning; torchrun's are in sessions of their own. Linux."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    doomed = [process.pid]
    for pid in doomed:
        doomed += [child for child, parent in parents.items() if parent == pid]
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def train(*arguments: object, processes: int = 1, code: int = 0, limit: float = 300) -> str:
    """Run `maskzoo train` to its end and return all it said; it must end with `code`."""
    process = start_training(*arguments, processes=processes)
    said, _ = process.communicate(timeout=limit)
    assert process.returncode == code, said
    return said


def read_rows(run: Path, kind: str = "step") -> list[dict]:
    """Return the whole lines of a run's metrics of one kind."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row for row in rows if row["kind"] == kind]


def describe_run(run: Path) -> tuple[list[dict], dict[str, dict[str, torch.Tensor]]]:
    """Return the steps and evaluations of a run but for the time they took, and its weights."""
    rows = [row for kind in ("step", "evaluation") for row in read_rows(run, kind)]
    rows = [{key: value for key, value in row.items() if key != "images_per_second"} for row in rows]
    return rows, {name: load_file(run / name) for name in ("last.safetensors", "best.safetensors")}


def assert_equal_runs(ours: tuple[list, dict], theirs: tuple[list, dict]) -> None:
    """Hold two runs, as `describe_run` gives them, against each other bit for bit."""
    assert ours[0] == theirs[0]
    for name, tensors in theirs[1].items():
        assert ours[1][name].keys() == tensors.keys()
        assert all(torch.equal(ours[1][name][key], tensors[key]) for key in tensors), name
