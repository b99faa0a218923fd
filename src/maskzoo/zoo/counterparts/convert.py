"""From a model of ours to a weights file of another library, with the settings that belong to it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError, WeightsError, suggest
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import write_file
from maskzoo.weights.libraries import list_library_renames
from maskzoo.weights.library_files import write_pickle, write_torch_file
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.rename import rename_back
from maskzoo.zoo.counterparts.counterpart import Counterpart
from maskzoo.zoo.counterparts.detectron2 import to_detectron2
from maskzoo.zoo.counterparts.mmdetection import to_mmdetection
from maskzoo.zoo.counterparts.paddledetection import to_paddledetection
from maskzoo.zoo.counterparts.torchvision import to_torchvision
from maskzoo.zoo.load import load_network

__all__ = ["LibraryName", "WrittenModel", "convert_to", "write_counterpart"]

LibraryName = Literal["paddledetection", "torchvision", "detectron2", "mmdetection"]
TRANSLATE: Mapping[LibraryName, Callable[[ModelConfig, str, str], Counterpart]] = {
    "paddledetection": to_paddledetection,
    "torchvision": to_torchvision,
    "detectron2": to_detectron2,
    "mmdetection": to_mmdetection,
}
SUFFIXES: Mapping[LibraryName, tuple[str, ...]] = {
    "paddledetection": (".pdparams",),
    "torchvision": (".pth", ".pt"),
    "detectron2": (".pkl", ".pth"),
    "mmdetection": (".pth",),
}


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """A model that was written for another library.

    Attributes:
        weights: The weights file.
        settings: The file beside it with its settings there: a config of the library, or a program that builds it.
        library: The library's name.
        tensors: How many tensors were written.
        differences: What the library computes differently whatever is set, in words.
    """

    weights: Path
    settings: Path
    library: LibraryName
    tensors: int
    differences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "weights": str(self.weights),
            "settings": str(self.settings),
            "library": self.library,
            "tensors": self.tensors,
            "differences": list(self.differences),
        }


def convert_to(
    model: str | Path,
    out: str | Path,
    library: LibraryName,
    weights: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    on_progress: OnProgress = say_nothing,
) -> WrittenModel:
    """Write a model as another library's weights file, and its settings there into a file beside it.

    Args:
        model: What `load` takes: a `.safetensors` file, a row's name, or a model file with `weights`.
        out: The file to write: `.pdparams`, `.pth` or, for detectron2, `.pkl`.
        library: Whose file it will be.
        weights: As for `load`.
        overrides: As for `load`.
        on_progress: Is called with the bytes of a download.

    Returns:
        Both files, and what the library computes differently.

    Raises:
        ConfigError: No such model or library.
        WeightsError: The library has no such network, or a file cannot be written.
    """
    if library not in TRANSLATE:
        hint = suggest(str(library), get_args(LibraryName))
        raise ConfigError(
            f"there is no way back to {library!r}; expected one of {', '.join(get_args(LibraryName))}. {hint}".rstrip()
        )
    network, config = load_network(model, weights, overrides=overrides, on_progress=on_progress)
    return write_counterpart(network.state_dict(), config, Path(out), library, str(model))


def write_counterpart(
    tensors: Mapping[str, torch.Tensor], config: ModelConfig, out: Path, library: LibraryName, origin: str
) -> WrittenModel:
    """Write tensors of ours and their config for a library; as `convert_to`, which see."""
    if out.suffix not in SUFFIXES[library]:
        raise WeightsError(f"{out}: {library} reads files whose names end in {' or '.join(SUFFIXES[library])}; name it so")
    found = TRANSLATE[library](config, out.name, origin)
    arrays = _rename(tensors, config, library, origin)
    settings = out.with_suffix(found.suffix)
    content: Mapping[str, Any] = arrays
    if library == "detectron2":
        content = {"model": arrays, "__author__": "maskzoo"}
    elif library == "mmdetection":
        classes = tuple(config.classes.values())
        content = {"meta": {"dataset_meta": {"classes": classes}, "cfg": found.text}, "state_dict": arrays}
    (write_torch_file if out.suffix in (".pth", ".pt") else write_pickle)(out, content)
    write_file(settings, found.text.encode(), WeightsError)
    return WrittenModel(out, settings, library, len(arrays), found.differences)


def _rename(
    tensors: Mapping[str, torch.Tensor], config: ModelConfig, library: LibraryName, origin: str
) -> dict[str, NDArray[Any]]:
    """Return the library's arrays. Norms that learn, which are all of mmdetection's, count batches there as well."""
    if library == "paddledetection":
        return dict(rename_back(tensors, list_renames(config.network, origin)))
    table = list_library_renames(library, config.network, origin)
    frozen = ("backbone.", "heads.res5.") if config.network.backbone.norm == "frozen" and library != "mmdetection" else ()
    counters = {
        line.theirs.replace(".running_var", ".num_batches_tracked"): np.zeros((), np.int64)
        for line in table
        if line.theirs.endswith(".running_var") and not line.ours.startswith(frozen)
    }
    return {**rename_back(tensors, table), **counters}
