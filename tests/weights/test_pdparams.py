import builtins
import codecs
import collections
import importlib.util
import io
import json
import os
import pickle
import posixpath
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from maskzoo.errors import WeightsError
from maskzoo.weights.pdparams import read_pdparams
from pdparams_files import rule_state, rule_weights, write_pdparams

SHARED = Path(os.environ.get("MASKZOO_SHARED", Path(__file__).parents[3] / "shared"))
PROTOCOLS = pytest.mark.parametrize("protocol", range(6))


def make_arrays():
    generator = np.random.default_rng(0)
    return {
        "conv.weight": generator.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "fc.weight": np.asfortranarray(generator.normal(size=(5, 3)).astype(np.float32)),
        "strided": np.arange(20, dtype=np.float32)[::3],
        "big_endian": np.arange(5, dtype=">f4"),
        "scalar": np.array(2.5, np.float32),
        "numpy_scalar": np.float32(3.5),
        "empty": np.zeros((0, 4), np.float32),
        "count": np.array([7, 300, -1], np.int64),
        "flags": np.array([True, False]),
    }


def read_bytes(data, folder):
    path = folder / "net.pdparams"
    path.write_bytes(data)
    return read_pdparams(path)


def refuse(data, folder):
    """Return the message of the refusal, which names the file."""
    with pytest.raises(WeightsError) as caught:
        read_bytes(data, folder)
    assert type(caught.value) is WeightsError
    message = str(caught.value)
    assert message.startswith(f"{folder / 'net.pdparams'}: ") and len(message) < 1000
    return message


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=False)
        assert found[name].shape == np.shape(array)
        assert found[name].dtype == (np.float32 if array.dtype.kind == "f" else array.dtype)


# What Paddle writes


@PROTOCOLS
@pytest.mark.parametrize("structured", [True, False])
def test_what_paddle_writes_is_read(protocol, structured, tmp_path):
    write_pdparams(tmp_path / "a.pdparams", make_arrays(), protocol, structured)
    assert_same(read_pdparams(tmp_path / "a.pdparams"), make_arrays())


@PROTOCOLS
def test_names_of_numpy_1_are_read(protocol, tmp_path):
    data = pickle.dumps({"w": np.arange(3, dtype=np.float32)}, protocol)
    older = data.replace(b"numpy._core", b"numpy.core")
    if protocol >= 4:  # texts and frames of these protocols carry their length
        place = older.index(b"numpy.core")
        older = older[: place - 1] + bytes([older[place - 1] - 1]) + older[place:]
        older = older[:3] + struct.pack("<Q", struct.unpack("<Q", older[3:11])[0] - 1) + older[11:]
    assert older != data
    assert_same(read_bytes(older, tmp_path), {"w": np.arange(3, dtype=np.float32)})


def test_a_file_of_python_2_is_read(tmp_path):
    """Python 2 has one type for text and bytes; a file of 2018 in its words."""
    values = np.array([1.0, -2.0, 0.5], np.float32)
    data = (
        b"\x80\x02}q\x00U\x06conv.wq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04"
        b"U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x03\x85q\x08cnumpy\ndtype\nq\x09U\x02f4q\x0aK\x00K\x01\x87q\x0bRq\x0c"
        b"(K\x03U\x01<q\x0dNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89T\x0c\x00\x00\x00"
        + values.tobytes()
        + b"q\x0ftq\x10bs."
    )
    assert_same(read_bytes(data, tmp_path), {"conv.w": values})


