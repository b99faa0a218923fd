"""What Triton is told, by the names and types of its `model_config.proto`, and that it is true of the file."""

import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from PIL import Image

from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.export_model import export
from networks import FPN, THIN, make_photo, small_config, small_network

TYPES = {"TYPE_BOOL": 1, "TYPE_UINT8": 2, "TYPE_INT64": 9, "TYPE_FP32": 11}  # of enum DataType
NUMBERS = {"tensor(float)": 11, "tensor(int64)": 9, "tensor(bool)": 1, "tensor(uint8)": 2}


def read_config(text):
    """Parse strictly: a field that the schema lacks, or a value of another type, is an error."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    enum = file.enum_type.add(name="DataType")
    enum.value.add(name="TYPE_INVALID", number=0)
    for name, number in TYPES.items():
        enum.value.add(name=name, number=number)
    kinds = {"string": 9, "int32": 5, "int64": 3, "uint64": 4}
    messages = {
        "ModelInput": [("name", 1, "string", 1), ("data_type", 2, ".inference.DataType", 1), ("dims", 4, "int64", 3)],
        "ModelOutput": [("name", 1, "string", 1), ("data_type", 2, ".inference.DataType", 1), ("dims", 3, "int64", 3)],
        "ModelDynamicBatching": [("max_queue_delay_microseconds", 2, "uint64", 1)],
        "ModelConfig": [
            ("name", 1, "string", 1), ("backend", 17, "string", 1), ("max_batch_size", 4, "int32", 1),
            ("input", 5, ".inference.ModelInput", 3), ("output", 6, ".inference.ModelOutput", 3),
            ("dynamic_batching", 11, ".inference.ModelDynamicBatching", 1),
        ],
    }  # fmt: skip
    for message, fields in messages.items():
        made = file.message_type.add(name=message)
        for name, number, kind, label in fields:
            field = made.field.add(name=name, number=number, label=label)
            if kind in kinds:
                field.type = kinds[kind]
            else:
                field.type, field.type_name = 14 if kind.endswith("DataType") else 11, kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))
    return text_format.Parse(text, made())


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    config = small_config(FPN, *THIN)
    model = tmp_path_factory.mktemp("model") / "net.safetensors"
    write_checkpoint(model, small_network(config).state_dict(), config, {})
    exported = export(model, model.with_name("models"), to="triton")
    assert exported.file == model.with_name("models") / "net/1/model.onnx" and exported.example.name == "client.py"
    return model.with_name("models")


def test_the_configuration_is_triton_s_and_true_of_the_file(repository):
    config = read_config((repository / "net/config.pbtxt").read_text())
    assert (config.name, config.backend, config.max_batch_size) == ("net", "onnxruntime", 8)
    session = onnxruntime.InferenceSession(repository / "net/1/model.onnx", providers=["CPUExecutionProvider"])
    assert {one.name: list(one.dims) for one in config.input} == {"images": [3, -1, -1], "sizes": [2]}
    images = np.random.default_rng(0).normal(size=(3, 3, 64, 96)).astype(np.float32)
    outputs = session.run(
        [one.name for one in config.output], {"images": images, "sizes": np.array([[64, 96]] * 3, np.float32)}
    )
    types = {one.name: NUMBERS[one.type] for one in (*session.get_inputs(), *session.get_outputs())}
    assert {one.name: one.data_type for one in (*config.input, *config.output)} == types
    for told, found in zip(config.output, outputs, strict=True):
        assert found.shape[0] == 3 and len(told.dims) == found.ndim - 1
        assert all(said in (-1, side) for said, side in zip(told.dims, found.shape[1:], strict=True))
    assert {one.name: list(one.dims)[1:] for one in config.output}["masks"] == [28, 28]


def test_the_client_draws_what_the_server_finds(repository, tmp_path, monkeypatch):
    """tritonclient's place is taken by one that runs the file itself: what it is given is what the server would be."""
    session = onnxruntime.InferenceSession(repository / "net/1/model.onnx", providers=["CPUExecutionProvider"])
    asked = []

    class Input:
        def __init__(self, name, shape, kind):
            self.name, self.shape, self.kind = name, shape, kind

        def set_data_from_numpy(self, values):
            assert list(values.shape) == self.shape and self.kind == "FP32" and values.dtype == np.float32
            self.values = values

    class Client:
        def __init__(self, address):
            asked.append(address)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def infer(self, model, inputs):
            asked.append(model)
            names = [one.name for one in session.get_outputs()]
            found = dict(zip(names, session.run(names, {one.name: one.values for one in inputs}), strict=True))
            return SimpleNamespace(as_numpy=found.get)

    http = SimpleNamespace(InferenceServerClient=Client, InferInput=Input)
    monkeypatch.setitem(sys.modules, "tritonclient", SimpleNamespace(http=http))
    monkeypatch.setitem(sys.modules, "tritonclient.http", http)
    monkeypatch.syspath_prepend(repository)
    Image.fromarray(make_photo(60, 80)).save(tmp_path / "photo.png")
    import client

    client.main(str(tmp_path / "photo.png"), str(tmp_path / "found.png"), "host:8000")
    monkeypatch.delitem(sys.modules, "client")
    monkeypatch.delitem(sys.modules, "example")
    with Image.open(tmp_path / "found.png") as picture:
        assert asked == ["host:8000", "net"] and picture.size == (80, 60)
