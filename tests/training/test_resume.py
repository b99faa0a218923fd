"""A run that was killed goes on as if it had not been: every loss and every weight, bit for bit."""

import re
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from maskzoo.model_file import read_config
from small_runs import (
    assert_equal_runs,
    describe_run,
    kill_all,
    read_rows,
    start_training,
    train,
    wait_for_steps,
    write_data,
    write_model,
)

# What each case sets, its processes, and after which step it is killed.
CASES = {
    "average, accumulation, bfloat16, augmentation, 2 workers": (
        ["run.workers=2", "run.ema=0.99", "run.accumulate=2", "run.precision=bfloat16", "training.augmentation=photo"], 1, 2,
    ),
    "two processes": (["run.workers=0"], 2, 2),
}  # fmt: skip
SLOW_CASES = {
    "plain, no workers": (["run.workers=0"], 1, 3),
    "group norm, clipping, 4 workers": (["run.workers=4", "run.clip_norm=1", "network.backbone.norm=gn"], 1, 5),
    "float16, aspect groups, jitter": (
        ["run.workers=2", "run.precision=float16", "run.group_by_aspect=true", "run.jitter=[0.5, 2.0]"], 1, 3,
    ),
    "two processes, average, accumulation, workers": (
        ["run.workers=2", "run.ema=0.9", "run.accumulate=2", "run.copy_paste=0.5"], 2, 1,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder), write_data(folder / "data")


def kill_after(step, run, *arguments, processes):
    """Start a run, and kill all of it without warning once its metrics hold `step` steps."""
    process = start_training(*arguments, processes=processes)
    limit = time.monotonic() + 120
    while len(read_rows(run)) < step and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    kill_all(process)


def check(inputs, tmp_path, settings, processes, step):
    model, data = inputs
    options = [part for text in [*settings, "run.snapshot_every=1"] for part in ("--set", text)]
    common = [model, data, "--from", "none", *options]
    train(*common, "--out", tmp_path / "whole", processes=processes)
    kill_after(step, tmp_path / "killed", *common, "--out", tmp_path / "killed", processes=processes)
    before = len(read_rows(tmp_path / "killed"))
    train("--resume", tmp_path / "killed", processes=processes)
    assert len(read_rows(tmp_path / "whole")) > before >= step  # it was stopped on its way
    assert_equal_runs(*(describe_run(tmp_path / name) for name in ("killed", "whole")))


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_resumes_bit_for_bit(inputs, tmp_path, case):
    check(inputs, tmp_path, *CASES[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW_CASES)
def test_a_killed_run_resumes_bit_for_bit_in_every_mode(inputs, tmp_path, case):
    check(inputs, tmp_path, *SLOW_CASES[case])


def test_a_run_that_was_killed_before_its_first_snapshot_begins_again(inputs, tmp_path):
    model, data = inputs
    common = [model, data, "--from", "none", "--set", "run.workers=0", "--epochs", 1]
    train(*common, "--out", tmp_path / "whole")
    process = start_training(*common, "--out", tmp_path / "killed")
    while not (tmp_path / "killed" / "run.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    kill_all(process)
    assert not (tmp_path / "killed" / "snapshots").exists()
    assert "it begins anew" in train("--resume", tmp_path / "killed")
    ours, theirs = (load_file(tmp_path / name / "last.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert "all 1 epochs are done" in train("--resume", tmp_path / "killed")


def test_sigterm_saves_within_ten_seconds_and_the_run_goes_on_exactly(inputs, tmp_path):
    model, data = inputs
    common = [model, data, "--from", "none", "--set", "run.workers=0"]  # snapshots at the ends of epochs only
    train(*common, "--out", tmp_path / "whole")
    process = start_training(*common, "--out", tmp_path / "ended")
    wait_for_steps(process, tmp_path / "ended", 3)
    began = time.monotonic()
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + signal.SIGTERM
    assert f"--resume {tmp_path / 'ended'}" in said
    last = len(read_rows(tmp_path / "ended"))
    said = train("--resume", tmp_path / "ended")
    step, epoch = map(int, re.search(r"Going on after step (\d+) of 16, in epoch (\d)/2; learning rate 0\.0025", said).groups())
    assert last - 1 <= step <= last and epoch == 1 + step // 8  # a step may end while the snapshot is written
    ours, theirs = (load_file(tmp_path / name / "last.safetensors") for name in ("ended", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_run_goes_on_for_more_epochs_and_says_by_what_schedule(inputs, tmp_path):
    model, data = inputs
    run = tmp_path / "run"
    train(model, data, "--from", "none", "--set", "run.workers=0", "--epochs", 1, "--out", run)
    said = train("--resume", run, "--epochs", 4)
    assert "Going on after step 8 of 32, in epoch 2/4; learning rate 0.0025, 0.00025 after epoch 4" in said
    assert [row["epoch"] for row in read_rows(run, "evaluation")] == [1, 2, 3, 4]
    assert [row["iteration"] for row in read_rows(run)] == list(range(1, 33))
    config = read_config(run / "model.yml").training
    assert (config.epochs, config.milestones) == (4, (4,))
    assert "--resume can raise that number, not lower it" in train("--resume", run, "--epochs", 3, code=2)
    assert "all 4 epochs are done" in train("--resume", run, "--epochs", 4)


def test_another_number_of_processes_changed_data_and_changed_settings_are_refused(inputs, tmp_path):
    model, _ = inputs
    data = write_data(tmp_path / "data", train=4, val=0)
    run = tmp_path / "run"
    train(model, data, "--from", "none", "--set", "run.workers=0", "--epochs", 1, "--out", run)
    assert "as many" in train("--resume", run, processes=2, code=1)
    assert "run.ema=0.9" in train("--resume", run, "--set", "run.ema=0.9", code=2)
    assert "holds a run already" in train(model, data, "--from", "none", "--out", run, code=1)
    (data / "train.json").write_text((data / "train.json").read_text() + " ")
    assert "SHA-256" in train("--resume", run, code=1)