@PROTOCOLS
def test_half_precision_is_widened_exactly(protocol, tmp_path):
    exact = torch.tensor([1.5, -0.375, 2.0**100, float("inf")]).reshape(2, 2)
    stored = {
        "half": np.array([[1.5, -0.375]], np.float16),
        "brain": exact.to(torch.bfloat16).view(torch.uint16).numpy(),
        "brain_transposed": exact.to(torch.bfloat16).view(torch.uint16).numpy().T,
        "brain_big_endian": exact.to(torch.bfloat16).view(torch.uint16).numpy().astype(">u2"),
    }
    write_pdparams(tmp_path / "a.pdparams", stored, protocol)
    arrays = read_pdparams(tmp_path / "a.pdparams")
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(arrays["half"], [[1.5, -0.375]])
    np.testing.assert_array_equal(arrays["brain"], exact)
    np.testing.assert_array_equal(arrays["brain_transposed"], exact.T)
    np.testing.assert_array_equal(arrays["brain_big_endian"], exact)


class Tensor:
    """Pickles as a tensor of Paddle does."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@PROTOCOLS
def test_tensors_outside_a_state_dict_are_read(protocol, tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = {
        "evaluated": Tensor(eval, ("data", {"data": array})),
        "tuple": ("linear_0.w_0", array + 1),
        "reduced_tuple": Tensor(tuple, (("linear_0.b_0", array + 2),)),
    }
    expected = {"evaluated": array, "tuple": array + 1, "reduced_tuple": array + 2}
    assert_same(read_bytes(pickle.dumps(content, protocol), tmp_path), expected)
    assert_same(read_bytes(pickle.dumps(collections.OrderedDict(content), protocol), tmp_path), expected)


def split(**changes):
    whole = np.arange(24, dtype=np.float32)
    content = {
        "big@@.0": whole[:10],
        "small": np.ones(2, np.float32),
        "big@@.1": whole[10:],
        "UnpackBigParamInfor@@": {"big": {"OriginShape": (2, 3, 4), "slices": ["big@@.0", "big@@.1"]}},
    }
    return {name: value for name, value in {**content, **changes}.items() if value is not None}


@PROTOCOLS
def test_large_arrays_in_parts_are_put_together(protocol, tmp_path):
    expected = {"small": np.ones(2, np.float32), "big": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}
    assert_same(read_bytes(pickle.dumps(split(), protocol), tmp_path), expected)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"big@@.1": None}, "part 'big@@.1' of entry 'big' is missing"),
        ({"big@@.1": np.zeros(13, np.float32)}, "hold 23 values, expected shape [2, 3, 4]"),
        ({"big@@.1": np.zeros(14, np.float16)}, "different types"),
        ({"big": np.zeros(1, np.float32)}, "whole and in parts"),
        ({"UnpackBigParamInfor@@": [1]}, "list"),
        ({"UnpackBigParamInfor@@": {"big": {"slices": ["big@@.0"]}}}, "no shape and parts"),
        ({"UnpackBigParamInfor@@": {"big": {"OriginShape": (), "slices": []}}}, "no shape and parts"),
        ({"UnpackBigParamInfor@@": {"big": {"OriginShape": (20,), "slices": ["big@@.0"] * 2}}}, "missing"),
        ({"UnpackBigParamInfor@@": {"big": {"OriginShape": (-10,), "slices": ["big@@.0"]}}}, "not a tuple of sizes"),
        ({"UnpackBigParamInfor@@": {"big": {"OriginShape": (10.0,), "slices": ["big@@.0"]}}}, "not a tuple of sizes"),
        ({"UnpackBigParamInfor@@": {"big": {"OriginShape": (10,), "slices": [b"\0" * 2000]}}}, "a name of at most"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, says, tmp_path):
    assert says in refuse(pickle.dumps(split(**changes), 4), tmp_path)


# What is not weights


TORCH_ZIP, TORCH_OLD = io.BytesIO(), io.BytesIO()
torch.save({"a": torch.ones(1)}, TORCH_ZIP)
torch.save({"a": torch.ones(1)}, TORCH_OLD, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html><title>404", "looks like an HTML page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file, as Keras writes them"),
        (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0", "an ONNX model"),
        (b'<?xml version="1.0"?><Error>', "looks like an HTML page: expected weights; if it was downloaded"),
        (b'{"base_code":{"magic":"pir","version":1},"program"', "exported (inference.json), which holds no weights"),
        (b'{\n "base_code": {\n "trainable": true, "magic" : "pir"', "looks like a network that PaddlePaddle exported"),
        (b'{"error": "not found"}', "looks like JSON text"),
        (TORCH_ZIP.getvalue(), "maskzoo convert FILE.pth mine.safetensors"),
        (TORCH_OLD.getvalue(), "looks like a PyTorch file"),
        (save({"a": np.ones(3)}), "looks like a safetensors file"),
        (b"\x1f\x8b\x08\x00", "packed archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"hello, this is no pickle at all", "damaged, or not a weights file"),
        (b"\x80\x06}.", "pickle protocol 6"),
        (pickle.dumps([np.ones(1)]), "holds list; expected a dict"),
        (pickle.dumps({"a": 3}), "entry 'a' is int"),
        (pickle.dumps({"a": {"b": np.ones(1)}}), "entry 'a' is dict"),
        (pickle.dumps({3: np.ones(1)}), "int found where a name"),
        (pickle.dumps({"a": np.array(["text"])}), "holds an array of type 'U4'"),
        (pickle.dumps({"a": np.ones(2, np.complex64)}), "holds an array of type 'c8'"),
        (pickle.dumps({"a": np.array([None, {}], object)}), "holds an array of type 'O8'"),
        (pickle.dumps({"a": np.zeros(2, [("x", "f4")])}), "holds an array of type 'V4'"),
        (b"\x80\x04}(\x8c\x01aN\x8c\x01aNu.", "there are two entries 'a'"),
        (b"\x80\x04}.}.", "data left over"),
        (b"\x80\x04}}.", "data left over"),
    ],
)
def test_other_files_are_called_by_their_name(data, says, tmp_path):
    assert says in refuse(data, tmp_path)


def write_tensor(array):
    """A tensor as Paddle's exported models hold it, one after the other in .pdiparams, or each in a file of its own."""
    description = b"\x08\x05" + b"".join(b"\x10" + bytes([side]) for side in array.shape)
    return bytes(16) + struct.pack("<i", len(description)) + description + array.tobytes()


