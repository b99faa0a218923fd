"""The tree of everything that maskzoo raises on purpose.

Every message says what was found, what was expected and what to do.
"""

__all__ = [
    "BenchmarkError",
    "ConfigError",
    "DownloadError",
    "ExportError",
    "ImageError",
    "MaskzooError",
    "SnapshotError",
    "SourceError",
    "TrainingError",
    "WeightsError",
]


class MaskzooError(Exception):
    """Base of all errors that maskzoo raises on purpose."""


class ConfigError(MaskzooError):
    """A model file or an override is not valid, or no model has the given name."""


class WeightsError(MaskzooError):
    """A weights file is damaged, unsafe, or does not fit the network."""


class DownloadError(WeightsError):
    """Weights are neither on this machine nor could they be fetched."""


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


class BenchmarkError(MaskzooError):
    """A process that was to measure something failed."""
