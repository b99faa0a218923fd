"""Writing a file so that it is the old one or the whole new one, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from maskzoo.errors import MaskzooError

__all__ = ["hash_file", "home", "make_folder", "write_file", "write_pieces", "write_whole"]


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


def make_folder(folder: Path) -> None:
    """Make the folder for the results and those above it. Raises MaskzooError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MaskzooError(f"{folder}: the folder cannot be made: {error}; choose another --out") from error


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write ASCII texts one after the other, all of them or nothing. Raises MaskzooError if that cannot be."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="ascii", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise _explain(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write `path`, the old file or the whole new one. Raises MaskzooError if that cannot be."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: OSError) -> MaskzooError:
    return MaskzooError(f"{path}: cannot be written: {error}; free some space or choose another --out")


def home() -> Path:
    """Return the folder of what is fetched: MASKZOO_HOME, by default `maskzoo` in the user's cache folder."""
    if chosen := os.environ.get("MASKZOO_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "maskzoo"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
