"""What converting a data set wrote, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.datasets.importers.builder import Skipped

__all__ = ["ConvertedDataset", "ConvertedSplit"]


@dataclass(frozen=True, slots=True)
class ConvertedSplit:
    """What was written of one split: its `file` (or folder), counts, and every row of the input that was left out."""

    file: Path
    images: int
    empty_images: int
    objects: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class ConvertedDataset:
    """What `convert_dataset` read and wrote: the formats, the classes in order, and `splits` by name.

    `notes` say what a user has to know about the source and the images' place, or does next. `lost` counts what the
    format that was written does not hold: crowds, attributes, pixels under other objects ...
    """

    format: str
    classes: tuple[str, ...]
    splits: dict[str, ConvertedSplit]
    notes: tuple[str, ...]
    to: str = "coco"
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def skipped(self) -> list[Skipped]:
        """The rows of all splits that were left out."""
        return [row for split in self.splits.values() for row in split.skipped]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        splits = {
            name: asdict(split) | {"file": str(split.file), "skipped": [asdict(row) for row in split.skipped]}
            for name, split in self.splits.items()
        }
        written = {"to": self.to, "lost": dict(self.lost), "notes": list(self.notes)}
        return {"format": self.format, "classes": list(self.classes), "splits": splits, **written}
