import contextlib
import json
import math
import sys

import pytest
import torch
from safetensors import safe_open

from maskzoo.config import RunSettings
from maskzoo.errors import TrainingError
from maskzoo.training.objective import Objective
from maskzoo.training.snapshot import read_newest_snapshot
from maskzoo.training.state import Position
from maskzoo.training.targets import shuffle_by
from small_trainers import copy_state, is_equal, make_batch, make_config, make_trainer


def test_a_step_without_a_finite_loss_changes_nothing_and_leaves_its_inputs(tmp_path):
    config = make_config("training.epochs=1", "training.milestones=[1]", "training.warmup.iterations=0")
    trainer, rows = make_trainer(tmp_path, [make_batch(1, broken=True)], config=config)
    before = copy_state(trainer)
    trainer.train()
    assert is_equal(trainer.model.state_dict(), before)
    assert trainer.state.position.dropped == 1 and not trainer.state.optimizer.state
    (file,) = tmp_path.glob("nonfinite-*.safetensors")
    with safe_open(file, "pt") as content:
        assert json.loads(content.metadata()["image_ids"]) == [101]
        assert content.get_tensor("pixels").isnan().sum() == 1
    (row,) = [row for row in rows if row["kind"] == "step"]
    assert row["dropped"] and "loss" not in row


def test_a_running_variance_that_overflows_drops_the_step_although_its_losses_are_finite(tmp_path):
    config = make_config("training.epochs=1", "training.milestones=[1]", "training.warmup.iterations=0")
    bright = make_batch(1)
    bright.images.pixels.mul_(1e25)
    trainer, rows = make_trainer(tmp_path, [bright], "ema=0.9", config=config)
    before = copy_state(trainer)
    trainer.train()
    assert is_equal(trainer.model.state_dict(), before) and trainer.state.position.dropped == 1
    assert all(tensor.isfinite().all() for tensor in trainer.state.tensors().values())
    (note,) = [row["text"] for row in rows if row["kind"] == "note"]
    assert note.startswith(
        "step 1: a loss or running statistic is not finite with images 101; dropped, its inputs are in nonfinite-"
    )
    (file,) = tmp_path.glob("nonfinite-*.safetensors")
    with safe_open(file, "pt") as content:
        found = {name: float(value) for name, value in json.loads(content.metadata()["losses"]).items()}
    assert found.pop("largest_statistic") == torch.inf and all(map(math.isfinite, found.values()))


def test_training_goes_on_after_a_dropped_step_as_if_it_had_not_been(tmp_path):
    config = make_config("training.epochs=1", "training.milestones=[1]", "training.warmup.iterations=0")
    clean, _ = make_trainer(tmp_path / "clean", [make_batch(1), make_batch(2)], config=config)
    broken, _ = make_trainer(tmp_path / "broken", [make_batch(1), make_batch(3, broken=True), make_batch(2)], config=config)
    clean.train()
    broken.train()
    assert broken.state.position.dropped == 1
    assert is_equal(broken.model.state_dict(), clean.model.state_dict())


def test_three_in_a_row_stop_the_run_with_the_name_of_the_file(tmp_path):
    trainer, rows = make_trainer(tmp_path, [make_batch(0), *(make_batch(number, broken=True) for number in (1, 2, 3, 4))])
    with pytest.raises(TrainingError, match=r"nonfinite-00000003-process0\.safetensors.*\[103\]"):
        trainer.train()
    assert len([row for row in rows if row["kind"] == "step"]) == 4
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_a_sound_step_between_starts_the_count_again(tmp_path):
    batches = [make_batch(number, broken=number % 3 != 0) for number in range(6)]
    trainer, _ = make_trainer(tmp_path, batches)
    trainer.train()
    assert trainer.state.position.dropped == 8 and trainer.state.position.iteration == 12


