"""A trainer that takes steps in memory: a tiny network on batches that are made here."""

import torch

from maskzoo.model_file import parse_settings
from maskzoo.models.build import build
from maskzoo.models.initialization import initialize
from maskzoo.structures import GroundTruth, ImageBatch
from maskzoo.system.processes import Processes
from maskzoo.training.loader import TrainingBatch
from maskzoo.training.run_folder import RunFolder
from maskzoo.training.trainer import Trainer
from maskzoo.zoo.rows import read_row
from small_runs import TINY

EPOCHS = "training.epochs=2"


class Batches:
    """Stands in for a loader: the same few batches in every epoch, made here."""

    def __init__(self, batches, accumulate=1):
        self.batches = batches
        self.batches_per_epoch = len(batches) // accumulate * accumulate

    def epoch(self, epoch, start=0):
        yield from self.batches[start : self.batches_per_epoch]


def make_batch(number, objects=2, broken=False):
    random = torch.Generator().manual_seed(number)
    pixels = torch.randn(1, 3, 64, 96, generator=random)
    if broken:
        pixels[0, 0, 5, 5] = torch.nan
    boxes = torch.tensor([[[8.0, 8, 40, 40], [50, 20, 80, 60]]])[:, :objects]
    square = [[[float(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)]] for x1, y1, x2, y2 in boxes[0].tolist()]
    every = torch.ones(1, objects, dtype=torch.bool)
    truth = GroundTruth(boxes, torch.arange(objects)[None] % 2, ~every, every, [square])
    return TrainingBatch(ImageBatch(pixels, torch.tensor([[64.0, 96.0]])), truth, (100 + number,), (number,), ())


def make_config(*changes):
    texts = [text.replace(": ", "=", 1) for text in TINY]
    return read_row("mask_rcnn_r50_fpn_1x_coco", [*texts, "classes={1: a, 2: b}", EPOCHS, "training.milestones=[2]", *changes])


def make_trainer(tmp_path, batches, *settings, config=None, device="cpu", **options):
    tmp_path.mkdir(exist_ok=True)
    config, run = config or make_config(), parse_settings(["workers=0", *settings])
    model = build(config.network, 2, config.limits)
    initialize(model, torch.Generator().manual_seed(0))
    rows = []
    loader = Batches(batches, run.accumulate)
    processes = Processes(device=device)
    trainer = Trainer(model, config, run, loader, RunFolder(tmp_path), processes, report=rows.append, **options)
    return trainer, rows


def copy_state(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def is_equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)