def write_program(size):
    block = b"\x08\0\x10" + b"\xff" * 9 + b"\x01" + b"\x1a" + bytes(size)
    length = bytes([len(block) % 128 | 128, len(block) // 128]) if len(block) > 127 else bytes([len(block)])
    return b"\n" + length + block


ARRAY = np.ones((2, 3), np.float32)
PARAMETERS = {"backbone.conv1.weight": ARRAY, "roi_heads.fc1.bias": ARRAY}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pickle.dumps({"conv2d_0.w_0_velocity_0": ARRAY, "LR_Scheduler": {"last_lr": 0.01, "last_epoch": 3}}, 4), ".pdopt"),
        (pickle.dumps({"conv2d_0.w_0_velocity_0": ARRAY}, 4), "give the .pdparams file of the same name beside it"),
        (pickle.dumps({"linear_0.w_0_moment1_0": ARRAY, "linear_0.w_0_beta1_pow_acc_0": ARRAY}, 2), "of an optimiser"),
        (pickle.dumps({"model": PARAMETERS, "__author__": "Zoo", "matching_heuristics": True}), "weights under 'model'"),
        (pickle.dumps({"state_dict": collections.OrderedDict(PARAMETERS)}), "'backbone.conv1.weight', 'roi_heads.fc1.bias'"),
        (pickle.dumps({"model": {"a": torch.nn.Linear(1, 1)}}), "holds PyTorch's objects ('torch"),
        (pickle.dumps({"a": torch.ones(2)}), "name a checkpoint of PyTorch .pth, and `maskzoo convert` it"),
        (write_tensor(ARRAY), "holds tensors without names"),
        (write_tensor(ARRAY) * 2, "the .pdparams file that the model was exported from"),
        (write_program(20), "is an exported Paddle program (.pdmodel"),
        (write_program(1000), "without weights; expected the .pdparams"),
    ],
)
def test_files_beside_or_like_weights_are_refused_with_the_next_step(data, says, tmp_path):
    assert says in refuse(data, tmp_path)


