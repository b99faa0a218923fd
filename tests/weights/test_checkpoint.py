import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import maskzoo.zoo
from maskzoo.errors import WeightsError
from maskzoo.model_file import dump_config, read_config
from maskzoo.weights.checkpoint import read_checkpoint, read_checkpoint_config, write_checkpoint

MODELS = Path(maskzoo.zoo.__file__).parent / "models"
CONFIG = read_config(MODELS / "mask_rcnn_r50_fpn_1x_coco.yml")
PROVENANCE = {"source": "a.pdparams", "sha256": "0" * 64, "licence": "Apache-2.0", "note": "gelöst"}
READERS = pytest.mark.parametrize("read", [read_checkpoint, read_checkpoint_config])


def make_tensors():
    weight = torch.arange(24.0).reshape(2, 3, 2, 2)
    return {
        "plain": weight.clone(),
        "channels_last": weight.to(memory_format=torch.channels_last),
        "view": weight[:, 1],
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "half": torch.ones(3, dtype=torch.bfloat16),
    }


def write(path):
    write_checkpoint(path, make_tensors(), CONFIG, PROVENANCE)
    return path.read_bytes()


@pytest.mark.parametrize("model", sorted(MODELS.glob("*.yml")), ids=lambda path: path.stem)
def test_every_model_file_survives(model, tmp_path):
    config = read_config(model)
    write_checkpoint(tmp_path / "a.safetensors", {"w": torch.ones(1)}, config, {})
    assert read_checkpoint_config(tmp_path / "a.safetensors") == config


def test_what_is_written_is_read_back(tmp_path):
    write(tmp_path / "a.safetensors")
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.config == CONFIG
    assert checkpoint.provenance == PROVENANCE
    assert checkpoint.tensors.keys() == make_tensors().keys()
    for name, tensor in make_tensors().items():
        assert checkpoint.tensors[name].dtype == tensor.dtype
        assert torch.equal(checkpoint.tensors[name], tensor)
        assert checkpoint.tensors[name].is_contiguous()


def test_tensors_do_not_depend_on_the_file_any_more(tmp_path):
    size = len(write(tmp_path / "a.safetensors"))
    tensors = read_checkpoint(tmp_path / "a.safetensors").tensors
    (tmp_path / "a.safetensors").write_bytes(bytes(size))
    assert all(torch.equal(tensors[name], tensor) for name, tensor in make_tensors().items())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/maps lists what is mapped")
def test_no_mapping_of_the_file_stays_open(tmp_path):
    write(tmp_path / "a.safetensors")
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.tensors and "a.safetensors" not in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_the_file_has_the_rights_of_any_new_file(tmp_path):
    write(tmp_path / "a.safetensors")
    (tmp_path / "other").write_bytes(b"")
    rights, usual = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.safetensors", "other"))
    assert rights == usual


def test_an_old_checkpoint_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"old")
    write(tmp_path / "a.safetensors")
    assert read_checkpoint_config(tmp_path / "a.safetensors") == CONFIG
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_write_that_fails_in_the_middle_leaves_the_old_file_and_no_part(tmp_path):
    before = write(tmp_path / "a.safetensors")
    program = (
        "import resource, signal, sys, torch\n"
        "from maskzoo.weights.checkpoint import read_checkpoint, write_checkpoint\n"
        "old = read_checkpoint(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "write_checkpoint(sys.argv[1], {'w': torch.ones(100_000)}, old.config, {})\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.safetensors"], capture_output=True, text=True)
    assert "WeightsError" in done.stderr and "cannot be written" in done.stderr
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none.a\.safetensors: cannot be written"):
        write(tmp_path / "none" / "a.safetensors")


@READERS
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:200],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"<!doctype html><p>Not found",
        lambda data: b"\x80\x04}\x94.",
        lambda data: (1 << 62).to_bytes(8, "little") + data[8:],
        lambda data: len(data).to_bytes(8, "little") + data[8:],
        lambda data: data[:8] + b"[" + data[9:],
    ],
    ids=["empty", "no header", "half a header", "cut short", "too long", "html", "pickle", "huge header",
         "header larger than the file", "header is no object"],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_its_name(read, damage, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage(write(path)))
    with pytest.raises(WeightsError, match=r"a\.safetensors: cannot be read as safetensors"):
        read(path)


def metadata(**changes):
    known = {"format": "maskzoo", "format_version": "1", "config": dump_config(CONFIG), "provenance": "{}"}
    return {key: value for key, value in {**known, **changes}.items() if value is not None}


@READERS
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": None}, "maskzoo convert"),
        ({"format": "pt"}, "found 'pt'"),
        ({"format_version": "2"}, "format version '2', expected 1: install a newer maskzoo"),
        ({"format_version": None}, "format version ''"),
        ({"config": None}, "the model file inside"),
        ({"config": "name: x\n"}, "the model file inside"),
        ({"config": "&a [*a]"}, "the model file inside"),
        ({"config": "#" * (2 << 20)}, "expected at most"),
    ],
)
def test_metadata_that_is_not_ours_is_refused_with_what_to_do(read, changes, says, tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors", metadata(**changes))
    with pytest.raises(WeightsError) as caught:
        read(tmp_path / "a.safetensors")
    assert str(caught.value).startswith(str(tmp_path / "a.safetensors"))
    assert says in str(caught.value)


@pytest.mark.parametrize("provenance", [None, "", "[]", "{", json.dumps({"a": 1}), "[" * 100_000], ids=range(6))
def test_a_provenance_that_is_no_table_of_texts_is_refused(provenance, tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors", metadata(provenance=provenance))
    with pytest.raises(WeightsError, match="provenance"):
        read_checkpoint(tmp_path / "a.safetensors")


@READERS
def test_a_file_without_any_metadata_is_refused(read, tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="not one of maskzoo's"):
        read(tmp_path / "a.safetensors")


@READERS
def test_a_path_without_a_file_is_named(read, tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors: no such file"):
        read(tmp_path / "none.safetensors")
