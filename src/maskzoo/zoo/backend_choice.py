"""Which backends there are, the types of numbers that each computes in, and which is the fastest for a type on a device."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["BACKENDS", "COMPUTED", "DTYPES", "BackendChoice", "DtypeChoice", "choose_backend"]

BackendName = Literal["eager", "compile", "openvino", "onnxruntime"]
DtypeName = Literal["float32", "bfloat16", "float16", "int8"]
BackendChoice = Literal["auto", BackendName]
DtypeChoice = Literal["auto", DtypeName]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
DTYPES: tuple[DtypeName, ...] = get_args(DtypeName)
COMPUTED: dict[str, tuple[DtypeName, ...]] = {
    "eager": ("float32", "bfloat16", "float16"),
    "compile": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "onnxruntime": ("float32",),
    "torch package": ("float32",),  # a .pt2 file's own
}
MEASURED = ("eager", "the fastest measured (docs/performance.md)")
CALIBRATED = ("openvino", "the only one that computes in int8")
FASTEST = {("cpu", "float32"): MEASURED, ("cpu", "bfloat16"): MEASURED}
ON_GPU = ("eager", "compile was not measured on a GPU yet")


def choose_backend(dtype: str, device: str) -> tuple[str, str]:
    """Return the fastest backend for a type on a device ("cpu" or "cuda"), and why it is."""
    return CALIBRATED if dtype == "int8" else FASTEST.get((device, dtype), ON_GPU)
