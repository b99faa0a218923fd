import json
from pathlib import Path

import pytest

from maskzoo.config import RunSettings
from maskzoo.errors import TrainingError
from maskzoo.training.plan import Plan
from maskzoo.training.run_folder import RunFolder, choose_folder
from maskzoo.training.snapshot import write_snapshot
from maskzoo.zoo.rows import read_row

NOTE = {"kind": "note", "iteration": 0, "text": "learning rate 0.01"}
STEPS = [{"kind": "step", "iteration": number, "loss": 1.0} for number in (1, 2, 3, 4)]
EVALUATIONS = [{"kind": "evaluation", "iteration": 2 * epoch, "epoch": epoch} for epoch in (1, 2)]


@pytest.fixture
def plan():
    data = {"train": "/data/train.json", "train_images": "/data/train", "train_sha256": "0"}
    return Plan(read_row("mask_rcnn_r50_fpn_1x_coco"), RunSettings(seed=7), data, {"from": "none"}, 2)


@pytest.fixture
def folder(tmp_path, plan):
    folder = RunFolder(tmp_path / "runs" / "new")
    folder.begin(plan)
    return folder


def test_the_plan_is_read_as_it_was_written(folder, plan):
    assert folder.read_plan() == plan


def test_a_run_that_took_no_step_may_be_begun_anew(folder, plan):
    folder.append(NOTE)  # and then its weights were not found
    folder.begin(Plan(plan.config, plan.settings, plan.data, {"from": None}, 1))
    assert folder.read_plan().processes == 1
    assert list(folder.rows()) == []


@pytest.mark.parametrize("what", ["step", "snapshot"])
def test_a_run_that_took_a_step_is_not_written_over(folder, plan, what):
    if what == "step":
        folder.append(STEPS[0])
    else:
        write_snapshot(folder.snapshots, 1, {}, {})
    with pytest.raises(TrainingError, match="holds a run already"):
        folder.begin(plan)


def test_rewinding_keeps_what_a_resumed_run_does_not_write_again(folder):
    for row in (NOTE, *STEPS[:2], EVALUATIONS[0], *STEPS[2:], EVALUATIONS[1]):
        folder.append(row)
    folder.rewind(4, evaluated=1)  # its end came after the second evaluation, before the snapshot of it
    assert list(folder.rows()) == [NOTE, *STEPS[:2], EVALUATIONS[0], *STEPS[2:]]
    folder.rewind(2, evaluated=0)
    assert list(folder.rows()) == [NOTE, *STEPS[:2]]
    folder.rewind(-1)
    assert list(folder.rows()) == []


def test_a_line_that_is_no_row_is_named(folder):
    folder.append(NOTE)
    for line in ('{"kind": "step", {"kind"', "7", "{}"):
        folder.metrics.write_text(json.dumps(NOTE) + "\n" + line + "\n")
        with pytest.raises(TrainingError, match=r"metrics.jsonl, line 2: found .*remove the line"):
            list(folder.rows())


def test_a_line_that_was_cut_short_is_left_out(folder):
    folder.append(NOTE)
    with folder.metrics.open("a") as file:
        file.write(json.dumps(STEPS[0])[:20])
    assert list(folder.rows()) == [NOTE]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_ends_the_run_with_what_to_do(folder):
    folder.metrics.unlink()
    folder.metrics.symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: cannot be written \(No space left on device\); make room"):
        folder.append({"kind": "step"})


@pytest.mark.parametrize("place", ["file", "file/run", "circle", "nowhere", "n" * 256], ids=lambda place: place[:10])
def test_a_place_where_no_run_can_be_is_refused(tmp_path, plan, place):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("missing")
    with pytest.raises(TrainingError, match="cannot be written"):
        RunFolder(tmp_path / place).begin(plan)


@pytest.mark.timeout(60)
def test_a_run_without_a_name_gets_one_that_nothing_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "net").mkdir(parents=True)
    (tmp_path / "runs" / "net-2").symlink_to("missing")
    assert choose_folder("net") == Path("runs/net-3")
    assert choose_folder("n" * 300) == Path("runs") / ("n" * 255)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("target", [None, "runs", "missing"], ids=["a file", "a circle", "nowhere"])
def test_runs_that_is_no_folder_is_named(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch() if target is None else (tmp_path / "runs").symlink_to(target)
    with pytest.raises(TrainingError, match="runs: cannot be written"):
        choose_folder("net")


def test_an_owner_removes_what_a_killed_one_left(folder):
    kept = {path.name for path in folder.path.iterdir()}
    for name in (".best.safetensors.0123abcd.part", ".metrics.jsonl.0123abcd.part"):
        (folder.path / name).write_bytes(b"half")
    with folder.own() as notes:
        assert notes == [] and {path.name for path in folder.path.iterdir()} == {*kept, ".maskzoo.lock"}
        with pytest.raises(TrainingError, match="in use by process"), folder.own():
            pass
    assert {path.name for path in folder.path.iterdir()} == kept
