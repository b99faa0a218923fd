"""Packages that report their use to their makers, imported so that they report nothing."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__all__ = ["SWITCHES", "import_silenced"]

SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "FIFTYONE_DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")


def import_silenced(name: str) -> Any:
    """Import a package, after those that report their use were silenced for the rest of the process.

    OpenVINO and NNCF report by the package openvino_telemetry, and do without it where it cannot be imported. If the program
    has imported it already, what it would send from now on is dropped. onnxruntime reports from inside its library unless
    ORT_DISABLE_TELEMETRY is set when that is loaded; child processes inherit it. huggingface_hub, FiftyOne and MLflow read
    variables of theirs. Raises what the import raises.
    """
    os.environ.update(dict.fromkeys(SWITCHES, "1"))
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        constants.HF_HUB_DISABLE_TELEMETRY = True  # type: ignore[attr-defined]
    runtime = sys.modules.get("onnxruntime")
    if runtime is not None and hasattr(runtime, "disable_telemetry_events"):
        runtime.disable_telemetry_events()
    sender = sys.modules.get("openvino_telemetry.utils.sender")
    if sender is None:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing it raises ImportError
    else:
        sender.TelemetrySender.send = _drop
    return import_module(name)


def _drop(*_: Any) -> None:
    """Stand in for TelemetrySender.send."""
