"""The network as OpenVINO's files (`.xml` beside `.bin`), in float32, or in int8 calibrated on the user's own photos."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from maskzoo.errors import ExportError
from maskzoo.exporting.onnx import FACTS, Facts, read_facts, write_onnx
from maskzoo.exporting.program import Inputs, Program
from maskzoo.system.files import write_file
from maskzoo.system.packages import import_extra

__all__ = ["convert_onnx", "read_openvino_facts", "write_openvino"]

# What is quantised, by module: convolutions, the sums between them and the widest linear layer. All else holds coordinates
# and scores, for which 8 bits are too few, and so do the last layers of every head, which cost nothing.
QUANTISED = (r"backbone\.", r"pyramid[./]", r"rpn\.conv[./]", r"heads\.(res5|convs|fc6|mask\.upsample)[./]")
NORMS = ["MVN", "GroupNormalization", "ReduceMean", "Subtract", "Multiply", "Divide", "Power", "Sqrt"]  # of an image's own
SECTION = "maskzoo"  # where our metadata stand among OpenVINO's


def write_openvino(program: Program, facts: Facts, out: Path, calibration: Iterable[Inputs] | None = None) -> None:
    """Write the program as `out`, a `.xml` file, and its weights beside it; in int8 where there is `calibration`.

    Raises MissingPackageError if the packages that write it are missing, ExportError if the files cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "network.onnx"
        write_onnx(program, facts, between)
        convert_onnx(between, out, calibration)


def convert_onnx(source: Path, out: Path, calibration: Iterable[Inputs] | None = None) -> None:
    """Write an exported ONNX file as OpenVINO's `out` (.xml), facts included; otherwise as `write_openvino`."""
    runtime = import_extra("openvino")
    facts = read_facts(source)
    model = runtime.Core().read_model(source)  # convert_model does the same and reports its use to Intel
    if calibration is not None:
        model = _quantize(model, calibration)
    for key, value in facts.to_metadata().items():
        model.set_rt_info(value, [SECTION, key])
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "network.xml"
        try:
            runtime.save_model(model, whole, compress_to_fp16=False)
        except RuntimeError as error:
            raise ExportError(f"{whole}: cannot be written ({error}); make room there, or set TMPDIR elsewhere") from error
        write_file(out.with_suffix(".bin"), whole.with_suffix(".bin").read_bytes(), ExportError)
        write_file(out, whole.read_bytes(), ExportError)  # the last one: where it is, its weights are


def read_openvino_facts(path: Path) -> Facts:
    """Read the metadata of an exported `.xml` file. Raises ExportError."""
    runtime = import_extra("openvino")
    try:
        model = runtime.Core().read_model(path)
    except RuntimeError as error:
        raise ExportError(f"{path}: OpenVINO cannot read it ({error}); export it anew") from error
    metadata = {}
    for key in FACTS:
        if model.has_rt_info([SECTION, key]):
            metadata[key] = str(model.get_rt_info([SECTION, key]).value)
    return Facts.from_metadata(metadata, str(path))


def _quantize(model: Any, calibration: Iterable[Inputs]) -> Any:
    """Turn weights and activations into int8 by NNCF, with ranges from the calibration's photos."""
    nncf = import_extra("nncf")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    photos = list(calibration)
    with _silent():
        return nncf.quantize(
            model,
            nncf.Dataset(photos),
            preset=nncf.QuantizationPreset.MIXED,  # activations of both signs keep their zero point
            subset_size=len(photos),
            ignored_scope=nncf.IgnoredScope(types=NORMS, patterns=[f"^(?!{'|'.join(QUANTISED)}).*"], validate=False),
        )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Silence NNCF, which draws progress bars on standard output, where results go."""
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        yield