@PROTOCOLS
def test_a_truncated_file_is_refused_wherever_it_ends(protocol, tmp_path):
    data = pickle.dumps({"w": np.arange(5, dtype=np.float32), "b": np.ones(2, np.float32)}, protocol)
    for length in range(1, len(data)):
        refuse(data[:length], tmp_path)


@pytest.mark.parametrize("path", ["none.pdparams", ".", "/dev/zero"])
def test_a_path_without_a_file_is_named(path, tmp_path):
    with pytest.raises(WeightsError, match="is a folder" if path == "." else "no such file"):
        read_pdparams(tmp_path / path)


def test_a_file_above_the_limit_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "huge.pdparams").open("wb") as file:
        file.truncate((8 << 30) + 1)  # a hole: takes no room
    with pytest.raises(WeightsError, match=r"huge\.pdparams: 8589934593 bytes; expected at most 8589934592"):
        read_pdparams(tmp_path / "huge.pdparams")


# What is hostile


def call(function, *arguments):
    return Tensor(function, arguments)


class Attack:
    """Pickles that leave the file `mark` when anything in them is run."""

    def __init__(self, mark):
        touch = f"touch {mark}"
        opened = f"open({str(mark)!r}, 'w').close()"
        array = np.ones(1, np.float32)
        self.objects = {
            "os.system": call(os.system, touch),
            "subprocess": call(subprocess.check_output, ["touch", str(mark)]),
            "eval of code": call(eval, opened),
            "eval like a tensor's": call(eval, opened, {"data": array}),
            "eval with more names": call(eval, "data", {"data": array, "__builtins__": {}}),
            "eval with locals": call(eval, "data", {"data": array}, {}),
            "eval of no array": call(eval, "data", {"data": opened}),
            "exec": call(exec, opened),
            "getattr": call(getattr, np.ndarray, "tofile"),
            "import": call(builtins.__import__, "os"),
            "open": call(open, str(mark), "w"),
            "numpy.load": call(np.load, str(mark)),
            "numpy.save": call(np.save, str(mark), array),
            "numpy.memmap": call(np.memmap, str(mark), "f4", "w+", 0, (3,)),
            "tofile": call(np.ndarray.tofile, array, str(mark)),
            "codecs.open": call(codecs.open, str(mark), "w"),
            "encode by another codec": call(codecs.encode, "x" * 9, "zip"),
            "encode into bytes by name": call(codecs.encode, "x", "utf-8"),
            "bytes of a size": call(bytes, 1 << 40),
            "tuple of text": call(tuple, "abc"),
            "a module's function": call(posixpath.exists, str(mark)),
        }


ATTACKS = sorted(Attack("x").objects)


@PROTOCOLS
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_call_is_refused_and_not_made(attack, protocol, tmp_path):
    mark = tmp_path / "mark"
    data = pickle.dumps({"w": np.ones(2, np.float32), "x": Attack(mark).objects[attack]}, protocol)
    assert any(word in refuse(data, tmp_path) for word in ("expected arrays only", "nothing of it was run"))
    assert not mark.exists()


def test_the_attacks_work_on_pythons_own_unpickler(tmp_path):
    """Otherwise the test above would prove nothing."""
    for attack in ("os.system", "eval of code", "exec", "numpy.save", "tofile", "subprocess"):
        mark = tmp_path / attack
        pickle.loads(pickle.dumps(Attack(mark).objects[attack]))
        assert mark.exists() or Path(f"{mark}.npy").exists()


DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4\x89\x88tR"
BUILT = DTYPE + b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
SHELL = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"


