"""A run's numbers reach the trackers, in files below its folder."""

import importlib.util
import os
import time

import pytest

from maskzoo.errors import ArgumentError
from maskzoo.training.trackers import check_trackers, open_trackers


def need(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_ERROR_REPORTING", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, os.environ.get(name, {"WANDB_ERROR_REPORTING": "false"}.get(name, "true")))


def track(name, folder):
    folder.mkdir()
    (tracker,) = open_trackers([name], folder, {"model": "tiny", "batch": 2})
    tracker.add({"step/loss": 3.5, "step/lr": 0.01}, 1)
    tracker.add({"step/loss": 2.5}, 2)
    tracker.close()


def test_mlflow_has_the_numbers_in_the_runs_folder(tmp_path):
    need("mlflow")
    track("mlflow", tmp_path / "run")
    (loss,) = (tmp_path / "run" / "mlflow").rglob("step/loss")
    assert [line.split()[1:] for line in loss.read_text().splitlines()] == [["3.5", "1"], ["2.5", "2"]]
    (batch,) = (tmp_path / "run" / "mlflow").rglob("params/batch")
    assert batch.read_text() == "2"


def test_wandb_has_the_numbers_in_the_runs_folder_and_is_offline(tmp_path):
    need("wandb")
    track("wandb", tmp_path / "run")
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    until = time.monotonic() + 10
    while b"tiny" not in file.read_bytes() and time.monotonic() < until:  # its own process writes
        time.sleep(0.1)
    content = file.read_bytes()
    assert b"tiny" in content and b"loss" in content


def test_a_tracker_that_is_unknown_is_an_error():
    with pytest.raises(ArgumentError, match="found 'clearml'; expected tensorboard, wandb, mlflow"):
        check_trackers(["clearml"])
