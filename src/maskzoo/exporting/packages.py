"""The packages that only exporting needs, imported where they are used."""

from __future__ import annotations

from typing import Any

from maskzoo.errors import ExportError
from maskzoo.system.telemetry import import_silenced

__all__ = ["import_package"]


def import_package(name: str) -> Any:
    """Return the package, which reports its use to nobody. Raises ExportError with the command that installs it."""
    try:
        return import_silenced(name)
    except ImportError as error:
        extra = "int8" if name == "nncf" else "export"
        raise ExportError(f"{name} is not installed, and exported files need it: pip install 'maskzoo[{extra}]'") from error
