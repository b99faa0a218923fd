"""The rows of a run as TensorBoard events; needs the extra `track`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskzoo.errors import TrainingError
from maskzoo.system.files import explained

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from maskzoo.training.trainer import Row

__all__ = ["add_row", "open_writer"]


def open_writer(folder: Path) -> SummaryWriter:
    """Open the file of events in `folder`. Raises TrainingError if tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrainingError("--tensorboard: tensorboard is not installed; pip install 'maskzoo[track]'") from None
    with explained(folder, TrainingError):
        return SummaryWriter(str(folder))


def add_row(writer: SummaryWriter, row: Row) -> None:
    """Write every number of a row under its kind."""
    for key, value in row.items():
        if key not in ("iteration", "epoch") and isinstance(value, float):
            writer.add_scalar(f"{row['kind']}/{key}", value, row["iteration"])
