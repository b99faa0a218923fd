"""Which backend is the fastest for a type on a device."""

from __future__ import annotations

__all__ = ["choose_backend"]

MEASURED = ("eager", "the fastest measured (docs/performance.md)")
CALIBRATED = ("openvino", "the only one that computes in int8")
FASTEST = {("cpu", "float32"): MEASURED, ("cpu", "bfloat16"): MEASURED}
ON_GPU = ("eager", "compile was not measured on a GPU yet")


def choose_backend(dtype: str, device: str) -> tuple[str, str]:
    """Return the fastest backend for a type on a device ("cpu" or "cuda"), and why it is."""
    return CALIBRATED if dtype == "int8" else FASTEST.get((device, dtype), ON_GPU)
