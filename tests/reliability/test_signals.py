"""SIGTERM and Ctrl-C at random moments of long verbs: they end within ten seconds, leave nothing half made, and can go on."""

import os
import random
import signal
import sys
import time

import pytest
from PIL import Image
from safetensors.torch import load_file

from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, THIN, make_photo, small_config, small_network
from ready_processes import end_all, send, start_verb, wait
from small_runs import write_data, write_model

COUNT = int(os.environ.get("MASKZOO_SIGNALS", "100"))
SEED = 26
EXPORT = 10  # seconds that it takes at least: it is stopped before
VERBS = {
    "train": ["train", "tiny.yml", "data", "--from", "none", "--set", "run.workers=2", "--out", "OUT"],
    "eval": ["eval", "small.safetensors", "data", "--out", "OUT"],
    "predict": ["predict", "small.safetensors", "photos", "--score", "0", "--out", "OUT"],
    "export": ["export", "small.safetensors", "--out", "OUT.onnx", "--force"],
}
RESULTS = {"train": "last.safetensors", "eval": "predictions.json", "predict": "predictions.json"}  # of the others: nothing
linux = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked, and stopped by signals")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    write_model(folder)
    write_data(folder / "data", train=8, val=24)
    config = small_config(FPN, *THIN, "limits.detections.score=0.0", "classes={5: square, 6: disk}")
    write_checkpoint(folder / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    (folder / "photos").mkdir()
    for number in range(40):
        Image.fromarray(make_photo(60, 90, number)).save(folder / "photos" / f"p{number}.png")
    return folder


def run(scene, folder, verb, out, resume=False):
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    words = ["train", "--resume", out] if resume else [word.replace("OUT", str(out)) for word in VERBS[verb]]
    words = [str(scene / word) if (scene / str(word)).exists() else word for word in words]
    return start_verb(folder / "log", *words, TMPDIR=str(temporary), NO_COLOR="1")


def read_result(out, verb):
    if verb == "train":  # of a file's names the order is any
        return {name: tensor.numpy().tobytes() for name, tensor in load_file(out / RESULTS[verb]).items()}
    return (out / RESULTS[verb]).read_bytes()


def send_often(scene, folder, count, verbs):
    draw, wholes, stopped = random.Random(SEED), {}, 0
    for number in range(count):
        verb = verbs[number % len(verbs)]
        if verb in RESULTS and verb not in wholes:
            began = time.monotonic()
            process = run(scene, folder, verb, folder / verb)
            assert wait([process], 300) and process.exitcode == 0, (folder / "log").read_text()
            wholes[verb] = read_result(folder / verb, verb), time.monotonic() - began
        expected, seconds = wholes.get(verb, (None, EXPORT))
        here = folder / str(number)
        here.mkdir()
        process, sent = run(scene, here, verb, here / "out"), draw.choice((signal.SIGTERM, signal.SIGINT))
        try:
            wait([process], draw.uniform(0.15, max(0.3, 0.9 * seconds)))
            began = time.monotonic()
            send([process], sent)
            assert wait([process], 10), (verb, sent, (here / "log").read_text())
        finally:
            end_all([process])
        said = (here / "log").read_text()
        assert process.exitcode in (0, 128 + sent), (verb, sent, process.exitcode, said)
        assert "Traceback" not in said, (verb, sent, said)
        stopped += process.exitcode != 0
        left = [path.name for path in here.rglob("*") if path.suffix in (".part", ".lock")]
        assert [name for name in left if name != ".maskzoo.lock"] == [], (verb, sent, left)
        left = [path.name for path in (here / "temporary").iterdir() if not path.name.startswith("torchinductor_")]
        assert left == [], (verb, sent, left)  # that one is torch's own, for the next process
        if verb not in RESULTS:
            assert process.exitcode == 0 or {path.name for path in here.iterdir()} == {"log", "temporary"}
            continue
        process = run(scene, here, verb, here / "out", verb == "train" and (here / "out" / "run.json").exists())
        assert wait([process], 300) and process.exitcode == 0, (here / "log").read_text()
        assert read_result(here / "out", verb) == expected, (verb, sent)
    return stopped


@pytest.mark.reliability
@pytest.mark.timeout(3600)
@linux
def test_a_hundred_signals(scene, tmp_path):
    stopped = send_often(scene, tmp_path, COUNT, list(VERBS))
    print(f"{stopped} of {COUNT} calls were stopped on their way, the others had ended")
    assert stopped > COUNT // 4
