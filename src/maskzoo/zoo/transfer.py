"""One file over the network: resumed where it broke off, within bounds of size and time.

Built on requests rather than pooch, which can neither resume a broken download nor tell a truncated one from a whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from maskzoo.errors import DownloadError, TransientError, WeightsError
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.weights.pdparams import MAX_FILE_BYTES, looks_like_page

__all__ = ["Part", "download"]

CHUNK_BYTES = 1 << 16
LEAST_RATE = 1000  # bytes a second: what is slower counts as stalled
MAX_REDIRECTS = 5
PAGE_TYPES = ("text/html", "application/xhtml+xml", "text/xml", "application/xml", "application/json")
LONGEST = 720  # times the limit of one answer: by then a download, all tries together, must be over; 6 hours as a rule
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class _Version:
    """What tells one state of the file on the server from the next."""

    url: str
    validator: str | None  # strong ETag, or Last-Modified
    size: int | None


class Part:
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


class _Session(requests.Session):
    """Sees no redirect in any answer: requests would read its whole body, however long, whether it follows or not."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _open(session: _Session, url: str, headers: dict[str, str], timeout: float) -> requests.Response:
    """Return the answer, its body not read. A few redirects are followed, none from https to anything else.

    A server that sends its answer letter by letter is given up after twice the `timeout`, by which it may be late with
    each.
    """
    for _ in range(MAX_REDIRECTS + 1):
        get = partial(session.get, url, headers=headers, stream=True, timeout=timeout)
        try:
            response = _limit(2 * timeout, get)
            target = super(_Session, session).get_redirect_target(response)
            if target is None:
                return response
            response.close()
            found, url = url, urljoin(response.url, target)
        except ValueError as error:  # of what requests, urllib3, urllib and the codec of host names think of an address
            raise DownloadError(f"{url}: leads to no address that can be asked ({error}); check the address") from error
        if found.startswith("https:") and not url.startswith("https:"):
            raise DownloadError(f"{found}: redirects to {url}, expected an https address; it was not followed")
    raise DownloadError(f"{url}: more than {MAX_REDIRECTS} redirects, one after the other; check the address")


def _limit(seconds: float, work: Callable[[], requests.Response]) -> requests.Response:
    """Return what `work` does; give it up after `seconds`: a socket's own limit begins anew with every byte."""
    outcome: Future[requests.Response] = Future()

    def run() -> None:
        try:
            response = work()
        except Exception as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(response)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        outcome.add_done_callback(_close_late)
        raise TransientError(f"the server did not answer within {seconds:g} seconds") from None


def _close_late(outcome: Future[requests.Response]) -> None:
    if outcome.exception() is None:
        outcome.result().close()


def download(
    url: str, part: Part, on_progress: OnProgress, retries: int, timeout: float, check: Callable[[Path], object]
) -> None:
    """Bring the part to its end; on return it is whole, on the disk, and `check` found no fault in it.

    `check` raises WeightsError. Where the server did not say how long the file is, that means another try.
    """
    deadline = time.monotonic() + LONGEST * timeout
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(2.0 ** (attempt - 1), timeout))
        try:
            with _Session() as session:
                total = _try_once(session, url, part, on_progress, timeout, deadline)
            return _check(url, part, check, total)
        except (requests.ConnectionError, requests.Timeout, HTTPError) as error:  # HTTPError: from the body
            failure = f"{type(error).__name__}: {error}"
        except TransientError as error:
            failure = str(error)
        except requests.RequestException as error:
            raise DownloadError(f"{url}: cannot be fetched: {error}") from error
    raise DownloadError(
        f"{url}: not on this machine and not fetched after {retries + 1} tries; the last one: {failure}. Check the "
        "connection and try again (what has come already is kept)"
    )


def _check(url: str, part: Part, check: Callable[[Path], object], total: int | None) -> None:
    try:
        check(part.path)
    except WeightsError as error:
        part.discard()
        fault = str(error).removeprefix(f"{part.path}: ")
        if total is None:
            raise TransientError(f"it broke off, or is no weights file: {fault}") from error
        raise DownloadError(f"{url}: all of it came, and it is no whole weights file: {fault}") from error


