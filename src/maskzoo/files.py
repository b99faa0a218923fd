"""Writing a file so that it is the old one or the whole new one, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` under another name, wait until it is on the disk, then put it in the place of `path`.

    Raises OSError; `path` is as before then, and nothing else is left.
    """
    part = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):  # it is gone when all went well; an unwritable folder was reported above
            part.unlink()


def _flush_folder(path: Path) -> None:
    """Wait until a folder's list of names is on the disk."""
    if os.name == "nt":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
