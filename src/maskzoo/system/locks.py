"""Locks on open files that die with their process: flock where there is one, a locked byte on Windows."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

__all__ = ["close_locked", "open_locked", "try_lock"]

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_UNKNOWN_THERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO)
_open: set[int] = set()  # what a forked child must close: a lock lasts until the last copy of its file is closed


def _close_inherited() -> None:
    while _open:
        with contextlib.suppress(OSError):
            os.close(_open.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def try_lock(handle: int) -> bool | None:
    """Lock an open file. Return False if another has it, None where the file system knows no locks. Raises OSError."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        if error.errno in _UNKNOWN_THERE:
            return None
        raise
    return True


def open_locked(path: Path, flags: int) -> tuple[int, bool | None]:
    """Open a file to be written, made if it is missing, and lock it: its handle, and what `try_lock` says. Raises OSError.

    A file that loses its name before it is locked, because its owner removes it at that moment, is opened anew.
    """
    while True:
        handle = os.open(
            path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | flags, 0o666
        )
        _open.add(handle)
        try:
            locked = try_lock(handle)
            if locked is False or os.fstat(handle).st_nlink:
                return handle, locked
        except BaseException:
            close_locked(handle)
            raise
        close_locked(handle)


def close_locked(handle: int) -> None:
    """Close what `open_locked` opened: its lock ends."""
    _open.discard(handle)
    os.close(handle)
