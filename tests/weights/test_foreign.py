"""Weights files of other libraries are read from every container, and nothing in them is executed."""

import argparse
import builtins
import collections
import io
import os
import pickle
import struct
import subprocess
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from maskzoo.errors import WeightsError
from maskzoo.weights.foreign import read_tensors
from shared_data import need_shared

ZIP = pytest.mark.parametrize("zipped", [True, False], ids=["archive", "old form"])
MUTATIONS = 1000


def save(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def make_module():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        collections.OrderedDict(
            conv1=torch.nn.Conv2d(3, 4, 3, bias=False), bn1=torch.nn.BatchNorm2d(4), fc=torch.nn.Linear(6, 5)
        )
    )


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        expected = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
        assert found[name].dtype == expected.numpy().dtype, name
        np.testing.assert_array_equal(found[name], expected.numpy(), strict=True)


@ZIP
def test_a_state_dict_is_read(zipped, tmp_path):
    state = make_module().state_dict()
    read = read_tensors(save(tmp_path / "a.pth", state, zipped))
    assert_same(read.tensors, state)
    assert (read.part, read.others, read.notes) == ("", (), ())
    assert read.container == ("PyTorch's archive" if zipped else "PyTorch's form before 1.6")


@ZIP
def test_views_types_and_shared_storages_are_read_as_torch_reads_them(zipped, tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "base": base,
        "row": base[2],
        "turned": base.t(),
        "every_other": base[1:, ::2],
        "half": torch.randn(3).half(),
        "bfloat16": torch.randn(2, 3).bfloat16().t(),
        "double": torch.randn(3).double(),
        "long": torch.tensor([1, -(2**40)]),
        "flags": torch.tensor([True, False]).to(torch.uint8),
        "scalar": torch.tensor(4.5),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
    assert_same(read_tensors(save(tmp_path / "a.pth", state, zipped)).tensors, state)


@ZIP
def test_the_weights_of_a_training_are_chosen_and_the_rest_is_told(zipped, tmp_path):
    module = make_module()
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.randn(2, 3, 3, 8)).sum().backward()
    optimizer.step()
    averaged = {f"module.{name}": tensor + 1 for name, tensor in module.state_dict().items()}
    content = {
        "epoch": 3,
        "optimizer": optimizer.state_dict(),
        "model": module.state_dict(),
        "model_ema": averaged,
        "args": argparse.Namespace(data_path="/data", lr=0.02),
        "counter": collections.Counter({2: 3}),
        "history": collections.deque([1, 2]),
    }
    path = save(tmp_path / "model_25.pth", content, zipped)
    read = read_tensors(path)
    assert_same(read.tensors, module.state_dict())
    assert (read.part, read.others) == ("model", ("model_ema",))
    assert read.said["args"] == {"data_path": "/data", "lr": 0.02} and read.said["epoch"] == 3
    assert_same(read_tensors(path, "model_ema").tensors, {name[7:]: tensor for name, tensor in averaged.items()})
    with pytest.raises(WeightsError, match="no weights under 'teacher'; found them under 'model', 'model_ema'"):
        read_tensors(path, "teacher")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"checkpoint": {"model": {"state_dict": state}}},
        lambda state: {"my_network": state, "optimizer": {"state": {}, "param_groups": []}},
    ],
)
def test_wrappers_and_prefixes_are_taken_off(wrap, tmp_path):
    state = make_module().state_dict()
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    assert_same(read_tensors(save(tmp_path / "a.pth", wrap(wrapped))).tensors, state)


@ZIP
def test_a_whole_module_gives_its_weights_without_its_code(zipped, tmp_path):
    module = make_module()
    read = read_tensors(save(tmp_path / "a.pth", module, zipped))
    assert_same(read.tensors, module.state_dict())
    assert "a whole module, torch.nn.modules.container.Sequential" in read.notes[0]


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickles_of_arrays_are_read(protocol, tmp_path):
    arrays = {"stem.weight": np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), "count": np.array([3])}
    content = {"model": arrays, "__author__": "Detectron2 Model Zoo", "matching_heuristics": True}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    read = read_tensors(tmp_path / "a.pkl")
    assert_same(read.tensors, {name: torch.from_numpy(array) for name, array in arrays.items()})
    assert read.said == {"__author__": "Detectron2 Model Zoo", "matching_heuristics": True}


def test_big_endian_archives_are_read(tmp_path):
    state = {"a": torch.randn(3, 2), "n": torch.tensor([5, 6])}
    little = save(tmp_path / "a.pth", state)
    with zipfile.ZipFile(little) as source, zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_STORED) as out:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif "/data/" in name:
                content = np.frombuffer(content, "<f4" if len(content) == 24 else "<i8").byteswap().tobytes()
            out.writestr(name, content)
    assert_same(read_tensors(tmp_path / "b.pth").tensors, state)


def test_safetensors_of_others_are_read(tmp_path):
    state = {name: tensor.contiguous() for name, tensor in make_module().state_dict().items()}
    state["bn1.weight"] = state["bn1.weight"].bfloat16()
    save_file(state, tmp_path / "a.safetensors", {"format": "pt"})
    assert_same(read_tensors(tmp_path / "a.safetensors").tensors, state)


