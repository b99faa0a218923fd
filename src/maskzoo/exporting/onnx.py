"""The network as an ONNX file, for onnxruntime, OpenVINO and whatever else reads it."""

from __future__ import annotations

import json
import logging
import warnings
from ast import literal_eval
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from maskzoo.config import ModelConfig
from maskzoo.errors import ExportError
from maskzoo.exporting.onnx_preprocessing import add_preprocessing
from maskzoo.exporting.program import INPUTS, OUTPUTS, Program, trace
from maskzoo.model_file import dump_config, parse_config
from maskzoo.system.files import write_file
from maskzoo.system.packages import import_extra

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FACTS", "Facts", "read_facts", "write_onnx"]

FORMAT = "maskzoo"
FACTS = ("format", "classes", "config", "fixed", "prepares", "provenance")  # the metadata's keys
OPSET = 18  # the first with RoIAlign's and NonMaxSuppression's present meaning that all runtimes read
AXES = {"images": ("batch", "3", "height", "width"), "sizes": ("batch", "2")}


@dataclass(frozen=True, slots=True)
class Facts:
    """What an exported file says of itself: its network's `config`, the one canvas it takes (`fixed`), `provenance`.

    `prepares`: its input is a whole photo, which it resizes, normalises and pads itself.
    """

    config: ModelConfig
    fixed: tuple[int, int] | None
    provenance: dict[str, str]
    prepares: bool = False

    def to_metadata(self) -> dict[str, str]:
        """Return the texts that travel in a file's metadata; classes stand apart, for readers without our code."""
        classes = {str(number): name for number, name in self.config.classes.items()}
        return {
            "format": FORMAT,
            "classes": json.dumps(classes, ensure_ascii=False),
            "config": dump_config(self.config),
            "fixed": json.dumps(self.fixed),
            "prepares": json.dumps(self.prepares),
            "input": self.describe_input(),
            "provenance": json.dumps(self.provenance, ensure_ascii=False),
        }

    def describe_input(self) -> str:
        """Say what the file takes: a runtime's own error for another size speaks of a reshape somewhere inside."""
        if self.prepares:
            return "photo: uint8 [height, width, 3], RGB, of any size from 1 x 1 on, one at a time"
        multiple = self.config.input.canvas_multiple
        sides = "height and width " + (f"multiples of {multiple}" if multiple > 1 else "17 or more")
        if self.fixed is not None:
            sides = f"height {self.fixed[0]} and width {self.fixed[1]}"
        return (
            f"images: float32 [batch, 3, height, width], batch 1 or more, {sides}, normalised, zero beyond each image at the "
            "right and below; sizes: float32 [batch, 2], height and width of each image without those zeros"
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], origin: str) -> Facts:
        """Raises ExportError for metadata of other people's files."""
        if metadata.get("format") != FORMAT:
            raise ExportError(f"{origin}: not exported by maskzoo (its metadata lack format={FORMAT}); export it anew")
        fixed = json.loads(metadata["fixed"])
        config = parse_config(metadata["config"], origin)
        canvas = None if fixed is None else (fixed[0], fixed[1])
        return cls(config, canvas, json.loads(metadata["provenance"]), json.loads(metadata["prepares"]))


def write_onnx(program: Program, facts: Facts, out: Path) -> None:
    """Write the program as one ONNX file with its `facts` in the metadata.

    Raises MissingPackageError if the packages that write ONNX are missing, ExportError if the file cannot be written.
    """
    write_file(out, to_onnx(program, facts).SerializeToString(), ExportError)


def to_onnx(program: Program, facts: Facts) -> ModelProto:
    """Return the program as an ONNX model; every axis that may change has a name."""
    for package in ("onnx", "onnxscript"):
        import_extra(package)
    from maskzoo.exporting.onnx_operators import list_onnx_operators

    with _quiet():
        made = torch.onnx.export(
            trace(program, facts.fixed),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            custom_translation_table=list_onnx_operators(),
            optimize=False,  # runtimes do that themselves, and here it takes as long as all the rest
            verbose=False,
        )
    assert made is not None  # it is None only when a file is asked for
    model = made.model_proto
    _name_axes(model)
    _name_nodes(model)
    if facts.prepares:
        model = add_preprocessing(model, facts.config.input)
    for key, value in facts.to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = FORMAT
    return model


def read_facts(path: Path) -> Facts:
    """Read the metadata of an exported ONNX file. Raises ExportError."""
    onnx = import_extra("onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own errors share no base
        raise ExportError(f"{path}: cannot be read as ONNX ({error}); export it anew") from error
    return Facts.from_metadata({entry.key: entry.value for entry in model.metadata_props}, str(path))


def _name_axes(model: ModelProto) -> None:
    """Give the axes of the inputs and outputs their names instead of the tracer's."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        for axis, name in zip(value.type.tensor_type.shape.dim, AXES[value.name], strict=True):
            if axis.dim_param:
                names[axis.dim_param] = name
    for value in [*model.graph.input, *model.graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = names.get(axis.dim_param, axis.dim_param)
    del model.graph.value_info[:]  # shapes between, in the tracer's names; runtimes find them anew


def _name_nodes(model: ModelProto) -> None:
    """Name each node after its module, `rpn.score/conv2d_31`, instead of the tracer's notes, which hold local paths."""
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        del node.metadata_props[:]
        if "pkg.torch.onnx.name_scopes" in notes:
            module = literal_eval(notes["pkg.torch.onnx.name_scopes"])[-2]  # of network.rpn, network.rpn.score, conv2d_31
            own = module.removeprefix("network.") if module.startswith("network.") else "network"
            node.name = f"{own}/{node.name.removeprefix('node_')}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it lists every package that it could also translate, and warns about its own old code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
