"""The packages that only exporting needs, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from maskzoo.errors import ExportError

__all__ = ["import_package"]


def import_package(name: str) -> Any:
    """Return the package. Raises ExportError with the command that installs it."""
    try:
        return import_module(name)
    except ImportError as error:
        extra = "int8" if name == "nncf" else "export"
        raise ExportError(f"{name} is not installed, and exported files need it: pip install 'maskzoo[{extra}]'") from error
