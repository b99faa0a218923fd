"""The tree of everything that maskzoo raises on purpose.

Every message says what was found, what was expected and what to do.
"""

from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DownloadError",
    "ExportError",
    "ImageError",
    "MaskzooError",
    "SnapshotError",
    "SourceError",
    "TrainingError",
    "TransientError",
    "UsageError",
    "WeightsError",
    "list_some",
]


class MaskzooError(Exception):
    """Base of all errors that maskzoo raises on purpose."""


class UsageError(MaskzooError):
    """Arguments are given that do not go together, or one has a value that is none of those allowed."""


class ConfigError(MaskzooError):
    """A model file or an override is not valid, or no model has the given name."""


class WeightsError(MaskzooError):
    """A weights file is damaged, unsafe, or does not fit the network."""


class DownloadError(WeightsError):
    """Weights are neither on this machine nor could they be fetched."""


class TransientError(DownloadError):
    """A download failed in a way that another try may mend; the last try's becomes a DownloadError that says so."""


class ExportError(MaskzooError):
    """A network cannot be written for a runtime, the runtime is not installed, or its file is none of ours."""


class ImageError(MaskzooError):
    """An image cannot be read, or is larger than the limit."""


class SourceError(MaskzooError):
    """A path, folder or pattern names no image."""


class SnapshotError(MaskzooError):
    """A training run's snapshot cannot be written, or none can be read to go on from."""


class TrainingError(MaskzooError):
    """A training run cannot start as asked, or had to stop."""


def list_some(values: Iterable[str], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` values as one text that says how many more there are: "a, b and 12 more"."""
    texts = list(values)
    some = between.join(texts[:most])
    return some if len(texts) <= most else f"{some}{between.replace(', ', ' ')}and {len(texts) - most:,} more"
