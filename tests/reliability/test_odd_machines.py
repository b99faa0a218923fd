"""Training and prediction on busy, small and odd machines: the same results, or one sentence."""

import multiprocessing
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from maskzoo.config import RunSettings
from maskzoo.training.loader import TrainingLoader
from networks import make_photo
from ready_processes import MACHINES, start_verb, wait
from small_runs import write_data, write_model
from training_data import make_config, write_set

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the machines are made as root")
ODD = {
    "no HOME": {"HOME": None},
    "a HOME that cannot be written": {"HOME": "/proc", "MASKZOO_HOME": None, "XDG_CACHE_HOME": None},
}


@contextmanager
def busy_loops(count):
    with ExitStack() as stack:
        for _ in range(count):
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        yield


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    Image.fromarray(make_photo(60, 90)).save(folder / "photo.png")
    epochs = ("training.epochs: 1", "training.milestones: [1]")
    return folder, write_model(folder, *epochs), write_data(folder / "data", train=6, val=2)


def run(scene, name, out, workers=2, **options):
    """Train, then predict with what was trained; return how both ended and what they said."""
    folder, model, data = scene
    log = folder / f"log of {out.name}"
    words = ["train", model, data, "--from", "none", "--out", out, "--set", f"run.workers={workers}", "--epochs", 1]
    codes = []
    for verb in (words, ["predict", out / "last.safetensors", folder / "photo.png", "--score", 0, "--out", out / "found"]):
        process = start_verb(log, *verb, machine=name, **options)
        assert wait([process], 200), log.read_text()
        codes.append(process.exitcode)
        if process.exitcode:
            break
    return codes, log.read_text()


def read(out):
    return load_file(out / "last.safetensors"), (out / "found" / "predictions.json").read_text()


def assert_works(scene, name, out, expected, **options):
    codes, said = run(scene, name, out, **options)
    assert codes == [0, 0], said
    weights, found = read(out)
    assert found == expected[1] and all(torch.equal(weights[key], tensor) for key, tensor in expected[0].items())


@pytest.fixture(scope="module")
def usual(scene, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    codes, said = run(scene, "", scene[0] / "usual", MASKZOO_HOME=str(home))
    assert codes == [0, 0], said
    return read(scene[0] / "usual")


@pytest.mark.reliability
@linux
@root
@pytest.mark.parametrize("name", [*MACHINES, *ODD, "two busy loops"])
def test_odd_machines_give_the_usual_results(scene, usual, name):
    with busy_loops(2 if name == "two busy loops" else 0):
        assert_works(scene, name, scene[0] / name.replace("/", " "), usual, **ODD.get(name, {}))


@pytest.mark.reliability
@linux
def test_names_beyond_ascii_where_the_locale_is_c(scene, tmp_path):
    _, model, data = scene
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "CUDA_VISIBLE_DEVICES": ""}
    words = ["train", model, data, "--from", "none", "--epochs", "1", "--set", "run.workers=0", "--out", tmp_path / "réseau-网"]
    done = subprocess.run([sys.executable, "-m", "maskzoo", *words], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "réseau-网" / "last.safetensors").is_file()


@pytest.mark.reliability
def test_processes_that_are_spawned_make_the_same_batches(tmp_path, monkeypatch):
    annotations = write_set(tmp_path)

    def make(workers):
        return list(TrainingLoader(annotations, tmp_path, make_config(), RunSettings(workers=workers)).epoch(0))

    expected = make(0)
    context = multiprocessing.get_context
    monkeypatch.setattr("maskzoo.training.loader.multiprocessing.get_context", lambda kind: context("spawn"))
    for ours, other in zip(make(2), expected, strict=True):
        assert torch.equal(ours.images.pixels, other.images.pixels) and ours.seeds == other.seeds
        assert np.array_equal(ours.truth.boxes, other.truth.boxes)
