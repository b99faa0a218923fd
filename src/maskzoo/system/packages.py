"""Packages that not every user needs, imported where they are used."""

from __future__ import annotations

from typing import Any

from maskzoo.errors import MaskzooError
from maskzoo.system.telemetry import import_silenced

__all__ = ["import_extra"]


def import_extra(name: str, user: str, install: str) -> Any:
    """Return the package, which reports its use to nobody; `user` is what needs it, `install` what pip installs for that.

    Raises MaskzooError with the command if it is not installed.
    """
    try:
        return import_silenced(name)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != name.partition(".")[0]:
            raise MaskzooError(f"{name} cannot be imported, and {user} needs it: {error}; install it anew") from error
        raise MaskzooError(f"{name} is not installed, and {user} needs it: pip install '{install}'") from error
