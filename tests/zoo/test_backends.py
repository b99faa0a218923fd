"""Another runtime behind `load`: the same predictions, exported once."""

import json
import subprocess
import sys

import numpy as np
import openvino
import pytest
import torch
from PIL import Image

import maskzoo
from maskzoo.cli import main
from maskzoo.errors import ConfigError, ExportError
from maskzoo.exporting.program import OUTPUTS
from maskzoo.exporting.runtimes import RUNTIMES
from maskzoo.weights.checkpoint import write_checkpoint
from networks import C4, FPN, THIN, make_photo, small_config, small_network, sure_network


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A model file with weights, and a home folder for what is exported."""
    folder = tmp_path_factory.mktemp("backends")
    config = small_config(FPN, *THIN)
    for name, network in (("thin", small_network(config)), ("sure", sure_network(config))):
        write_checkpoint(folder / f"{name}.safetensors", network.state_dict(), config, {"source": "random"})
    return folder


@pytest.fixture(autouse=True)
def home(scene, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(scene / "home"))
    return scene / "home"


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def assert_equal(first, second):
    photos = [make_photo(90, 120), make_photo(60, 100, seed=1)]
    for expected, found in zip(first.predict(photos, score=0), second.predict(photos, score=0), strict=True):
        assert len(expected) > 0 and expected.names == found.names
        assert np.abs(expected.boxes - found.boxes).max() <= 5e-3
        assert np.abs(expected.scores - found.scores).max() <= 1e-4


def test_runtimes_predict_what_eager_predicts_and_the_network_is_exported_once(scene, home):
    eager = maskzoo.load(scene / "thin.safetensors")
    assert eager.backend.name == "eager" and "eager" in repr(eager)
    for name in RUNTIMES:
        other = maskzoo.load(scene / "thin.safetensors", backend=name)
        assert other.backend.name == name and name in repr(other)
        assert_equal(eager, other)
    (file,) = home.glob("exports/*.onnx")
    assert_equal(eager, maskzoo.load(file))
    with pytest.raises(ConfigError, match="PyTorch does not run ONNX files"):
        maskzoo.load(file, backend="eager")
    with pytest.raises(ConfigError, match="holds its weights and settings"):
        maskzoo.load(file, overrides=["limits.detections.score=0.3"])


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(make_photo(60, 90)).save(tmp_path / "photos" / "a.png")
    return tmp_path / "photos"


def test_the_command_exports_verifies_and_leaves_an_example(scene, photos, capsys, tmp_path):
    out = tmp_path / "sure.onnx"
    code = call("export", scene / "sure.safetensors", "--out", out, "--verify", photos, "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["file"] == str(out) and printed["verified"]["photos"] == 1
    assert printed["verified"]["faults"] == [] and printed["verified"]["passed"] and code == 0
    assert printed["verified"]["matched"] == printed["verified"]["objects"] > 0
    done = subprocess.run(
        [sys.executable, printed["example"], str(photos / "a.png"), str(tmp_path / "found.png")],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "maskzoo" not in (tmp_path / "sure_example.py").read_text()
    expected = maskzoo.load(scene / "sure.safetensors").predict(photos / "a.png", score=0)
    expected = expected[expected.scores >= 0.5]
    assert done.stdout.count("pixels") == len(expected) > 0
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (90, 60)


def test_a_file_that_finds_other_boxes_than_the_network_fails_the_command(scene, photos, capsys, tmp_path, monkeypatch):
    """Here its runtime computes wrongly: the command holds it against the network, whoever is at fault."""
    run = openvino.CompiledModel.__call__

    def spoil(compiled, inputs, **options):
        found = run(compiled, inputs, **options)
        return {name: found[name] + np.float32(0.01) if name == "boxes" else found[name] for name in OUTPUTS}

    monkeypatch.setattr(openvino.CompiledModel, "__call__", spoil)
    options = ("--out", tmp_path / "sure.onnx", "--verify", photos)
    assert call("export", scene / "sure.safetensors", *options, "--json") == 1
    verified = json.loads(capsys.readouterr().out)["verified"]
    assert not verified["passed"] and verified["matched"] > 0
    assert verified["faults"] and all("box off by" in fault for fault in verified["faults"])
    assert verified["largest_box_error"] == pytest.approx(0.01, abs=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_makes_a_package_and_a_program_that_uses_it(scene, photos, capsys, tmp_path):
    out = tmp_path / "sure.pt2"
    code = call("export", scene / "sure.safetensors", "--to", "torch", "--out", out, "--verify", photos, "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["file"] == str(out) and printed["example"] == str(tmp_path / "sure_example.cpp")
    assert printed["verified"]["faults"] == [] and printed["verified"]["matched"] > 0 and code == 0
    assert_equal(maskzoo.load(scene / "sure.safetensors"), maskzoo.load(out))


@pytest.mark.parametrize(
    ("name", "to", "there"),
    [
        ("a.onnx", "onnx", "a.onnx"),
        ("a.onnx", "onnx", "a_example.json"),
        ("a.xml", "openvino", "a.bin"),
        ("a.pt2", "torch", "a_example.cpp"),
    ],
)
def test_nothing_that_is_there_is_overwritten(scene, tmp_path, name, to, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(ExportError, match=f"{there}: exists already"):
        maskzoo.export(scene / "thin.safetensors", tmp_path / name, to=to)
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "mine"


def test_types_and_backends_that_are_not_there_are_refused(scene):
    model = scene / "thin.safetensors"
    for name in ("tensorrt", "torch package"):
        with pytest.raises(ConfigError, match="expected one of auto, eager, compile, openvino, onnxruntime"):
            maskzoo.load(model, backend=name)
    with pytest.raises(ConfigError, match="onnxruntime cannot run bfloat16"):
        maskzoo.load(model, backend="onnxruntime", dtype="bfloat16")
    with pytest.raises(ConfigError, match="int8 needs photos to calibrate on"):
        maskzoo.load(model, dtype="int8")
    with pytest.raises(ConfigError, match="no such file"):
        maskzoo.load(scene / "none.onnx")
    for backend in ("auto", "eager", "compile"):
        with pytest.raises(ConfigError, match="float16, which is for GPUs"):
            maskzoo.load(model, backend=backend, dtype="float16", device="cpu")


def test_compiling_without_a_compiler_is_refused_with_the_way_out(scene, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"no-such-compiler is not found: install it .* or choose backend eager"):
        maskzoo.load(scene / "thin.safetensors", backend="compile")


def test_auto_says_what_it_took_and_why(scene):
    model = scene / "thin.safetensors"
    assert "eager, float32, the fastest measured" in repr(maskzoo.load(model, device="cpu"))
    assert repr(maskzoo.load(model, device="cpu", backend="eager")).endswith("eager, float32)")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, of its older compiler
@pytest.mark.parametrize(("row", "thin"), [(FPN, THIN), (C4, THIN[:3])])
def test_one_compiled_program_predicts_photos_of_all_sizes_as_eager_does(row, thin, tmp_path):
    config = small_config(row, *thin)
    write_checkpoint(tmp_path / "thin.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    eager, compiled = (maskzoo.load(tmp_path / "thin.safetensors", backend=name) for name in ("eager", "compile"))
    assert_equal(eager, compiled)
    stats = torch._dynamo.utils.counters["stats"]
    programs = stats["unique_graphs"]
    sizes = [(70 + 7 * number, 180 - 5 * number) for number in range(20)]
    for size in sizes:
        expected, found = (predictor.predict(make_photo(*size), score=0) for predictor in (eager, compiled))
        assert expected.names == found.names and np.abs(expected.boxes - found.boxes).max(initial=0) <= 5e-3
    assert stats["unique_graphs"] <= programs + 2  # a level of one row of cells is another
    wide, tall = make_photo(100, 150), make_photo(150, 100)
    for photos in ([wide] * 2, [tall] * 2, [wide] * 3, [tall] * 5, [wide, tall] * 4):
        expected, found = (predictor.predict(photos, batch_size=len(photos), score=0) for predictor in (eager, compiled))
        for one, other in zip(expected, found, strict=True):
            assert one.names == other.names and np.abs(one.boxes - other.boxes).max(initial=0) <= 5e-3
        programs = stats["unique_graphs"] if len(photos) == 2 else programs
    assert stats["unique_graphs"] <= programs + 1  # that of a batch serves every other number; more than 15 RoIs are another


def test_calls_of_export_that_cannot_be_are_refused(scene):
    model = scene / "thin.safetensors"
    assert call("export", model, "--dtype", "int8") == 2
    assert call("export", model, "--fixed", "large") == 2
    assert call("export", model, "--to", "openvino", "--out", "a.onnx") == 2
    assert call("export", model, "--to", "torch", "--out", "a.onnx") == 2
    assert call("export", model, "--to", "torch", "--preprocess") == 2
