"""Names, folders and files to write: a file is the old one or the whole new one, and every fault says what helps."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from maskzoo.errors import MaskzooError
from maskzoo.system.locks import close_locked, open_locked

__all__ = [
    "STREAMS",
    "abandon_parts",
    "append_whole",
    "check_folder",
    "check_target",
    "choose_name",
    "describe_address",
    "explained",
    "fit_name",
    "hash_file",
    "home",
    "is_taken",
    "make_folder",
    "open_regular",
    "own_folder",
    "read_regular",
    "remove_dead_parts",
    "replacing",
    "write_file",
    "write_whole",
]


LONGEST_NAME = 255  # bytes of a name, whatever the file system says: one may count letters, and the next one not
LOCK = ".maskzoo.lock"  # in a folder that has an owner
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)  # of a file that is being written
TRIED = 10_000  # names in a row that may be taken
_written: set[Path] = set()  # the parts of this process

_ROOM = "make room there, or choose another place"
_RIGHTS = "change the rights of the folder, or choose another place"
_IN_THE_WAY = "a file, or a link that leads nowhere, stands where a folder is expected: move it, or choose another place"
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "nothing can be changed on that disk: choose another place",
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: "a folder stands where a file is expected: move it, or choose another name",
    errno.ELOOP: "its links lead in a circle: delete or correct them, or choose another place",
    errno.ENOENT: "a folder above is missing, or a link leads nowhere: make or correct it, or choose another place",
    errno.ENAMETOOLONG: f"a name has at most {LONGEST_NAME} bytes: choose a shorter one",
}
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(?=.)")  # a Path keeps one of the slashes
_DATA = re.compile(r"data:[\w/+.-]*(;[\w=.-]+)*,", re.IGNORECASE)  # an address that is its own content
STREAMS = ("rtsp", "rtsps", "rtmp", "rtp", "udp", "srt", "mms")


@contextlib.contextmanager
def explained(path: Path, kind: type[MaskzooError] = MaskzooError) -> Iterator[None]:
    """Raise `kind` for an OSError inside: what cannot be written, what was found, and what helps."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check folder, rights and free space, or choose another place")
        raise kind(f"{path}: cannot be written ({error.strerror or error}); {advice}") from error


def check_folder(folder: Path, kind: type[MaskzooError] = MaskzooError) -> None:
    """Raise `kind` unless files can be made in `folder` or, if that is to be made yet, in what is there of its path."""
    place = folder
    with explained(folder, kind):
        while not _is_there(place) and place != place.parent:
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            pass


def make_folder(folder: Path, kind: type[MaskzooError] = MaskzooError) -> None:
    """Make a folder and those above it. Raises `kind` if that cannot be, or no file can be made in it."""
    with explained(folder, kind):
        folder.mkdir(parents=True, exist_ok=True)
    check_folder(folder, kind)


@contextlib.contextmanager
def own_folder(folder: Path, kind: type[MaskzooError] = MaskzooError) -> Iterator[str]:
    """Hold a folder that is there for this call alone, until the end of the block or of the process, and yield a note.

    The note is empty, or says that the file system knows no locks, so that nothing keeps another process out. What
    killed owners left half written in it is removed. Raises `kind` if another has the folder.
    """
    path = folder / LOCK
    with explained(path, kind):
        handle, locked = open_locked(path, 0)
    try:
        if locked is False:
            owner = os.pread(handle, 300, 0).decode(errors="replace").strip() if hasattr(os, "pread") else ""
            raise kind(
                f"{folder}: in use by {owner or 'another process'}; expected a folder that nobody else writes into now; wait "
                "until that has ended, or choose another folder"
            )
        with contextlib.suppress(OSError):  # who it is helps a reader only
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        remove_dead_parts(folder, kind)
        try:
            yield "" if locked else f"{folder}: its file system knows no locks: start nothing else that writes there meanwhile"
        finally:
            with contextlib.suppress(OSError):  # an empty one that stays is no fault: its lock is gone
                path.unlink()
    finally:
        close_locked(handle)