@pytest.mark.parametrize(
    "code",
    [
        b"\x8c\x05numpy\x8c\x0endarray.tofile\x93",
        b"\x8c\x05numpy\x8c\x0f__builtins__.eval\x93",
        b"cposix\nsystem\n(X\x02\x00\x00\x00idtR",
        b"cnt\nsystem\n(X\x02\x00\x00\x00idtR",
        b"crunpy\n_run_code\n",
        b"cnumpy.testing._private.utils\nrunstring\n",
        b"cnumpy._core.multiarray\n_reconstruct.__globals__\n",
        b"c__builtin__\ngetattr\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"(ios\nsystem\n",
        b"(X\x02\x00\x00\x00idios\nsystem\n",
        b"(cos\nsystem\nX\x02\x00\x00\x00ido",
        b"cos\nsystem\n)\x81",
        b"cnumpy\nndarray\n)\x81",
        b"cnumpy\nndarray\n)}\x92",
        b"\x82\x01",
        b"\x83\x01\x00",
        b"\x84\x01\x00\x00\x00",
        b"Pid\n",
        b"X\x01\x00\x00\x00aQ",
        b"\x97",
        b"\x97\x98",
        b"\x8f",
        b"cnumpy\nndarray\n)R",
        b"cnumpy\nndarray\n}b",
        b"c_codecs\nencode\n}X\x08\x00\x00\x00__dict__}sb",
        SHELL + b"}b",
        SHELL + b"N}X\x05\x00\x00\x00value}s\x86b",
        SHELL + b"(K\x01K\x01\x85" + BUILT + b"\x89]tb",
        SHELL + b"(K\x01K\x02\x85" + BUILT + b"\x89C\x04abcdtb",
        SHELL + b"(K\x01K\xff\x85" + BUILT + b"\x89C\x04abcdtb",
        SHELL + b"(K\x01J\xff\xff\xff\xff\x85" + BUILT + b"\x89C\x04abcdtb",
        SHELL + b"(K\x01(" + b"K\x01" * 20 + b"t" + BUILT + b"\x89C\x04abcdtb",
        SHELL + b"(K\x01\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x00\x86" + BUILT + b"\x89C\x00tb",
        SHELL + b"(K\x01K\x01\x85" + DTYPE + b"\x89C\x04abcdtb",
        SHELL + b"(K\x01K\x01\x85" + BUILT + b"\x89C\x04abcdtb" + b"(K\x01K\x01\x85" + BUILT + b"\x89C\x04abcdtb",
        b"cnumpy.core.multiarray\nscalar\n" + BUILT + b"C\x05abcde\x86R",
        b"cnumpy.core.numeric\n_frombuffer\n(C\x04abcd" + BUILT + b"K\x01\x85X\x01\x00\x00\x00AtR",
        b"cnumpy.core.numeric\n_frombuffer\n(K\x04" + BUILT + b"K\x01\x85X\x01\x00\x00\x00CtR",
        BUILT + b"}b",
        SHELL,
    ],
)
def test_a_hostile_opcode_or_state_is_refused(code, tmp_path):
    refuse(b"\x80\x05}X\x01\x00\x00\x00w" + code + b"s.", tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"}X\x01\x00\x00\x00w" + b"(" * 300_000 + b"t" * 300_000 + b"s.",
        b"}X\x01\x00\x00\x00w" + b"]" * 300_000 + b"a" * 299_999 + b"s.",
        b"}X\x01\x00\x00\x00wN" + b"\x85" * 300_000 + b"s.",
        b"}N" + b"\x85" * 300_000 + b"Ns.",  # Python's own reader crashes on the hash of this key
        b"]q\x00" + b"h\x00a" * 300_000 + b".",
        b"N" + b"2" * 300_000 + b".",
        b"N" + b"2" * 3_000_000 + b".",
    ],
    ids=["tuples", "lists", "tuples of one", "a key", "a list of itself", "copies", "more steps than allowed"],
)
def test_deep_nesting_ends_in_a_refusal(data, tmp_path):
    refuse(b"\x80\x04" + data, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr\xff\xff\xff\xff.",
        b"Np99999999999999999999999999\n.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x96\x00\x00\x00\x00\x00\x10\x00\x00.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}.",
        b"\x80\x02\x8b\xff\xff\xff\x7f\x00.",
        b"\x80\x02T\xff\xff\xff\xff.",
        b"I" + b"9" * 100_000 + b"\n.",
        b"\x80\x04}\x94h\x00h\x00s.",
        b"\x80\x04}\x94\x8c\x01ah\x00s.",
        # one megabyte of values, asked for a hundred times
        b"\x80\x04}(B\x00\x00\x10\x00" + bytes(1 << 20) + b"\x940" + BUILT + b"\x940"
        + b"".join(
            b"X\x01\x00\x00\x00%c" % name + SHELL + b"(K\x01J\x00\x00\x04\x00\x85h\x01\x89h\x00tb"
            for name in range(1, 100)
        ) + b"u.",
        b"\x80\x04X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"\x94"
        + b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR" * 100 + b".",
    ],
    ids=range(12),
)  # fmt: skip
def test_a_bomb_is_refused_in_little_memory(data, tmp_path):
    path = tmp_path / "bomb.pdparams"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            read_pdparams(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of a process")
def test_memory_that_runs_out_is_reported(tmp_path):
    (tmp_path / "a.pdparams").write_bytes(b"\x80\x04" + b"]" * 900_000)
    program = (
        "import resource, sys\n"
        "from maskzoo.errors import WeightsError\n"
        "from maskzoo.weights.pdparams import read_pdparams\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (30 << 20),) * 2)\n"
        "try:\n    read_pdparams(sys.argv[1])\nexcept WeightsError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.pdparams"], capture_output=True, text=True)
    assert "MemoryError" in done.stdout and done.returncode == 0, done.stderr


