"""Weights from the network: fetched once, whole or not at all, and verified at every later use.

How they come over the network is `zoo/transfer.py`'s.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from maskzoo.errors import DownloadError, WeightsError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import hash_file, home, write_whole
from maskzoo.weights.pdparams import read_pdparams

__all__ = ["fetch", "find_fetched"]

PUBLISHED = "https://paddledet.bj.bcebos.com/models/"  # PaddleDetection's; ImageNet weights are in its `pretrained`
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


def find_fetched(url: str) -> Path | None:
    """Return the file of `url` if it is on this machine; its content is not checked."""
    path = _place(url)
    with _explained(url, path):
        return path if path.is_file() else None


def fetch(
    url: str, sha256: str = "", *, on_progress: OnProgress = say_nothing, retries: int = 4, timeout: float = 30.0
) -> Path:
    """Return the file of `url`, downloaded at the first use into `<home>/weights`.

    It has the URL's last name; where the URL is not PaddleDetection's, the first 8 digits of the URL's SHA-256 stand
    before the suffix (`NAME-1a2b3c4d.pdparams`), so that files of one name do not take each other's place. Its SHA-256 must
    begin with `sha256`, where the publisher has stated that.

    A download is kept once it was read whole, every tensor; its SHA-256, or that of a file that the user put there, is kept
    beside it (`<file>.sha256`, as `sha256sum` writes it) and compared at each later use. A file here that cannot be read
    whole is fetched anew and put aside (`<file>.bad`). A download that breaks off, stalls for `timeout` seconds or
    brings less than 1,000 bytes a second is taken up where it stopped, up to `retries` times, also by a later call.
    MASKZOO_OFFLINE=1 forbids any connection.
    Raises WeightsError for a file that has changed, DownloadError when there is no file and none can be fetched.
    """
    path = _place(url)
    fault = ""
    if find_fetched(url) and not (fault := _verify(path, sha256)):
        return path
    if os.environ.get("MASKZOO_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(
            f"{url}: {fault or 'not on this machine'}, and MASKZOO_OFFLINE forbids fetching it. {_advise(path)}"
        )
    from maskzoo.zoo.transfer import Part, download  # and requests with it, which few calls need

    with _explained(url, path):
        if os.path.lexists(path) and not path.is_file():
            raise DownloadError(f"{path}: not a file, but a folder or a broken link; delete or correct it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.is_file() and not (fault := _verify(path, sha256)):  # another process was faster
                return path
            part = Part(path.with_name(f"{path.name}.part"))
            download(url, part, on_progress, retries, timeout, lambda file: _read_whole(file, path.suffix))
            found = hash_file(part.path)
            if not found.startswith(sha256):
                part.path.unlink()
                part.discard()
                raise DownloadError(f"{url}: {_tell_hashes(found, sha256)}, so it is another file, and was deleted")
            if fault:
                bad = path.with_name(f"{path.name}.bad")
                path.replace(bad)
                on_progress(ProgressEvent("Fetching weights", note=f"{fault}: put aside as {bad.name}, and fetched anew"))
            _remember(path, found)
            part.path.replace(path)
            part.note.unlink(missing_ok=True)
    return path


def _place(url: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as a bracket that is not closed
        parts = urlsplit("")
    name = unquote(parts.path.rpartition("/")[2])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadError(f"{url!r}: not the address of a file; expected one that begins with https:// or http://")
    if not _NAME.fullmatch(name) or name.endswith((".part", ".note", ".sha256", ".lock", ".bad")):
        raise DownloadError(f"{url!r}: ends in {name!r}; expected the plain name of a weights file")
    if url != f"{PUBLISHED}{'pretrained/' if '_pretrained' in name else ''}{name}":
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem or suffix}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{dot and dot + suffix}"
    return home() / "weights" / name


def _advise(path: Path) -> str:
    inside = Path("weights") / path.name
    return f"Fetch it elsewhere and put it at {path}, or set MASKZOO_HOME to a folder that holds {inside}"


@contextlib.contextmanager
def _explained(url: str, path: Path) -> Iterator[None]:
    """Say at the end of every failed download what the user can do."""
    try:
        yield
    except DownloadError as error:
        raise DownloadError(f"{error}. {_advise(path)}") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        fault = "the disk is full" if full else "the folder cannot be read or written"
        raise DownloadError(
            f"{url}: cannot be stored at {path}: {fault} ({error}). Make room, or set MASKZOO_HOME to another folder"
        ) from error


# A file that is here


def _verify(path: Path, sha256: str) -> str:
    """Compare a file with its publisher's checksum and the remembered one; remember that of a file which has none.

    Returns what is wrong with a file that cannot be read whole, an empty text for a sound one. Raises WeightsError for one
    that is whole, but not what it was.
    """
    beside = _checksum_file(path)
    try:
        _read_whole(path, path.suffix)
    except WeightsError as error:
        return str(error)
    try:
        found = hash_file(path)
        if not found.startswith(sha256):
            raise WeightsError(
                f"{path}: {_tell_hashes(found, sha256)}: delete it to download it again, or give the weights that you mean "
                "with --weights"
            )
        if not beside.is_file():
            if os.access(path.parent, os.W_OK):  # else a cache that we may only read: nobody here changes it either
                _remember(path, found)
            return ""
        expected = (beside.read_text(encoding="utf-8", errors="replace").split() or [""])[0]
    except OSError as error:
        raise WeightsError(f"{path}: cannot be verified ({error}); check the rights of file and folder") from error
    if found != expected:
        raise WeightsError(
            f"{path}: SHA-256 is {found}, expected {expected} (from {beside.name}): the file has changed since it was "
            f"fetched. Delete it to download it again; if you changed it on purpose, delete {beside.name} instead"
        )
    return ""


def _read_whole(path: Path, suffix: str) -> None:
    """Read a weights file whole, by its own structure, and keep nothing. Raises WeightsError if that cannot be."""
    if suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:  # it holds the header against the size of the file
                file.keys()
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error
    elif suffix == ".pdparams":
        read_pdparams(path)
    elif suffix == ".tgz":  # a package of npm
        try:
            with gzip.open(path) as stream:
                while stream.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            raise WeightsError(f"{path}: cannot be unpacked: {error}") from error
    else:
        from maskzoo.weights.foreign import read_tensors

        read_tensors(path)


def _tell_hashes(found: str, sha256: str) -> str:
    return f"SHA-256 begins with {found[: len(sha256)]}, expected {sha256}, which its publisher states"


def _remember(path: Path, checksum: str) -> None:
    write_whole(_checksum_file(path), f"{checksum}  {path.name}\n".encode())


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
