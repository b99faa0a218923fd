"""Long training and long prediction take no more memory at the end than soon after the beginning."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = int(os.environ.get("MASKZOO_SOAK_STEPS", "3000"))
PREDICTIONS = int(os.environ.get("MASKZOO_SOAK_PREDICTIONS", "500"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def read_memory():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak_training(folder, steps):
    """The megabytes of this process at every tenth of a run whose batches differ in size and objects."""
    from small_trainers import make_batch, make_config, make_trainer

    batches = [make_batch(number, objects=number % 3) for number in range(25)]
    epochs = max(steps // len(batches), 10)
    config = make_config(f"training.epochs={epochs}", f"training.milestones=[{epochs}]", "training.learning_rate=0.001")
    trainer, rows = make_trainer(folder, batches, "ema=0.9", config=config)
    found = []

    def follow(row):
        rows.clear()  # the trainer here keeps them all
        if row["kind"] == "step" and row["iteration"] % (epochs * len(batches) // 10) == 0:
            found.append(read_memory())

    trainer.report = follow
    trainer.train()
    return found


def soak_predictions(folder, count, backend):
    """The megabytes of this process at every tenth of many predictions of photos of changing sizes."""
    import random

    import maskzoo
    from maskzoo.weights.checkpoint import write_checkpoint
    from networks import FPN, THIN, make_photo, small_config, small_network

    config, path, draw = small_config(FPN, *THIN), folder / "small.safetensors", random.Random(26)
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "random"})
    if backend != "eager":
        to, suffix = {"openvino": ("openvino", ".xml"), "onnxruntime": ("onnx", ".onnx")}[backend]
        path = maskzoo.export(path, folder / f"small{suffix}", to=to).file
    predictor, found = maskzoo.load(path, device="cpu"), []
    for number in range(1, count + 1):
        predictor.predict(make_photo(draw.randint(30, 120), draw.randint(30, 120), number % 50), score=0)
        if number % (count // 10) == 0:
            found.append(read_memory())
    return found


def measure(folder, what, *arguments):
    """Run one of the above in a process of its own."""
    code = "import sys, runpy, json; from pathlib import Path; sys.path[:0] = sys.argv[1:2]; " + (
        "print(json.dumps(runpy.run_path(sys.argv[2])[sys.argv[3]](Path(sys.argv[4]), *json.loads(sys.argv[5]))))"
    )
    words = [sys.executable, "-c", code, Path(__file__).parent.parent, __file__, what, folder, json.dumps(arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.reliability
@pytest.mark.timeout(3600)
@linux
def test_the_memory_of_a_long_training_does_not_grow(tmp_path):
    found = measure(tmp_path, "soak_training", STEPS)
    print(f"{STEPS} steps, megabytes at every tenth: {[round(one) for one in found]}")
    assert found[-1] < 1.01 * found[1]


@pytest.mark.reliability
@pytest.mark.timeout(3600)
@linux
@pytest.mark.parametrize("backend", ["eager", "openvino", "onnxruntime"])
def test_the_memory_of_many_predictions_does_not_grow(tmp_path, backend):
    found = measure(tmp_path, "soak_predictions", PREDICTIONS, backend)
    print(f"{backend}, {PREDICTIONS} predictions, megabytes at every tenth: {[round(one) for one in found]}")
    assert found[-1] < found[1] + 20