def remove_dead_parts(folder: Path, kind: type[MaskzooError] = MaskzooError) -> None:
    """Remove what `write_whole` left in a folder when it was killed. Raises `kind`.

    A part that a process is writing now is locked, and stays.
    """
    with explained(folder, kind):
        parts = [entry for entry in os.scandir(folder) if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
        for part in parts:
            handle, locked = open_locked(Path(part.path), 0)
            with contextlib.suppress(FileNotFoundError):
                if locked:
                    Path(part.path).unlink()
            close_locked(handle)


def check_target(path: Path, *, force: bool = True, kind: type[MaskzooError] = MaskzooError) -> None:
    """Raise `kind` unless a file can be written at `path`, whose folder need not be there yet.

    Without `force` nothing may be there; with it a file may, but no folder and no link that leads nowhere.
    """
    check_folder(path.parent, kind)
    with explained(path, kind):
        there = _is_there(path)
        if there and not force:
            raise kind(f"{path}: exists already; expected a new file; choose another or pass --force")
        if there and stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def _is_there(path: Path) -> bool:
    """Return whether anything has this name, a link that leads nowhere too. Raises OSError if that cannot be seen."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def is_taken(path: Path, mark: bytes) -> bool:
    """Return whether `path` is anything but free or a file of ours, which has `mark` in its first kilobyte.

    Raises MaskzooError if that cannot be seen.
    """
    with explained(path):
        if not _is_there(path):
            return False
    try:
        if not path.is_file():  # to open a pipe would wait for its writer
            return True
        with path.open("rb") as stream:
            return mark not in stream.read(1024)
    except OSError:  # it is there, whatever it is
        return True


def fit_name(stem: str, ending: str, folder: Path) -> str:
    """Return `stem + ending`, with as many whole letters of the stem as the longest name in `folder` has room for."""
    try:
        longest = min(LONGEST_NAME, os.pathconf(folder, "PC_NAME_MAX"))
    except (AttributeError, OSError):  # Windows; a folder that is not there yet
        longest = LONGEST_NAME
    room = max(longest - len(os.fsencode(ending)), 0)
    stem = stem[:room]
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def choose_name(folder: Path, stem: str, suffix: str, taken: Callable[[Path], bool], first: int = 1) -> tuple[Path, int]:
    """Return the first of `stem.suffix`, `stem-2.suffix` ... in `folder` that is not taken, and its number.

    `first` is the number to begin with. Raises MaskzooError after 10,000 that are taken.
    """
    for number in range(first, first + TRIED):
        path = folder / fit_name(stem, (f"-{number}" if number > 1 else "") + suffix, folder)
        if not taken(path):
            return path, number
    raise MaskzooError(
        f"{folder}: {TRIED:,} names in a row are taken, up to {path.name}; expected a free one; move what lies there, "
        "or choose another --out"
    )


def expand_home(path: Path) -> Path:
    """Return the path with `~` at its beginning as the user's own folder, unless a file has that name."""
    if not str(path).startswith("~") or os.path.lexists(path):
        return path
    with contextlib.suppress(RuntimeError):  # ~somebody who is not known here
        return path.expanduser()
    return path


def describe_address(source: str | Path) -> str | None:
    """Say what to do with an address (https://, rtsp://, s3://, data:) that stands where a file must; None for a path."""
    text = str(source)
    match, data = _ADDRESS.match(text), _DATA.match(text)
    if not (match or data) or os.path.exists(source):  # noqa: PTH110 - False for a name too long
        return None
    if data:
        return f"{data[0]}...: is an address (data); expected a file: decode what follows the comma, and save it as one"
    assert match is not None  # or there were data
    shown, kind = (_ADDRESS.sub(r"\1://", text) if isinstance(source, Path) else text), match[1].lower()
    if kind == "file":
        advice = "give the path alone, without file://"
    elif kind in STREAMS:
        advice = "a stream goes alone: maskzoo predict MODEL ADDRESS, predictor.stream(ADDRESS)"
    else:
        advice = "download or copy it to a file first, and give that file's path"
    return f"{shown}: is an address ({kind}); expected a file or folder on this machine: {advice}"


def write_file(path: Path, content: bytes | Iterable[bytes], kind: type[MaskzooError] = MaskzooError) -> None:
    """Write the old file or the whole new one, as `write_whole`. Raises `kind` if that cannot be."""
    with explained(path, kind):
        write_whole(path, content)


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write `content`, or its pieces, under another name, wait until it is on the disk, then rename it to `path`.

    Raises OSError; `path` is as before then, and nothing else is left.
    """
    with replacing(path) as (_, handle), open(handle, "wb", closefd=False) as file:
        file.writelines([content] if isinstance(content, bytes) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the name and the open, locked file of what becomes `path`, on the disk, if the block ends well. Raises OSError."""
    part = path.parent / fit_name(f".{path.name}", f".{secrets.token_hex(4)}.part", path.parent)
    _written.add(part)
    try:
        handle, _ = open_locked(part, os.O_EXCL)
        try:
            yield part, handle
            os.fsync(handle)
            if os.name != "nt":  # it keeps its lock until it has its name
                part.replace(path)
        finally:
            close_locked(handle)
        if os.name == "nt":
            part.replace(path)
        _flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):  # it is gone when all went well; an unwritable folder was reported above
            part.unlink()
        _written.discard(part)


def append_whole(file: io.RawIOBase, content: bytes) -> None:
    """Append all of `content` to a file without a buffer, of which a disk that fills up takes a part. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) or 0 :]


def abandon_parts() -> None:
    """Remove what this process is writing, whichever thread does: for one that `os._exit` ends at once."""
    for part in tuple(_written):
        with contextlib.suppress(OSError):
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


def home() -> Path:
    """Return the folder of what is fetched: MASKZOO_HOME, by default `maskzoo` in the user's cache folder.

    Raises MaskzooError if neither can be told.
    """
    chosen, cache = os.environ.get("MASKZOO_HOME"), os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser()
        return (Path(cache) if cache else Path.home() / ".cache") / "maskzoo"
    except RuntimeError as error:  # no such user, or nobody knows where this one's home is
        raise MaskzooError(
            f"MASKZOO_HOME is {chosen!r}: no home folder is found for it ({error}); expected the folder for weights; set "
            "MASKZOO_HOME to one by its full path"
        ) from error


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes. Raises OSError, for a pipe, a socket or a device too: to read one may never end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "a pipe or a device where a file is expected", str(path))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file. Raises OSError as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
