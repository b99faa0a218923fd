"""Our own weights file: safetensors, with the model file and the origin of the weights in its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError, WeightsError
from maskzoo.model_file import MAX_MODEL_FILE_BYTES, dump_config, parse_config
from maskzoo.system.files import describe_address, write_file

__all__ = ["Checkpoint", "read_checkpoint", "read_checkpoint_config", "write_checkpoint"]

FORMAT = "maskzoo"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`tensors` by our names, the `config` of their network, and `provenance`: source, its SHA-256, licence, ..."""

    tensors: dict[str, torch.Tensor]
    config: ModelConfig
    provenance: dict[str, str]


def write_checkpoint(
    path: str | Path, tensors: Mapping[str, torch.Tensor], config: ModelConfig, provenance: Mapping[str, str]
) -> None:
    """Write a checkpoint whole or not at all: the old file, if any, stays until the new one is safely on the disk.

    Raises WeightsError when the file cannot be written.
    """
    path = Path(path)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "config": dump_config(config),
        "provenance": json.dumps(dict(provenance), ensure_ascii=False),
    }
    content = save({name: _plain(tensor) for name, tensor in tensors.items()}, metadata)
    write_file(path, content, WeightsError)  # safetensors' save_file makes files that only their owner may read


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint. The tensors are in memory of their own: the file may change or go afterwards.

    Raises WeightsError for a file that is damaged, not a checkpoint of maskzoo, or of a newer version.
    """
    path = Path(path)
    metadata = _read_metadata(path)
    config = _parse_config(path, metadata)
    try:
        provenance = json.loads(metadata.get("provenance", ""))
    except (ValueError, RecursionError):
        provenance = None
    if not isinstance(provenance, dict) or not all(isinstance(value, str) for value in provenance.values()):
        raise WeightsError(f"{path}: its provenance is not a JSON object of texts; convert the source weights again")
    try:
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}  # load_file maps the file
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    return Checkpoint(tensors, config, provenance)


def read_checkpoint_config(path: str | Path) -> ModelConfig:
    """Read only the model file of a checkpoint, from its header. Raises as `read_checkpoint` does."""
    path = Path(path)
    return _parse_config(path, _read_metadata(path))


def _read_metadata(path: Path) -> dict[str, str]:
    if not os.path.isfile(path):  # noqa: PTH113 - False for a name too long
        missing = f"{path}: no such file; expected the path of a maskzoo checkpoint (.safetensors)"
        raise WeightsError(describe_address(path) or missing)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: a safetensors file, but not one of maskzoo's: expected the metadata format={FORMAT!r}, "
            f"found {metadata.get('format')!r}. Convert the weights first: `maskzoo convert`"
        )
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise WeightsError(f"{path}: checkpoint format version {version!r}, expected {FORMAT_VERSION}: install a newer maskzoo")
    return metadata


def _parse_config(path: Path, metadata: Mapping[str, str]) -> ModelConfig:
    text = metadata.get("config", "")
    if len(text) > MAX_MODEL_FILE_BYTES:
        raise WeightsError(f"{path}: its model file has {len(text)} letters; expected at most {MAX_MODEL_FILE_BYTES}")
    try:
        return parse_config(text, f"{path} (the model file inside)")
    except ConfigError as error:
        raise WeightsError(f"{error}\nConvert the source weights again with this maskzoo") from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: cannot be read as safetensors ({error}); expected a maskzoo checkpoint. Cut short or damaged files "
        "must be fetched or converted again; Paddle's .pdparams need `maskzoo convert`"
    )


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Copy: safetensors accepts neither shared memory nor other layouts, such as channels-last."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