def test_accumulated_batches_count_as_the_mean_of_their_losses(tmp_path):
    batches = [make_batch(1), make_batch(2)]
    trainer, _ = make_trainer(tmp_path, batches, "accumulate=2")
    trainer._run(batches)
    found = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad()
    objective = Objective(trainer.model, trainer.config.training, 2)
    for batch in batches:
        losses = objective(batch.images, batch.truth, [shuffle_by(torch.Generator().manual_seed(batch.seeds[0]))])
        (losses.total / 2).backward()
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-7)


def test_the_rate_follows_the_images_of_a_step(tmp_path):
    config = make_config("training.warmup.iterations=0")  # its rate of 0.01 belongs to 4 images
    trainer, rows = make_trainer(tmp_path, [make_batch(1), make_batch(2)], "accumulate=2", config=config)
    trainer.train()
    assert [row["lr"] for row in rows if row["kind"] == "step"] == pytest.approx([0.005, 0.005])


def test_clipping_bounds_the_norm_of_all_gradients(tmp_path):
    trainer, _ = make_trainer(tmp_path, [make_batch(1)], "clip_norm=0.001")
    trainer._run([make_batch(1)])
    norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.model.parameters() if p.grad is not None])
    assert norm == pytest.approx(0.001, rel=1e-3)


def test_the_average_follows_the_weights_slower_and_is_what_is_measured_and_kept(tmp_path):
    kept = []
    trainer, _ = make_trainer(
        tmp_path,
        [make_batch(number) for number in range(4)],
        "ema=0.9",
        evaluate=lambda model: {"mask_ap": 0.5},
        keep=lambda model, metrics: kept.append((model.state_dict(), metrics)),
    )
    expected = None
    steps = []

    def follow(row):
        nonlocal expected
        if row["kind"] == "step":
            steps.append(row["iteration"])
            weight = trainer.model.rpn.conv.conv.weight.detach()
            share = 1 - min(0.9, (1 + len(steps) - 1) / (10 + len(steps) - 1))
            expected = expected + share * (weight - expected)

    trainer.report = follow
    expected = trainer.model.rpn.conv.conv.weight.detach().clone()
    trainer.train()
    assert torch.allclose(trainer.state.average["rpn.conv.conv.weight"], expected, atol=1e-6)
    assert len(kept) == 2  # the best, once, and the last
    assert torch.equal(kept[-1][0]["rpn.conv.conv.weight"], trainer.state.average["rpn.conv.conv.weight"])
    assert kept[-1][1] is None


def test_training_stops_when_patience_ends_and_keeps_the_best(tmp_path):
    values, kept = iter([0.1, 0.3, 0.2, 0.25, 0.9]), []
    trainer, rows = make_trainer(
        tmp_path,
        [make_batch(1)],
        "patience=2",
        config=make_config("training.epochs=9"),
        evaluate=lambda model: {"mask_ap": next(values)},
        keep=lambda model, metrics: kept.append(metrics),
    )
    trainer.train()
    assert kept == [{"mask_ap": 0.1}, {"mask_ap": 0.3}, None]
    assert (trainer.state.position.epoch, trainer.state.position.best_epoch) == (4, 2)
    assert any("no better mask AP" in row.get("text", "") for row in rows)


def test_a_run_whose_hours_are_over_stops_at_a_step_and_goes_on_exactly(tmp_path):
    batches = [make_batch(1), make_batch(2), make_batch(3)]
    whole, _ = make_trainer(tmp_path / "whole", batches)
    assert whole.train() == "all 2 epochs are done"
    first, rows = make_trainer(tmp_path / "parts", batches)
    first.hours = 1.0

    def pass_time(row):
        rows.append(row)
        if row["kind"] == "step" and row["iteration"] == 2:
            first._began -= 3600

    first.report = pass_time
    assert first.train() == "its 1 hours are over, in epoch 1 of 2"
    assert first.state.position.iteration == 2 and any("hours are over" in row.get("text", "") for row in rows)
    second, _ = make_trainer(tmp_path / "parts", batches)
    second.resume(read_newest_snapshot(tmp_path / "parts" / "snapshots"))
    assert second.train() == "all 2 epochs are done"
    assert is_equal(copy_state(second), copy_state(whole))