# Anything at all

SMALL = {name: array for name, array in make_arrays().items() if np.size(array) < 16}
SEEDS = [pickle.dumps({**SMALL, "StructuredToParameterName@@": {"a": "b"}}, protocol) for protocol in range(6)]
SEEDS.append(pickle.dumps(split(), 2))
OPCODES = [bytes([code]) for code in b"0(2tsbR\x93\x94h."]


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        end = place + draw(st.integers(0, 3))
        data[place:end] = draw(st.binary(max_size=4) | st.sampled_from(OPCODES))
        if not data:
            break
    return bytes(data)


def check_any(data, folder):
    try:
        arrays = read_bytes(data, folder)
    except WeightsError:
        return
    assert all(type(name) is str and type(array) is np.ndarray for name, array in arrays.items())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated())
def test_a_mutated_file_gives_arrays_or_a_refusal(data, tmp_path):
    check_any(data, tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80))
@example(data=b"\x80")
def test_any_bytes_give_arrays_or_a_refusal(data, tmp_path):
    check_any(data, tmp_path)


# The rule that stands for trained weights


def test_the_rule_is_steady():
    weights = rule_weights("backbone.conv1.conv1.conv.weight", (64, 3, 7, 7), 0)
    assert weights.dtype == np.float32 and weights.shape == (64, 3, 7, 7)
    assert np.abs(weights.mean(axis=(1, 2, 3))).max() < 1e-7
    assert not np.array_equal(weights, rule_weights("backbone.conv1.conv1.conv.weight", (64, 3, 7, 7), 1))


@pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="needs the golden files (MASKZOO_SHARED)")
@pytest.mark.parametrize("model", ["mask_rcnn_r50_1x_coco", "mask_rcnn_r50_vd_fpn_1x_coco"])
def test_the_rule_is_the_golden_one_to_the_bit(model):
    spec = importlib.util.spec_from_file_location("golden_weights", SHARED / "golden" / "weights.py")
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    manifest = json.loads((SHARED / "golden" / "manifest" / f"{model}.json").read_text())
    manifest = {name: entry for name, entry in manifest.items() if np.prod(entry[0]) < 1_300_000}
    ours, theirs = rule_state(manifest, 3), golden.state_dict(manifest, 3)
    assert len(manifest) > 250 and list(ours) == list(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype and ours[name].tobytes() == array.tobytes(), name