def _try_once(session: _Session, url: str, part: Part, on_progress: OnProgress, timeout: float, deadline: float) -> int | None:
    """Fetch what is missing, and return how long the file is, if the server says so."""
    here = part.resumable(url)
    headers = {"Accept-Encoding": "identity"}  # sizes and ranges are those of the file
    if here:
        headers["Range"] = f"bytes={here[0]}-"
        if here[1].validator:
            headers["If-Range"] = here[1].validator
    with _open(session, url, headers, timeout) as response:
        done = begun = _check_answer(url, response, part, here)
        total = _version(url, response, done).size
        if total is not None and total > MAX_FILE_BYTES:
            raise DownloadError(f"{url}: {total} bytes, expected at most {MAX_FILE_BYTES}: these are not our weights")
        with part.path.open("r+b") as file:
            file.seek(done)
            started = time.monotonic()
            for chunk in _read_body(response, timeout, deadline):
                if not done:
                    _refuse_page(url, response, chunk)
                done += file.write(chunk)
                if done > MAX_FILE_BYTES:
                    raise DownloadError(f"{url}: more than {MAX_FILE_BYTES} bytes: these are not our weights")
                rate = (done - begun) / max(time.monotonic() - started, 1e-3)
                on_progress(ProgressEvent("Fetching weights", done, total, "bytes", rate))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    if done == 0 or (total is not None and done < total):
        raise TransientError(f"it broke off after {done} of {total or 'an unknown number of'} bytes")
    if total is not None and done > total:
        part.discard()
        raise TransientError(f"{done} bytes came, {total} were announced")
    return total


def _read_body(response: requests.Response, timeout: float, deadline: float) -> Iterator[bytes]:
    """Yield a body as it comes. Raises TransientError for less than `LEAST_RATE` bytes a second, and DownloadError at the
    deadline.

    A thread reads: a server that sends the marks between two chunks letter by letter keeps a single read waiting for ever.
    """
    pieces: Queue[bytes | Exception] = Queue(16)
    over = threading.Event()
    threading.Thread(target=_pass_on, args=(response, pieces, over), daemon=True).start()
    since, came = time.monotonic(), 0
    try:
        while True:
            now = time.monotonic()
            if now >= deadline:
                raise DownloadError(f"{response.url}: not whole at the deadline; what has come is kept: try again")
            if (seconds := now - since) >= timeout:
                if came < LEAST_RATE * seconds:
                    raise TransientError(f"{came} bytes in {seconds:.0f} s, expected {LEAST_RATE} in each")
                since, came, seconds = now, 0, 0.0
            try:
                piece = pieces.get(timeout=min(timeout - seconds, deadline - now) + 1e-3)
            except Empty:
                continue
            if isinstance(piece, Exception):
                raise TransientError(f"{type(piece).__name__}: {piece}") from piece
            if not piece:
                return
            came += len(piece)
            yield piece
    finally:
        over.set()
        with contextlib.suppress(Exception):  # it has no public name; without it the thread waits for the server to end
            connection: Any = response.raw.connection
            connection.sock.shutdown(socket.SHUT_RDWR)


def _pass_on(response: requests.Response, pieces: Queue[bytes | Exception], over: threading.Event) -> None:
    piece: bytes | Exception = b"?"
    while piece and not isinstance(piece, Exception):
        try:
            piece = response.raw.read1(CHUNK_BYTES, decode_content=True)  # as it comes, however little
        except Exception as error:  # whatever requests, urllib3, http.client and ssl raise for a body
            piece = error
        while not over.is_set():
            with contextlib.suppress(Full):
                pieces.put(piece, timeout=0.1)
                break
        if over.is_set():
            return


def _check_answer(url: str, response: requests.Response, part: Part, here: tuple[int, _Version] | None) -> int:
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
    if status in (206, 416):  # the part here does not belong to the file there now
        part.discard()
        raise TransientError("the file on the server has changed meanwhile")
    if status >= 500 or status in (408, 429):
        raise TransientError(f"the server answered {status} {response.reason}")
    raise DownloadError(f"{url}: the server answered {status} {response.reason}; expected the file: check the address")


def _version(url: str, response: requests.Response, start: int) -> _Version:
    """Read the version of the file from an answer that begins at byte `start`."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":  # packed in spite of our request: sizes say nothing
        return _Version(url, None, None)
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified")
    length = headers.get("Content-Length", "")
    if length.isdecimal() and len(length) > 18:
        raise DownloadError(f"{url}: the server announces a length of {len(length)} digits: these are not our weights")
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
            "address, and whether the network requires a login first"
        )