def test_a_tensor_is_mapped_and_not_read(tmp_path):
    path = save(tmp_path / "a.pth", {"a": torch.zeros(1000, 1000)})
    array = read_tensors(path).tensors["a"]
    assert not array.flags.owndata and not array.flags.writeable


class Run:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False, None], ids=["archive", "old form", "pickle"])
@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch {}"),
        (subprocess.run, "touch {}"),
        (builtins.eval, "open('{}', 'w')"),
        (open, "{}", "w"),
        (os.mkdir, "{}"),
    ],
)
def test_nothing_that_a_file_calls_is_run(call, zipped, tmp_path):
    trace = tmp_path / "trace"
    function, *arguments = call
    content = {"model": {"a": torch.zeros(2)}, "x": Run(function, *(text.format(trace) for text in arguments))}
    path = tmp_path / "a.pth"
    if zipped is None:
        path.write_bytes(pickle.dumps(content | {"model": {"a": np.zeros(2)}}))
    else:
        save(path, content, zipped)
    with pytest.raises(WeightsError, match="may be hostile: nothing of it was run"):
        read_tensors(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3}, "holds no weights; found the entries 'epoch'"),
        ([torch.zeros(2)], "holds list; expected a dict"),
        ({"model": None, "optimizer": {}}, "holds no weights"),
    ],
)
def test_files_without_weights_say_what_they_hold(content, said, tmp_path):
    with pytest.raises(WeightsError, match=said):
        read_tensors(save(tmp_path / "a.pth", content))


def test_programs_and_foreign_archives_are_called_what_they_are(tmp_path):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(WeightsError, match="a TorchScript program"):
        read_tensors(tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(WeightsError, match=r"without torch's data\.pkl"):
        read_tensors(tmp_path / "photos.zip")
    (tmp_path / "page.pth").write_bytes(b"<!DOCTYPE html><html>")
    with pytest.raises(WeightsError, match="an HTML page"):
        read_tensors(tmp_path / "page.pth")
    with pytest.raises(WeightsError, match="holds no weights"):
        read_tensors(save(tmp_path / "complex.pth", {"a": torch.zeros(2, dtype=torch.complex64)}))


def rewrite(path, change):
    """Change the pickle inside an archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name.endswith("data.pkl") else content)
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    "lie",
    [
        lambda data: data.replace(b"K\x03K\x02\x86", b"K\x04K\x02\x86"),  # a larger shape
        lambda data: data.replace(b"K\x02K\x01\x86", b"J\xff\xff\xff\x7fK\x01\x86"),  # a stride far beyond
        lambda data: data.replace(b"K\x02K\x01\x86", b"K\x00K\x00\x86").replace(
            b"K\x03K\x02\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"
        ),
    ],
)
def test_a_shape_that_its_numbers_do_not_have_is_refused(lie, tmp_path):
    path = save(tmp_path / "a.pth", {"a": torch.randn(3, 2)})
    rewrite(path, lambda data: data)
    assert read_tensors(path).tensors["a"].shape == (3, 2)
    with pytest.raises(WeightsError, match="claims"):
        read_tensors(rewrite(path, lie))


def list_examples(folder):
    """Every container, made here, and those that other libraries wrote where the shared data has them."""
    module = make_module()
    state = module.state_dict()
    save(folder / "state.pth", state)
    save(folder / "old.pth", {"model": state, "iteration": 3}, False)
    save(folder / "module.pth", module)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    (folder / "arrays.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, 2))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "a.safetensors")
    return sorted(folder.iterdir())


def mutate(data, random):
    data = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        place = int(random.integers(len(data)))
        match int(random.integers(5)):
            case 0:
                data[place] = int(random.integers(256))
            case 1:
                del data[place : place + int(random.integers(1, 40))]
            case 2:
                data[place:place] = random.bytes(int(random.integers(1, 9)))
            case 3:
                data[place : place + 8] = struct.pack("<q", int(random.integers(-(2**40), 2**62)))
            case _:
                del data[place:]
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("number", range(5))
def test_mutations_are_refused_or_read_with_sound_shapes(number, tmp_path):
    path = list_examples(tmp_path)[number]
    _mutate_many(path)


@pytest.mark.parametrize("number", range(14))
def test_files_that_the_libraries_wrote_are_read_and_their_mutations_refused(number, tmp_path):
    folder = need_shared("golden", "elsewhere", "files")
    source = sorted(path for path in folder.iterdir() if path.suffix in (".pth", ".pkl"))[number]
    expected = {name.removeprefix("module."): array for name, array in np.load(folder / f"{source.stem}.expected.npz").items()}
    found = read_tensors(source).tensors
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    _mutate_many(path)


def _mutate_many(path):
    random, whole, refused = np.random.default_rng(7), path.read_bytes(), 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutate(whole, random))
        try:
            for array in read_tensors(path).tensors.values():
                assert array.size * array.itemsize <= 2 * len(whole) + 1024
                assert array.tobytes() is not None
        except WeightsError as error:
            assert len(str(error)) < 1000 and str(path) in str(error)
            refused += 1
    assert refused > MUTATIONS / 4
