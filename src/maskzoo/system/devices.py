"""Where a network computes: every device that this machine's PyTorch has, by PyTorch's names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from maskzoo.errors import ArgumentError, MaskzooError

if TYPE_CHECKING:
    import torch

__all__ = ["choose_device", "explained_operators", "list_devices"]

NO_PLACES = ("meta", "fake")  # PyTorch's names for devices that compute nothing
_OPERATOR = re.compile(r"aten::[\w.]+")


def list_devices() -> list[str]:
    """Return what `choose_device` takes here: cpu, and what there is of cuda:0, xpu:0, mps ..."""
    import torch

    found = ["cpu"]
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        if kind is not None:
            found += [kind.type] if count < 2 else [f"{kind.type}:{number}" for number in range(count)]
    return found


def choose_device(name: str) -> torch.device:
    """Return the device of a name: "auto" is the NVIDIA or AMD GPU where there is one, else the CPU.

    Args:
        name: auto, or as PyTorch names it: cpu, cuda, cuda:1, mps, xpu ...

    Raises:
        ArgumentError: PyTorch knows no such name, or this machine has no such device; it lists those that are there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ArgumentError(f"device (--device): found {name!r}; expected {_name_choices()}") from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type in NO_PLACES or not _is_there(device):
        raise ArgumentError(
            f"device (--device): found {name}, which this machine or its PyTorch does not have; expected {_name_choices()}"
        )
    return device


def _is_there(device: torch.device) -> bool:
    import torch

    try:
        kind = torch.get_device_module(device)
        return bool(kind.is_available()) and (device.index or 0) < kind.device_count()
    except (RuntimeError, AttributeError):  # a build of PyTorch without this kind, or a kind without these functions
        return False


def _name_choices() -> str:
    return f"one of auto, {', '.join(list_devices())}"


@contextmanager
def explained_operators(device: torch.device) -> Iterator[None]:
    """Turn PyTorch's complaint about an operator that `device` lacks into a MaskzooError that says what to do."""
    try:
        yield
    except NotImplementedError as error:
        found = _OPERATOR.search(str(error))
        if found is None or device.type in ("cpu", "cuda"):  # where all of them are
            raise
        remedy = "use --device cpu"
        if device.type == "mps" and os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") != "1":
            remedy = f"set PYTORCH_ENABLE_MPS_FALLBACK=1 in the environment, and the CPU computes it, or {remedy}"
        raise MaskzooError(f"{device}: PyTorch has no {found.group()} for this device; {remedy}") from error
