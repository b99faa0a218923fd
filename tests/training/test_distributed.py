"""Several processes by torchrun: the same numbers as one, and never a hang."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from maskzoo.training.snapshot import read_newest_snapshot
from small_runs import read_rows, start_training, train, wait_for_steps, write_data, write_model

# Every image gives as many samples as every other, so that a mean of means is the mean; and as many proposals whatever
# the last bit of a weight is, so that the same ones are drawn.
EVEN = (
    "training.boxes: {samples: 8, foreground_fraction: 0.25, foreground_iou: 1.0}",
    "training.proposals: {before_nms: 100, after_nms: 50, total: 50, iou: 1.0, min_side: 0.0}",
    "training.short_sides: [64]",
    "training.warmup.iterations: 0",
)


@pytest.mark.parametrize("norm", ["gn", "sync_bn"])
def test_two_processes_have_the_losses_of_one_with_both_images(tmp_path, norm):
    model = write_model(tmp_path, *EVEN, "network.backbone.norm: " + norm)
    data = write_data(tmp_path / "data", train=6, val=0)
    common = [model, data, "--from", "none", "--set", "run.workers=0"]
    train(*common, "--batch", 2, "--out", tmp_path / "one")
    train(*common, "--batch", 1, "--out", tmp_path / "two", processes=2)
    one, two = (read_rows(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) == 6
    for ours, theirs in zip(two, one, strict=True):
        assert ours["lr"] == theirs["lr"]
        # Sums of another order differ in the last bit; after some steps that is another rank of a proposal, another sample.
        near, floor = (2e-3, 1e-5) if ours["iteration"] <= 3 else (0.1, 1e-3)
        for term in ("rpn_class", "rpn_box", "box_class", "box_delta", "mask"):
            assert ours[term] == pytest.approx(theirs[term], rel=near, abs=floor), (term, ours["iteration"])
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-5)


def test_a_process_whose_image_has_no_object_hangs_nobody(tmp_path):
    model, data = write_model(tmp_path), write_data(tmp_path / "data", train=6, val=0)
    content = json.loads((data / "train.json").read_text())
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] % 2]
    (data / "train.json").write_text(json.dumps(content))
    run = tmp_path / "run"
    train(model, data, "--from", "none", "--set", "run.workers=0", "--set", "run.empty_images=true", "--out", run, processes=2)
    assert len(read_rows(run)) == 6


def find_workers(parent):
    """The processes of Python that torchrun has started. Linux."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return sorted(found)


def test_a_killed_process_ends_all_within_a_minute(tmp_path):
    model, data = write_model(tmp_path, "training.epochs: 100"), write_data(tmp_path / "data", train=6, val=0)
    run = tmp_path / "run"
    process = start_training(model, data, "--from", "none", "--set", "run.workers=0", "--out", run, processes=2)
    wait_for_steps(process, run, 2)
    began = time.monotonic()
    os.kill(find_workers(process.pid)[-1], signal.SIGKILL)
    said, _ = process.communicate(timeout=90)
    assert time.monotonic() - began < 60
    assert process.returncode != 0
    assert "SIGKILL" in said or "Signal 9" in said


def test_sigterm_to_all_saves_within_ten_seconds_and_the_run_goes_on(tmp_path):
    model, data = write_model(tmp_path), write_data(tmp_path / "data", train=8, val=0)
    run = tmp_path / "run"
    process = start_training(model, data, "--from", "none", "--set", "run.workers=2", "--out", run, processes=2)
    wait_for_steps(process, run, 2)
    began = time.monotonic()
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert f"--resume {run}" in said and "Warning" not in said
    before = read_newest_snapshot(run / "snapshots").state["progress"]["iteration"]
    assert 2 <= before < 8
    train("--resume", run, processes=2)
    assert [row["iteration"] for row in read_rows(run)] == [*range(1, 9)]


def test_the_error_of_one_process_is_shown_and_ends_all(tmp_path):
    model, data = write_model(tmp_path), write_data(tmp_path / "data", train=6, val=0)
    (data / "train" / "4.png").write_bytes(b"no picture")
    options = ["--from", "none", "--set", "run.workers=0", "--set", "run.damaged_images=stop"]
    said = train(model, data, *options, "--out", tmp_path / "run", processes=2, code=1)
    assert "4.png" in said
