"""Exported files as a predictor's backend: each gives what the network itself gives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskzoo.errors import ExportError
from maskzoo.exporting.program import INPUTS, OUTPUTS, PHOTO, Inputs, to_inputs
from maskzoo.models.packing import has_fast_bfloat16
from maskzoo.structures import Detections, ImageBatch
from maskzoo.system.packages import import_extra

__all__ = ["RUNTIMES", "OnnxRuntime", "OpenVino", "TorchPackage"]

# Of onnxruntime: beside other programs, spinning threads take the time that they wait for (see `maskzoo.system.waiting`).
SESSION = {"session.intra_op.allow_spinning": "0"}


class _Exported:
    """What all have in common; a kind reads its file (`__init__`), and runs it on the CPU (`_run`)."""

    name: str
    path: Path
    dtype: str

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:
        """Pickled or copied, it reads its file again."""
        return type(self), (self.path, self.dtype)

    def choose_workers(self) -> int:
        """One: the runtime keeps all threads busy by itself."""
        return 1

    def hash_weights(self) -> str:
        """Return the SHA-256 of the file, or of the weights beside it."""
        weights = self.path.with_suffix(".bin") if self.path.suffix == ".xml" else self.path
        with weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def detect(self, batch: ImageBatch) -> Detections:
        """Return detections with masks, without empty slots."""
        return self._to_detections(self._run(to_inputs(batch)), len(batch.pixels))

    def detect_photo(self, pixels: NDArray[np.uint8]) -> Detections:
        """Return what a file that prepares photos finds on one, RGB `[H W 3]`, in pixels of the photo."""
        return self._to_detections(self._run({PHOTO: pixels}), 1)

    def _run(self, inputs: Inputs) -> Sequence[Tensor]:
        raise NotImplementedError

    def _to_detections(self, values: Sequence[Tensor], images: int) -> Detections:
        boxes, scores, labels, valid, masks = values
        if len(boxes) != images:
            raise ExportError(f"{self.path}: {images} images gave results for {len(boxes)}; export it anew")
        rois = torch.zeros_like(labels)  # which proposal a detection came from does not leave the graph
        return Detections(boxes, scores, labels, rois, valid.bool(), masks).trimmed()


class OnnxRuntime(_Exported):
    """An exported `.onnx` file in onnxruntime, on the CPU with as many threads as PyTorch."""

    name = "onnxruntime"

    def __init__(self, path: Path, dtype: str = "float32") -> None:
        runtime = import_extra("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        for name, value in SESSION.items():
            options.add_session_config_entry(name, value)
        options.log_severity_level = 3  # errors: it warns of every constant that it folds
        self.path, self.dtype = path, dtype
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own errors share no base
            raise ExportError(f"{path}: onnxruntime cannot read it ({error}); export it anew") from error

    def _run(self, inputs: Inputs) -> Sequence[Tensor]:
        return [torch.from_numpy(values) for values in self._session.run(list(OUTPUTS), inputs)]


class OpenVino(_Exported):
    """An exported `.xml` or `.onnx` file in OpenVINO, on the CPU with as many threads as PyTorch."""

    name = "openvino"

    def __init__(self, path: Path, dtype: str = "float32") -> None:
        runtime = import_extra("openvino")
        self.path, self.dtype = path, dtype
        # int8 lies in the file; this is about what it leaves in floating point. OpenVINO keeps coordinates in float32.
        reduced = dtype == "bfloat16" or (dtype == "int8" and has_fast_bfloat16())
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32",
            # It would keep set-ups of every shape that it meets, a gigabyte after a thousand sizes, and is no quicker for it.
            "CPU_RUNTIME_CACHE_CAPACITY": 0,
        }
        try:
            self._compiled = runtime.compile_model(path, "CPU", settings)
        except RuntimeError as error:
            raise ExportError(f"{path}: OpenVINO cannot read it ({error}); export it anew") from error

    def _run(self, inputs: Inputs) -> Sequence[Tensor]:
        found = self._compiled(inputs)
        return [torch.from_numpy(found[name].copy()) for name in OUTPUTS]


class TorchPackage(_Exported):
    """An exported `.pt2` file, machine code that torch loads: on the CPU with as many threads as PyTorch."""

    name = "torch package"

    def __init__(self, path: Path, dtype: str = "float32") -> None:
        from torch._inductor import aoti_load_package

        self.path, self.dtype = path, dtype
        try:
            self._network = aoti_load_package(str(path))
        except Exception as error:  # torch's own errors share no base
            raise ExportError(
                f"{path}: torch {torch.__version__} cannot load it ({error}); export it anew, on this kind of processor"
            ) from error

    def _run(self, inputs: Inputs) -> Sequence[Tensor]:
        found: Sequence[Tensor] = self._network(*(torch.from_numpy(inputs[name]) for name in INPUTS))
        return found


RUNTIMES: dict[str, type[OpenVino | OnnxRuntime]] = {"openvino": OpenVino, "onnxruntime": OnnxRuntime}  # by their package
