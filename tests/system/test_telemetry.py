"""Nothing leaves the machine: every verb as its user runs it, with each attempt to reach an address recorded."""

from urllib.parse import urlsplit

import pytest
from PIL import Image

from library_files import to_library, write_library
from maskzoo.model_file import dump_config
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.rows import read_row
from networks import FPN, THIN, make_photo, small_config, small_network
from recorder import can_trace, record
from small_runs import write_data, write_model

CLASSES = "classes={5: square, 6: disk}"  # those of write_data
CONNECT = "import socket; socket.socket().connect(('127.0.0.1', 9))"
DELIBERATE = {
    "a connection": CONNECT,
    "a name": "import socket; socket.getaddrinfo('maskzoo.invalid', 80)",
    "a datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
    "a server": "import socket; socket.socket().bind(('', 0))",
    "urllib": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "requests": "import requests; requests.get('http://127.0.0.1:9')",
    "curl": "import subprocess; subprocess.run(['curl', 'http://127.0.0.1:9'])",
    "a shell": "import os; os.system('/usr/bin/curl http://127.0.0.1:9')",
    "a child": f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT!r}])",
    "a worker": f"import multiprocessing as m; p = m.get_context('spawn').Process(target=exec, args=[{CONNECT!r}]); "
    "p.start(); p.join()",
}
VERBS = {
    "models": "models",
    "models show": f"models show {FPN}",
    "models copy": f"models copy {FPN} copied.yml",
    "convert": "convert thin.pth converted.safetensors --model thin.yml",
    "data check": "data check data --page check.html",
    "data stats": "data stats data",
    "data show": "data show data --out sheet.jpg",
    "data split": "data split data/train.json split",
    "data convert": "data convert yolo converted",
    "train": "train tiny.yml data --from none --epochs 1 --workers 1 --out run",
    "eval": "eval thin.safetensors data --page eval.html",
    "predict": "predict thin.safetensors photos --out found",
    "predict into other forms": "predict thin.safetensors photos --out forms --save labelme,cutouts,geojson",
    "data pick": "data pick thin.safetensors photos -n 2 --page pick.html",
    "predict by OpenVINO": "predict thin.onnx photos --out found-openvino --backend openvino",
    "predict by onnxruntime": "predict thin.onnx photos --out found-onnxruntime --backend onnxruntime",
    "doctor": "doctor",
}
SLOW_VERBS = {
    "bench": "bench thin.safetensors --size 64x96 --seconds 0.1 --rounds 1 --threads 1 --dtypes float32 --backends eager",
    "predict without an exported file": "predict thin.safetensors photos --out found-exported --backend openvino",
    "export to OpenVINO": "export thin.safetensors --to openvino --out thin.xml",
    "export in int8": "export thin.safetensors --to openvino --dtype int8 --calibrate photos --out thin8.xml",
    "export to torch": "export thin.safetensors --to torch --out thin.pt2",
    "bench of runtimes": "bench thin.safetensors --size 64x96 --seconds 0.1 --rounds 1 --threads 1 --dtypes float32 "
    "--backends openvino,onnxruntime",
}
QUANTIZE = """
import sys
from pathlib import Path
from maskzoo.exporting.calibration import read_calibration
from maskzoo.exporting.onnx import read_facts
from maskzoo.exporting.openvino import convert_onnx
source = Path("thin.onnx")
convert_onnx(source, Path("quantized.xml"), read_calibration("photos", read_facts(source).config.input))
assert "nncf" in sys.modules and "pytest" not in sys.modules
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
    write_data(folder / "data")
    for path in (folder / "photos", folder / "yolo/images", folder / "yolo/labels"):
        path.mkdir(parents=True)
    for path in (folder / "photos/a.png", folder / "yolo/images/a.png"):
        Image.fromarray(make_photo(60, 80)).save(path)
    (folder / "yolo/labels/a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "yolo/data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    return folder


@pytest.fixture(scope="module")
def exported(scene):
    """How `maskzoo export` went that wrote thin.onnx into the scene."""
    return record(scene, "-m", "maskzoo", "export", "thin.safetensors", "--out", "thin.onnx")


def assert_silent(done):
    assert done.code == 0, done.said
    assert (done.attempts, done.left) == ([], [])


@pytest.mark.parametrize("program", DELIBERATE.values(), ids=DELIBERATE)
def test_the_recorder_sees_a_deliberate_attempt(program, tmp_path):
    assert record(tmp_path, "-c", program).attempts


def test_the_recorder_sees_what_a_library_does_without_python(tmp_path):
    if not can_trace():
        pytest.skip("strace is absent or may not trace")
    program = r"import ctypes; c = ctypes.CDLL(None); c.connect(c.socket(2, 1, 0), b'\2\0\0\x09\x7f\0\0\1' + bytes(8), 16)"
    assert any("sin_port=htons(9)" in attempt for attempt in record(tmp_path, "-c", program).attempts)


def test_exporting_reaches_for_no_address_and_leaves_nothing_in_the_home(exported):
    assert_silent(exported)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_reaches_for_no_address_and_leaves_nothing_in_the_home(verb, scene, exported):
    assert_silent(record(scene, "-m", "maskzoo", *VERBS[verb].split()))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", SLOW_VERBS)
def test_a_slow_verb_reaches_for_no_address_and_leaves_nothing_in_the_home(verb, scene):
    assert_silent(record(scene, "-m", "maskzoo", *SLOW_VERBS[verb].split()))


@pytest.mark.slow  # the test below imports NNCF too
def test_quantising_by_nncf_reaches_for_no_address(scene, exported):
    assert_silent(record(scene, "-c", QUANTIZE))


def test_openvino_reports_by_itself_and_no_more_once_maskzoo_is_at_work(tmp_path):
    """A program that imported both before: what was sent then is gone."""
    before = "import openvino, nncf; t = nncf.telemetry.telemetry; t.send_event('a', 'before', 'c')\n"
    after = "from maskzoo.system.telemetry import import_silenced; import_silenced('nncf'); t.send_event('a', 'after', 'c')"
    first, second = record(tmp_path, "-c", before), record(tmp_path, "-c", before + after)
    count = [sum("google-analytics" in one for one in run.attempts) for run in (first, second)]
    assert (first.code, second.code) == (0, 0) and first.left
    assert count[0] == count[1] > 0


def test_offline_not_even_published_weights_are_asked_for_and_else_only_they(scene):
    command = ("-m", "maskzoo", "predict", FPN, "photos", "--out", "none")
    offline = record(scene, *command, MASKZOO_OFFLINE="1")
    assert offline.code == 1 and "MASKZOO_OFFLINE" in offline.said and offline.attempts == []
    host = urlsplit(read_row(FPN).source.weights).hostname
    program = (
        "from maskzoo.errors import DownloadError\nfrom maskzoo.zoo.download import fetch\n"
        f"try: fetch({read_row(FPN).source.weights!r}, retries=0)\nexcept DownloadError: pass"
    )
    online = record(scene, "-c", program)
    assert online.code == 0 and online.attempts and all(host in attempt for attempt in online.attempts)
