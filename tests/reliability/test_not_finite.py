"""NaN, infinity and overflow anywhere in a training step: nothing of it reaches the weights, and its images are named."""

import json
import math
import os
import random
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import AnnotationsError
from small_runs import write_data
from small_trainers import make_batch, make_config, make_trainer

COUNT = int(os.environ.get("MASKZOO_PLACES", "1000"))
SEED = 26
VALUES = (torch.nan, torch.inf, -torch.inf, 1e30, 7e4)  # the last is beyond float16 alone, the square of 1e30 beyond float32
KINDS = ("activation", "gradient of an activation", "gradient of a weight", "pixel", "box", "loss")
CHOICES = (
    ("precision=float32", "precision=bfloat16", "precision=float16"),
    ("ema=0.9", "ema=null"),
    ("accumulate=1", "accumulate=2"),
    ("clip_norm=null", "clip_norm=1"),
)
NORMS = ("bn", "gn", "frozen")


def put(tensor, value, draw):
    """Return a copy with the value at one place."""
    changed = tensor.clone(memory_format=torch.contiguous_format)
    if changed.numel():
        changed.view(-1)[draw.randrange(changed.numel())] = value
    return changed


class Injection:
    """Puts a value at one place into one batch of a run, of the kind that is asked for."""

    def __init__(self, trainer, kind, value, draw):
        self.trainer, self.kind, self.value, self.draw, self.done = trainer, kind, value, draw, False
        self.active, self.number = False, -1
        objective, self.compute = trainer.objective, trainer._compute
        trainer._compute = self.run
        if kind in ("activation", "gradient of an activation"):
            part = draw.choice([part for name, part in objective.model.named_modules() if name and not list(part.children())])
            part.register_forward_hook(self.change_output)
        elif kind == "gradient of a weight":
            weight = draw.choice([weight for weight in objective.parameters() if weight.requires_grad])
            weight.register_hook(self.change)
        elif kind == "loss":
            objective.register_forward_hook(self.change_loss)

    def __deepcopy__(self, memo):
        return self  # a model is copied with its hooks

    def run(self, batch):
        self.active = self.number == batch.image_ids[0]
        if self.active and self.kind == "pixel":
            batch = replace(batch, images=replace(batch.images, pixels=self.change(batch.images.pixels)))
        if self.active and self.kind == "box":  # finite ones are cut at the picture when they are read
            self.value = torch.nan
            batch = replace(batch, truth=replace(batch.truth, boxes=self.change(batch.truth.boxes)))
        return self.compute(batch)

    def change(self, tensor):
        if not self.active or self.done:
            return tensor
        self.done = True
        return put(tensor, self.value, self.draw)

    def change_output(self, part, inputs, output):
        if not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return output
        if self.kind == "activation":
            return self.change(output)
        if output.requires_grad and self.active:
            output.register_hook(self.change)
        return output

    def change_loss(self, part, inputs, losses):
        term = self.draw.choice(("rpn_class", "rpn_box", "box_class", "box_delta", "mask"))
        return replace(losses, **{term: self.change(getattr(losses, term))})


def train_with_one_place(folder, draw):
    """Train a few steps with a value put in one place; return whether the step was dropped or counted as an overflow."""
    kind, value, behind = draw.choice(KINDS), draw.choice(VALUES), draw.choice((0, 2))
    settings = [draw.choice(choice) for choice in CHOICES]
    config = make_config(
        "training.epochs=1", "training.milestones=[1]", "training.warmup.iterations=1",
        f"network.backbone.norm={draw.choice(NORMS)}",
    )  # fmt: skip
    size = 2 if "accumulate=2" in settings else 1
    batches = [make_batch(number, objects=2) for number in range(3 * size)]
    trainer, rows = make_trainer(folder, batches, *settings, config=config, behind=behind)
    injection = Injection(trainer, kind, value, draw)
    injection.number = 100 + draw.randrange(len(batches))
    step = (injection.number - 100) // size
    case = (kind, value, behind, settings, config.network.backbone.norm)
    before = {}
    advance = trainer.state.advance

    def follow(finite, overflow, iteration):
        before[iteration] = {name: tensor.clone() for name, tensor in trainer.state.tensors().items()}
        advance(finite, overflow, iteration)
        for name, tensor in trainer.state.tensors().items():
            assert tensor.isfinite().all(), (name, case)
        if iteration == step and not finite:
            for name, tensor in trainer.state.tensors().items():
                # Momentum that is not there yet is zero; a device's own optimiser has it from the beginning.
                assert torch.equal(tensor, before[iteration].get(name, torch.zeros_like(tensor))), (name, case)

    trainer.state.advance = follow
    trainer.train()
    dropped = [row["iteration"] - 1 for row in rows if row.get("dropped")]
    overflown = [row["iteration"] - 1 for row in rows if row.get("overflow")]
    # A value that is finite is learnt from, and may make the weights of later steps so large that these overflow.
    assert dropped in ([], [step]) or (math.isfinite(value) and all(one > step for one in dropped)), case
    files = [json.loads(safe_open(path, "pt").metadata()["image_ids"]) for path in folder.glob("nonfinite-*")]
    notes = [row["text"] for row in rows if row["kind"] == "note"]
    if step in dropped:
        assert [injection.number] in files, case
        assert any("not finite with images" in text and str(injection.number) in text for text in notes), case
    elif not dropped:
        assert files == []
    return bool(dropped), bool(overflown)


def count_drops(folder, count):
    draw, dropped, overflown = random.Random(SEED), 0, 0
    for number in range(count):
        one, other = train_with_one_place(folder / str(number), draw)
        dropped, overflown = dropped + one, overflown + other
    return dropped, overflown


def test_what_is_not_finite_never_reaches_weights_or_average_and_its_images_are_named(tmp_path):
    dropped, _ = count_drops(tmp_path, 3)
    assert dropped


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_hundreds_of_places(tmp_path):
    dropped, overflown = count_drops(tmp_path, COUNT)
    print(f"{dropped} of {COUNT} steps were dropped, {overflown} counted as float16's overflow")
    assert dropped > COUNT / 3 and overflown > 0


NUMBERS = ("NaN", "Infinity", "-Infinity", "1e39", "-1e39", "1e300", "1e999")
FIELDS = ("bbox", "segmentation")


@pytest.mark.parametrize("field", FIELDS)
def test_annotations_with_such_numbers_are_refused_by_id_or_left_out(tmp_path, field):
    file = write_data(tmp_path / "data", train=2, val=0) / "train.json"
    whole, draw = json.loads(file.read_text()), random.Random(SEED)
    for number in NUMBERS:
        content = json.loads(json.dumps(whole))
        row = draw.choice(content["annotations"])
        values = row["bbox"] if field == "bbox" else row["segmentation"][0]
        values[draw.randrange(len(values))] = 987654321
        file.write_text(json.dumps(content).replace("987654321", number))
        try:
            chosen, _ = select_for_training(read_annotations(file))
        except AnnotationsError as error:
            assert file.name in str(error) and f"annotation {row['id']}" in str(error)
            continue
        boxes = torch.from_numpy(chosen.boxes).float()
        assert boxes.isfinite().all() and boxes.abs().max() < 1e6, (field, number)
