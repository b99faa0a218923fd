"""`maskzoo train` as it is typed; what a run computes and how it goes on is tested in tests/training."""

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from maskzoo.model_file import read_config
from maskzoo.zoo.first_weights import make_first_weights
from small_runs import read_rows, train, write_data, write_model

# Tells at the end whether torch was deterministic.
WATCHED = """
import atexit, sys, torch
from maskzoo.cli import main
atexit.register(lambda: print("deterministic:", torch.are_deterministic_algorithms_enabled(), file=sys.stderr))
main()
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder), write_data(folder / "data", train=4, val=2)


def test_a_call_that_failed_can_be_repeated_with_its_fault_corrected(inputs, tmp_path):
    model, data = inputs
    common = [model, data, "--epochs", 1, "--set", "run.workers=0", "--out", tmp_path / "run"]
    assert "gone.safetensors" in train(*common, "--from", tmp_path / "gone.safetensors", code=1)
    assert "do not fill one step" in train(*common, "--from", "none", "--batch", 5, code=1)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    deeper = [*common[:-1], tmp_path / "run" / "of" / "today"]
    assert "do not fill one step" in train(*deeper, "--from", "none", "--batch", 5, code=1)
    assert "do not fill one step" in train(*common, "--from", "none", "--batch", 5, code=1)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    frozen = ["--set", "network.backbone.norm=frozen"]
    assert "random weights with frozen norms" in train(*common, "--from", "none", *frozen, code=1)
    said = train(*common, "--from", "none")
    assert "learning rate 0.0025 (0.01 for 4 images, by the linear rule)" in said
    assert str(tmp_path / "run" / "report.html") in said and "box AP" in said
    assert re.search(r"best: box AP \d+\.\d, mask AP \d+\.\d after 1 of 1 epochs: .*best\.safetensors", said)
    assert re.search(r"\d/4 Training, epoch 1/1, loss .* images/s, .* \d:\d\d:\d\d left", said)
    assert "holds a run already" in train(*common, "--from", "none", code=1)


def test_frozen_stages_stay_as_they_began_and_deterministic_algorithms_are_switched_on(inputs, tmp_path):
    model, data = inputs
    run = tmp_path / "run"
    options = ["--epochs", "1", "--workers", "0", "--set", "run.deterministic=true", "--freeze-depth", "2", "--json"]
    command = [sys.executable, "-c", WATCHED, "train", model, data, "--from", "none", "--out", run, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "deterministic: True" in done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["run"], outcome["epochs"], outcome["iterations"]) == (str(run), 1, len(read_rows(run)))
    assert outcome["best"]["mask"].keys() >= {"AP", "AP50"}
    config = read_config(run / "model.yml")
    assert config.network.backbone.frozen == ("stem", "res2")
    before, after = make_first_weights(config, "none", seed=0).model.state_dict(), load_file(run / "last.safetensors")
    same = {name: torch.equal(before[name], after[name]) for name in before if name.startswith("backbone.")}
    still = {name for name in same if name.startswith(("backbone.stem.", "backbone.res2."))}
    assert still and all(same[name] for name in still)
    assert not any(same[name] for name in same if name.endswith(".conv.weight") and name not in still)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_a_terminal_of_eighty_columns_holds_the_whole_line_of_a_run(inputs, tmp_path):
    import pty

    model, data = inputs
    command = ["train", model, data, "--from", "none", "--epochs", "2", "--workers", "0", "--out", tmp_path / "run"]
    terminal, end = pty.openpty()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-m", "maskzoo", *command], env=environment, stdout=end, stderr=end) as process:
        os.close(end)
        seen = b""
        with contextlib.suppress(OSError):  # as Linux says that all have closed it
            while read := os.read(terminal, 1 << 16):
                seen += read
        os.close(terminal)
    assert process.returncode == 0, seen
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()))
    bars = [line for line in lines if "images/s" in line and "loss" in line]
    whole = r"epoch [12]/2, loss \d+\.\d{3}, \d+\.\d\d images/s [\u2501\u2578\u257a]{4,} \d/8 +\d:\d\d:\d\d *"
    assert bars and all(re.fullmatch(whole, line) and len(line) <= 80 for line in bars), bars


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs the extra track")
def test_tensorboard_gets_a_file_of_events(inputs, tmp_path):
    model, data = inputs
    train(model, data, "--from", "none", "--epochs", 1, "--workers", 0, "--track", "tensorboard", "--out", tmp_path / "run")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"step/rpn_class" in events.read_bytes() and b"evaluation/mask_ap" in events.read_bytes()


def test_classes_of_a_map_are_trained_measured_and_kept_with_the_run(inputs, tmp_path):
    model, data = inputs
    (tmp_path / "map.yml").write_text("round: disk\ndrop: square\n")
    common = ["--from", "none", "--epochs", 1, "--workers", 0, "--set", "run.empty_images=true", "--out", tmp_path / "run"]
    said = train(model, data, "--classes", tmp_path / "map.yml", *common)
    assert "1 class: round from disk; left out: square" in said
    assert read_config(tmp_path / "run" / "model.yml").classes == {6: "round"}
    numbers = json.loads((tmp_path / "run" / "best-metrics.json").read_text())
    assert [row["name"] for row in numbers["classes"]] == ["round"]
    assert "round" in (tmp_path / "run" / "report.html").read_text()
    assert "cannot change with --resume" in train("--resume", tmp_path / "run", "--classes", tmp_path / "map.yml", code=2)
