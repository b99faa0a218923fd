"""Which backend is the fastest for a type on a device."""

from __future__ import annotations

__all__ = ["choose_backend"]

# By device and type: the fastest backend, and what was measured (docs/performance.md).
FASTEST = {
    ("cpu", "float32"): ("eager", "the fastest measured: 0.46 to 0.49 of torchvision's time, OpenVINO 0.64 to 0.71"),
    ("cpu", "bfloat16"): ("eager", "the fastest measured: 0.26 to 0.27 of torchvision in float32, OpenVINO 0.33 to 0.36"),
    ("cpu", "int8"): ("openvino", "the only one that computes in int8"),
    ("cuda", "int8"): ("openvino", "the only one that computes in int8"),
}
ON_GPU = ("eager", "compile was not measured on a GPU yet")


def choose_backend(dtype: str, device: str) -> tuple[str, str]:
    """Return the fastest backend for a type on a device ("cpu" or "cuda"), and why it is."""
    return FASTEST.get((device, dtype), ON_GPU)
