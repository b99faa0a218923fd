"""What a picture is called on another machine, by a server or by another tool: the parts of its name, and what is the same."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from pathlib import PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["drop_export", "drop_upload", "fold_name", "is_address", "mend_letters", "plain_name", "split_address"]

# Label Studio puts eight digits before the name of an uploaded file.
_UPLOAD = re.compile(r"[0-9a-f]{6,36}-(?=.)")
_EXPORT = re.compile(r"(.+)_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.\w{8,}(\.\w+)")  # what Roboflow makes of `a.jpg`


def is_address(named: str) -> bool:
    """Say whether a name is an address, or names one of Label Studio's local files."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", named) is not None or "?d=" in named


def split_address(named: str) -> list[str]:
    """Return the parts of a path as any machine writes it: with `/` or `\\`, a drive, an address, `?d=` of Label Studio."""
    if "\0" in named or named.startswith("data:"):
        return []
    if is_address(named):
        with suppress(ValueError):  # of an address with a single bracket: then it is a path
            address = urlsplit(named)
            query = parse_qs(address.query)
            named = query["d"][0] if "d" in query else unquote(address.path)
    path = PureWindowsPath(named)  # splits at both kinds of slashes
    return [part for part in path.parts if part != path.anchor]


def fold_name(name: str) -> str:
    """Return a name in which letters composed or not, small or capital, are the same."""
    return unicodedata.normalize("NFC", name).casefold()


def plain_name(name: str) -> str:
    """Return a name as a server keeps it that writes `_` for spaces and drops other signs (Django's `get_valid_filename`)."""
    return re.sub(r"[^-\w.]", "", fold_name(name).strip().replace(" ", "_"))


def mend_letters(name: str) -> str:
    """Return a name of which each letter became two or three, for it was read in another encoding, as it was."""
    for encoding in () if name.isascii() else ("cp1252", "latin-1", "cp437"):  # of Windows, and of its archives
        with suppress(UnicodeError):
            return name.encode(encoding).decode("utf-8")
    return name


def drop_export(name: str) -> str:
    """Return a name without what Roboflow's export adds to it."""
    return _EXPORT.sub(r"\1\2", name)


def drop_upload(name: str) -> str:
    """Return a name without the prefix that an upload gives it."""
    return _UPLOAD.sub("", name, count=1) if _UPLOAD.match(name) else name
