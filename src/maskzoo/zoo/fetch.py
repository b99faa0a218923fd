"""Weights from the network: fetched once, whole or not at all, and verified at every later use.

Built on requests rather than pooch, which can neither resume a broken download nor tell a truncated one from a whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests
from filelock import FileLock

from maskzoo.errors import DownloadError, WeightsError
from maskzoo.files import write_whole
from maskzoo.weights.pdparams import MAX_FILE_BYTES, looks_like_page

__all__ = ["cached", "fetch", "hash_file", "home"]

Progress = Callable[[int, int | None], None]  # bytes here, bytes in all (None: the server does not say)

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
PAGE_TYPES = ("text/html", "application/xhtml+xml", "text/xml", "application/xml", "application/json")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def home() -> Path:
    """Return the folder of what is fetched: MASKZOO_HOME, by default `maskzoo` in the user's cache folder."""
    if chosen := os.environ.get("MASKZOO_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "maskzoo"


def cached(url: str) -> Path | None:
    """Return the file of `url` if it is on this machine; its content is not checked."""
    path = _place(url)
    with _explained(url, path):
        return path if path.is_file() else None


def fetch(url: str, *, progress: Progress | None = None, retries: int = 4, timeout: float = 30.0) -> Path:
    """Return the file of `url`, downloaded at the first use into `<home>/weights` under the URL's last name.

    The SHA-256 of a first download, or of a file that the user put there, is kept beside it (`<file>.sha256`, as
    `sha256sum` writes it) and compared at each later use. A download that breaks off or stalls for `timeout` seconds is
    taken up where it stopped, up to `retries` times, also by a later call. MASKZOO_OFFLINE=1 forbids any connection.
    Raises WeightsError for a file that has changed, DownloadError when there is no file and none can be fetched.
    """
    if path := cached(url):
        return _verify(path)
    path = _place(url)
    if os.environ.get("MASKZOO_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(f"{url}: not on this machine, and MASKZOO_OFFLINE forbids to fetch it. {_advise(path)}")
    with _explained(url, path):
        if os.path.lexists(path) and not path.is_file():
            raise DownloadError(f"{path}: no file, but a folder or a link that leads nowhere; delete or correct it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.is_file():  # another process was faster
                return _verify(path)
            part = _Part(path.with_name(f"{path.name}.part"))
            _download(url, part, progress or (lambda done, total: None), retries, timeout)
            _remember(path, hash_file(part.path))
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
        raise DownloadError(f"{url!r}: no address of a file; expected one that begins with https:// or http://")
    if not _NAME.fullmatch(name) or name.endswith((".part", ".note", ".sha256", ".lock")):
        raise DownloadError(f"{url!r}: ends in {name!r}; expected the plain name of a weights file")
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


def _verify(path: Path) -> Path:
    """Compare a file with its remembered checksum; remember that of a file which has none."""
    beside = _checksum_file(path)
    try:
        found = hash_file(path)
        if not beside.is_file():
            if os.access(path.parent, os.W_OK):  # else a cache that we may only read: nobody here changes it either
                _remember(path, found)
            return path
        expected = (beside.read_text(encoding="utf-8", errors="replace").split() or [""])[0]
    except OSError as error:
        raise WeightsError(f"{path}: cannot be verified ({error}); check the rights of file and folder") from error
    if found != expected:
        raise WeightsError(
            f"{path}: SHA-256 is {found}, expected {expected} (from {beside.name}): the file has changed since it was "
            f"fetched. Delete it to download it again; if you changed it on purpose, delete {beside.name} instead"
        )
    return path


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remember(path: Path, checksum: str) -> None:
    write_whole(_checksum_file(path), f"{checksum}  {path.name}\n".encode())


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


# A file that comes over the network


@dataclass(frozen=True, slots=True)
class _Version:
    """What tells one state of the file on the server from the next."""

    url: str
    validator: str | None  # strong ETag, or Last-Modified
    size: int | None


class _Part:
    """A download that is not whole yet, and the note of the version that it is a part of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = path.with_name(f"{path.name}.note")

    def begin(self, version: _Version) -> None:
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def resumable(self, url: str) -> tuple[int, _Version] | None:
        """Return bytes and version of what is here, if a server can tell whether the rest belongs to it."""
        try:
            version = _Version(**json.loads(self.note.read_text(encoding="utf-8")))
            size = self.path.stat().st_size
        except (OSError, ValueError, TypeError):
            return None  # a note that is missing or damaged: start again
        known = version.url == url and (version.validator or version.size)
        return (size, version) if known and size else None

    def discard(self) -> None:
        self.note.unlink(missing_ok=True)


class _TransientError(Exception):
    """A failure that another try may mend."""


class _Session(requests.Session):
    """Follows a few redirects, and none from https to anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.max_redirects = MAX_REDIRECTS

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target and resp.url.startswith("https:") and not urljoin(resp.url, target).startswith("https:"):
            raise DownloadError(f"{resp.url}: redirects to {target}, expected an https address; it was not followed")
        return target


def _download(url: str, part: _Part, progress: Progress, retries: int, timeout: float) -> None:
    """Bring the part to its end; on return it is whole and on the disk."""
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(2.0 ** (attempt - 1), timeout))
        try:
            with _Session() as session:
                return _try_once(session, url, part, progress, timeout)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            failure = f"{type(error).__name__}: {error}"
        except _TransientError as error:
            failure = str(error)
        except requests.RequestException as error:
            raise DownloadError(f"{url}: cannot be fetched: {error}") from error
    raise DownloadError(
        f"{url}: not on this machine and not fetched after {retries + 1} tries; the last one: {failure}. Check the "
        "connection and try again (what has come already is kept)"
    )


def _try_once(session: _Session, url: str, part: _Part, progress: Progress, timeout: float) -> None:
    here = part.resumable(url)
    headers = {"Accept-Encoding": "identity"}  # sizes and ranges are those of the file
    if here:
        headers["Range"] = f"bytes={here[0]}-"
        if here[1].validator:
            headers["If-Range"] = here[1].validator
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        done = _check_answer(url, response, part, here)
        total = _version(url, response, done).size
        if total is not None and total > MAX_FILE_BYTES:
            raise DownloadError(f"{url}: {total} bytes, expected at most {MAX_FILE_BYTES}: these are not our weights")
        with part.path.open("r+b") as file:
            file.seek(done)
            for chunk in response.iter_content(CHUNK_BYTES):
                if not done:
                    _refuse_page(url, response, chunk)
                done += file.write(chunk)
                if done > MAX_FILE_BYTES:
                    raise DownloadError(f"{url}: more than {MAX_FILE_BYTES} bytes: these are not our weights")
                progress(done, total)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    if done == 0 or (total is not None and done < total):
        raise _TransientError(f"it broke off after {done} of {total or 'an unknown number of'} bytes")
    if total is not None and done > total:
        part.discard()
        raise _TransientError(f"{done} bytes came, {total} were announced")


def _check_answer(url: str, response: requests.Response, part: _Part, here: tuple[int, _Version] | None) -> int:
    """Return how many bytes of the part the answer continues from; 0 begins a new part."""
    status = response.status_code
    if status == 200:
        _refuse_page(url, response, b"")
        part.begin(_version(url, response, 0))
        return 0
    if status == 206 and here:
        size, version = here
        start = _RANGE.match(response.headers.get("Content-Range", ""))
        found = _version(url, response, size)
        changed = version.size is not None and found.size not in (None, version.size)
        changed |= None not in (version.validator, found.validator) and found.validator != version.validator
        if start and int(start[1]) == size and not changed:
            return size
    if status in (206, 416):  # what is here is no part of what is there now
        part.discard()
        raise _TransientError("the file on the server has changed meanwhile")
    if status >= 500 or status in (408, 429):
        raise _TransientError(f"the server answered {status} {response.reason}")
    raise DownloadError(
        f"{url}: the server answered {status} {response.reason}; expected the file: check the address"
    )


def _version(url: str, response: requests.Response, start: int) -> _Version:
    """Read the version of the file from an answer that begins at byte `start`."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":  # packed in spite of our request: sizes say nothing
        return _Version(url, None, None)
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified")
    length = headers.get("Content-Length", "")
    size = start + int(length) if length.isdecimal() else None
    if content_range := _RANGE.match(headers.get("Content-Range", "")):
        size = int(content_range[3]) if content_range[3] != "*" else size
    return _Version(url, validator, size)


def _refuse_page(url: str, response: requests.Response, head: bytes) -> None:
    """Refuse a page, which is what a log-in, a proxy or an error with status 200 sends instead of the file."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    # text/plain is also what servers say of a file whose name they do not know: there the content decides
    words = kind == "text/plain" and bool(head) and head.isascii() and b"\0" not in head
    if kind in PAGE_TYPES or words or looks_like_page(head):
        raise DownloadError(
            f"{url}: not a weights file: the server answered with a page ({kind or 'of no stated type'}); check the "
            "address, and whether the network wants a log-in first"
        )