def test_a_run_that_ends_while_its_best_weights_are_written_measures_and_writes_them_again(tmp_path):
    def train(resume):
        kept = []

        def keep(model, metrics):
            trainer.save()  # as a signal would
            kept.append(metrics)
            if not resume:
                raise KeyboardInterrupt

        trainer, _ = make_trainer(tmp_path, [make_batch(1)], evaluate=lambda model: {"mask_ap": 0.5}, keep=keep)
        if resume:
            trainer.resume(read_newest_snapshot(trainer.folder.snapshots))
        with pytest.raises(KeyboardInterrupt) if not resume else contextlib.nullcontext():
            trainer.train()
        return kept

    assert train(resume=False) == [{"mask_ap": 0.5}]
    assert train(resume=True) == [{"mask_ap": 0.5}, None]


def test_what_was_saved_is_known_by_its_position_and_not_by_a_hash_of_it(tmp_path):
    trainer, rows = make_trainer(tmp_path, [make_batch(1)])
    first, second = Position(iteration=1), Position(iteration=sys.hash_info.modulus + 1)
    assert hash(first) == hash(second)
    for position in (first, first, second):
        trainer.state.position = position
        trainer.save()
    assert [row["iteration"] for row in rows] == [first.iteration, second.iteration]


def test_evaluations_come_every_so_many_epochs_and_at_the_end(tmp_path):
    trainer, rows = make_trainer(
        tmp_path,
        [make_batch(1)],
        "evaluate_every=3",
        config=make_config("training.epochs=5"),
        evaluate=lambda model: {"mask_ap": None},
    )
    trainer.train()
    assert [row["epoch"] for row in rows if row["kind"] == "evaluation"] == [3, 5]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_trains_and_keeps_float32_weights(tmp_path, precision):
    trainer, rows = make_trainer(tmp_path, [make_batch(1), make_batch(2)], f"precision={precision}")
    full, reference = make_trainer(tmp_path / "full", [make_batch(1), make_batch(2)])
    trainer.train()
    full.train()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    losses, expected = ([row["loss"] for row in each if row["kind"] == "step"] for each in (rows, reference))
    assert losses[0] == pytest.approx(expected[0], rel=0.05) and losses != expected


def test_images_without_objects_train_and_every_head_gets_a_gradient(tmp_path):
    trainer, _ = make_trainer(tmp_path, [make_batch(1, objects=0)])
    trainer._run([make_batch(1, objects=0)])
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trainer.model.parameters() if p.requires_grad)


def test_the_defaults_are_the_published_recipe():
    settings = RunSettings()
    assert (settings.batch, settings.accumulate, settings.precision) == (1, 1, "float32")
    assert (settings.clip_norm, settings.ema, settings.jitter, settings.copy_paste) == (None, None, None, 0)


def test_a_network_of_another_librarys_rules_learns(tmp_path):
    rules = ("network.box_head=4conv1fc", "network.norm=bn", "network.rpn_convs=2", "network.anchors.whole=true")
    rules += ("network.roi_align={aligned: false, samples: 2}", "network.shrinking_capped=true")
    trainer, rows = make_trainer(tmp_path, [make_batch(number) for number in range(3)], config=make_config(*rules))
    before = copy_state(trainer)
    trainer.train()
    assert all(not row["dropped"] for row in rows if row["kind"] == "step" and "dropped" in row)
    after = trainer.model.state_dict()
    parts = ("heads.box_convs.0.conv.weight", "rpn.conv.1.conv.weight", "heads.fc6.weight", "heads.mask.logits.weight")
    assert all(after[name].isfinite().all() and not torch.equal(after[name], before[name]) for name in parts)
