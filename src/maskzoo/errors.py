"""The tree of everything that maskzoo raises on purpose.

Every message says what was found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from maskzoo.faults import Fault

__all__ = [
    "AnnotationsError",
    "ArgumentError",
    "BenchmarkError",
    "ConfigError",
    "DownloadError",
    "ExportError",
    "ImageError",
    "MaskzooError",
    "MissingPackageError",
    "RequestError",
    "SnapshotError",
    "SourceError",
    "TrainingError",
    "TransientError",
    "WeightsError",
    "count_words",
    "list_some",
    "suggest",
    "tell_plainly",
]

# What an OSError's text says: its number, its reason, and often the path that the message names already.
_OS_REASON = re.compile(r"""\[(?:Errno|WinError) -?\d+\] ([^:;,(){}\n]+)(?:: (?:b?'[^'\n]*'|b?"[^"\n]*"))?""")
_PLAIN = {
    "is a directory": "a folder",
    "not a directory": "a path through a file",
    "no such file or directory": "no such file or folder",
    "permission denied": "no permission",
}


def tell_plainly(text: str) -> str:
    """Return a text with the words of the operating system's errors alone, without their numbers and paths."""

    def replace(found: re.Match[str]) -> str:
        reason = found[1][:1].lower() + found[1][1:]
        return _PLAIN.get(reason, reason)

    return _OS_REASON.sub(replace, text)


LONGEST_NAME = 200  # of one that is compared with others


class MaskzooError(Exception):
    """Base of all errors that maskzoo raises on purpose."""

    def __str__(self) -> str:
        return tell_plainly(super().__str__())


class ArgumentError(MaskzooError, ValueError):
    """An argument of a call, or an option of the command line, is out of range or does not go with another."""


class ConfigError(MaskzooError):
    """A model file or an override is not valid, or no model has the given name."""


class WeightsError(MaskzooError):
    """A weights file is damaged, unsafe, or does not fit the network."""


class DownloadError(WeightsError):
    """Weights are neither on this machine nor could they be fetched."""


class TransientError(DownloadError):
    """A download failed in a way that another try may mend; the last try's becomes a DownloadError that says so."""


class ExportError(MaskzooError):
    """A network cannot be written for a runtime, or a file cannot be read by one or was not exported by maskzoo."""


class ImageError(MaskzooError):
    """An image cannot be read, or is larger than the limit."""


class SourceError(MaskzooError):
    """A path, folder or pattern names no image."""


class MissingPackageError(MaskzooError, ImportError):
    """A package of an extra is not installed, or cannot be imported; the message has the command that installs it."""


class RequestError(MaskzooError):
    """A server of maskzoo refuses a request or cannot be reached: `status` is HTTP's, 0 if there was no answer.

    `retry_after`: in how many seconds another try may succeed, if the server says so.
    """

    def __init__(self, message: str, status: int = 0, retry_after: int | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        super().__init__(message)


class AnnotationsError(MaskzooError):
    """A file of annotations or results holds what cannot be used: `faults` has all of it, the message the first 20."""

    def __init__(self, faults: Sequence[Fault], advice: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(filter(None, [list_some(map(str, faults), 20, "\n"), advice])))


class SnapshotError(MaskzooError):
    """A training run's snapshot cannot be written, or none can be read to go on from."""


class TrainingError(MaskzooError):
    """A training run cannot start as asked, or had to stop."""


def count_words(number: int, noun: str) -> str:
    """Return a number with its noun: `1 error`, `2 errors`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def suggest(name: str, known: Iterable[str], most: int = 3) -> str:
    """Return "did you mean a, b or c?", of the known names that look most like `name`, in capitals or not; "" if none does."""
    near = (
        {word.casefold(): word for word in known if len(word) <= 2 * LONGEST_NAME} if len(name) <= LONGEST_NAME else {}
    )  # else it takes minutes
    *close, last = [near[word] for word in difflib.get_close_matches(name.casefold(), near, n=most, cutoff=0.5)] or [""]
    return f"did you mean {', '.join(close)}{' or ' if close else ''}{last}?" if last else ""


def list_some(values: Iterable[str], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` values as one text that says how many more there are: "a, b and 12 more"."""
    texts = list(values)
    some = between.join(texts[:most])
    return some if len(texts) <= most else f"{some}{between.replace(', ', ' ')}and {len(texts) - most:,} more"


class BenchmarkError(MaskzooError):
    """A process that was to measure something failed."""
