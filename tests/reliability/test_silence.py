"""Nothing leaves the machine: every verb, backend and extra, with each attempt to reach an address recorded, children's too.

In the default run the quick calls follow each other in one process; in the long form each call, and the slow ones, have a
process of their own, as their user runs them.
"""

import importlib.util
import json
import shlex
import socket
import sys
import tarfile
from typing import get_args, get_type_hints
from urllib.parse import urlsplit

import pytest
from PIL import Image

from hub_server import serve_hub
from library_files import to_library, write_library
from maskzoo.cli.export import export
from maskzoo.model_file import dump_config
from maskzoo.training.trackers import TRACKERS
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.backend_choice import BACKENDS
from maskzoo.zoo.browser_runtime import FILES, PACKAGE
from networks import FPN, THIN, make_photo, small_config, small_network
from recorder import record
from shared_data import ROOT
from small_runs import write_data, write_model
from stand_ins import write_foreign
from videos import write_clip

sys.path.append(str(ROOT / "tools"))
from reference import walk_commands

CLASSES = "classes={5: square, 6: disk}"  # those of write_data
TRAIN = "train tiny.yml data --from none --epochs 1"
BENCH = "bench thin.safetensors --size 64x96 --seconds 0.1 --rounds 1 --threads 1 --dtypes float32"
# In this order: what comes first of them imports nothing that is silenced.
QUICK = {
    "models": "models",
    "models show": f"models show {FPN}",
    "models copy": f"models copy {FPN} copied.yml",
    "models import": "models import their.yml imported.yml",
    "doctor": "doctor",
    "data check": "data check data --page check.html",
    "data stats": "data stats data",
    "data show": "data show data --out sheet.jpg --augmented aerial",
    "data split": "data split data/train.json split",
    "data convert": "data convert yolo converted",
    "data convert, back": "data convert data/train.json labels --to labelme --images data/train",
    "data pick": "data pick thin.safetensors photos -n 2 --page pick.html",
    "convert": "convert thin.pth converted.safetensors --model thin.yml",
    "convert of detectron2": "convert model_final.pth d2.safetensors --config config.yaml",
    "convert of mmdetection": "convert epoch_12.pth mm.safetensors",
    "convert to detectron2": "convert d2.safetensors back.pkl --to detectron2",
    "verify": f"verify d2.safetensors photos --against detectron2 --python {shlex.quote(sys.executable)}",
    "train": f"{TRAIN} --workers 1 --out run",
    "eval": "eval run data --page eval.html",
    "predict": "predict thin.safetensors photos --out found",
    "predict an archive, turned": "predict thin.safetensors photos.tar --out archive --augment flip",
    "predict by tiles": "predict thin.safetensors large.tif --tile 64 --out tiles",
    "predict a video": "predict thin.safetensors clip.mp4 --out drawn.mp4 --track",
    "predict into other forms": "predict thin.safetensors photos --out forms --save labelme,cutouts,geojson",
    "predict a COCO file": "predict thin.safetensors data/val.json --images data/val --score 0 --save json --out rows",
    "compare": "compare rows/predictions.json rows/predictions.json data/val.json",
    "export": "export thin.safetensors --out thin.onnx",
    "predict by OpenVINO": "predict thin.onnx photos --out found-openvino --backend openvino",
    "predict by onnxruntime": "predict thin.onnx photos --out found-onnxruntime --backend onnxruntime",
    "train with trackers": f"{TRAIN} --workers 0 --out tracked --track wandb --track mlflow",
}
SLOW = {
    "train with TensorBoard": f"{TRAIN} --workers 0 --out drawn --track tensorboard",
    "train by a recipe": "train data --from none --epochs 1 --hours 0.01 --workers 0 --out planned",
    "demo": "demo --count 8 --epochs 1 --out demo",
    "bench": f"{BENCH} --backends eager",
    "bench of runtimes": f"{BENCH} --backends openvino,onnxruntime",
    "predict compiled": "predict thin.safetensors photos --out found-compile --backend compile",
    "predict without an exported file": "predict thin.safetensors photos --out found-exported --backend openvino",
    "export to OpenVINO": "export thin.safetensors --to openvino --out thin.xml",
    "export in int8": "export thin.safetensors --to openvino --dtype int8 --calibrate photos --out thin8.xml",
    "export and verify": "export thin.safetensors --preprocess --verify photos --out whole.onnx",
    "export to torch": "export thin.safetensors --to torch --out thin.pt2",
    "export to web": "export thin.safetensors --to web --out site --runtime onnxruntime-web",
    "export to cvat": "export thin.safetensors --to cvat --out function",
    "export to triton": "export thin.safetensors --to triton --out repository",
}
CODES = {"verify": 1}  # this Python has no detectron2
TOGETHER = """
import json, sys
from maskzoo.cli import main
for words, code in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        if end.code != code:
            sys.exit(f"{words} ended with {end.code}")
"""
SERVE = """
import signal, subprocess, sys
from maskzoo import Client
command = [sys.executable, "-m", "maskzoo", "serve", "thin.safetensors", "--label-studio", "--workers", "1", "--port"]
with subprocess.Popen([*command, sys.argv[1]], stderr=subprocess.PIPE, text=True) as server:
    while "Listening" not in server.stderr.readline():
        assert server.poll() is None
    with Client(f"http://127.0.0.1:{sys.argv[1]}") as client:
        client.predict("photos/a.png")
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
sys.exit(server.returncode)
"""
CVAT = """
from types import SimpleNamespace
from PIL import Image
from maskzoo.zoo.cvat import create
create("thin.safetensors").detect(SimpleNamespace(conf_threshold=0.0, conv_mask_to_poly=True), Image.open("photos/a.png"))
"""
DOWNLOAD = """
import sys
from maskzoo.errors import DownloadError
from maskzoo.zoo.download import fetch
try:
    fetch(sys.argv[1], retries=0)
except DownloadError:
    pass
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A folder with all that the verbs take."""
    folder = tmp_path_factory.mktemp("scene")
    config = small_config(FPN, *THIN, CLASSES)
    network = small_network(config)
    write_checkpoint(folder / "thin.safetensors", network.state_dict(), config, {"source": "random"})
    write_library(folder / "thin.pth", "torchvision", to_library("torchvision", config.network, network.state_dict()))
    (folder / "thin.yml").write_text(dump_config(config))
    write_model(folder)
    write_foreign(folder)
    write_data(folder / "data")
    write_clip(folder / "clip.mp4", 4)
    for path in (folder / "photos", folder / "yolo/images", folder / "yolo/labels", folder / "onnxruntime-web"):
        path.mkdir(parents=True)
    for path in ("photos/a.png", "yolo/images/a.png", "large.tif"):
        Image.fromarray(make_photo(60, 80)).save(folder / path)
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(folder / "photos", "photos")
    for name in FILES.values():
        (folder / "onnxruntime-web" / name).write_bytes(b"")
    (folder / "yolo/labels/a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "yolo/data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    return folder


def assert_silent(done, code=0):
    assert done.code == code, done.said
    assert (done.attempts, done.left) == ([], [])


def assert_only_asked(done, address):
    """Only `address` was tried, and it was."""
    assert done.code == 0, done.said
    assert done.attempts and all(address in attempt for attempt in done.attempts), done.attempts


def find_free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_no_verb_format_backend_or_tracker_is_forgotten():
    calls = [*QUICK.values(), *SLOW.values()]
    apart = {"serve", "push", "pull"}  # they have tests of their own
    commands = {words.removeprefix("maskzoo "): command for words, command in walk_commands()}
    verbs = {words for words, command in commands.items() if not hasattr(command, "commands")} - apart
    assert apart < commands.keys() and len(verbs) > 15
    assert {verb for verb in verbs if not any(f"{call} ".startswith(f"{verb} ") for call in calls)} == set()
    formats = get_args(get_args(get_type_hints(export, include_extras=True)["to"])[0])
    assert {"onnx", "torch"} < set(formats)
    named = " ".join(calls)
    assert {name for name in formats if name != "onnx" and f"export thin.safetensors --to {name} " not in named} == set()
    assert {name for name in BACKENDS if name != "eager" and f"--backend {name}" not in named} == set()
    assert {name for name in TRACKERS if f"--track {name}" not in named} == set()


def test_quick_verbs_reach_for_no_address_and_leave_nothing_in_the_home(scene):
    calls = [(call.split(), CODES.get(name, 0)) for name, call in QUICK.items()]
    assert_silent(record(scene, "-c", TOGETHER, json.dumps(calls)))


@pytest.mark.reliability
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", [*QUICK, *SLOW])
def test_a_verb_reaches_for_no_address_and_leaves_nothing_in_the_home(verb, scene):
    if verb == "train with TensorBoard" and importlib.util.find_spec("tensorboard") is None:
        pytest.skip("needs the extra track")
    assert_silent(record(scene, "-m", "maskzoo", *(QUICK | SLOW)[verb].split()), CODES.get(verb, 0))


@pytest.mark.reliability
def test_a_function_of_cvat_reaches_for_no_address(scene):
    assert_silent(record(scene, "-c", CVAT))


def test_a_server_only_answers(scene):
    port = find_free_port()
    assert_only_asked(record(scene, "-c", SERVE, port, asked=f"127.0.0.1:{port}"), str(port))


@pytest.mark.reliability
def test_push_and_pull_reach_the_hub_and_no_other(scene):
    with serve_hub() as hub:
        port = hub.server_port
        environment = {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_mine", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        for call in ("push thin.safetensors me/net", "pull me/net", "predict hf://me/net photos --out of-the-hub"):
            done = record(scene, "-m", "maskzoo", *call.split(), asked=f"127.0.0.1:{port}", **environment)
            if call.startswith("predict"):
                assert_silent(done)  # it is here already
            else:
                assert_only_asked(done, str(port))


def test_offline_not_even_what_is_asked_for_is_fetched_and_else_only_that(scene):
    offline = record(scene, "-m", "maskzoo", "predict", FPN, "photos", "--out", "none", MASKZOO_OFFLINE="1")
    assert offline.code == 1 and "MASKZOO_OFFLINE" in offline.said and offline.attempts == []
    assert_only_asked(record(scene, "-c", DOWNLOAD, PACKAGE), urlsplit(PACKAGE).hostname)
