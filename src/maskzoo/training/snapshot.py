"""Snapshots: all that a run needs to go on, in files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from maskzoo.errors import SnapshotError
from maskzoo.system.files import explained, hash_file, write_whole
from maskzoo.system.json_text import parse_json

__all__ = ["MANIFEST", "Snapshot", "read_newest_snapshot", "write_snapshot"]

FORMAT = "maskzoo-snapshot"
FORMAT_VERSION = "1"
MANIFEST = "snapshots.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`tensors` by name, `state` (plain JSON values), and `notes`: which newer files were damaged and passed over."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    notes: tuple[str, ...] = ()


def write_snapshot(folder: Path, iteration: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write a snapshot of `iteration` into `folder`, read it back, list it in the manifest, keep the one before.

    That is the newest one which is as it was written: a damaged one must not push out a sound one. The manifest
    (`snapshots.json`) names both with their SHA-256, the newest first. Raises SnapshotError if the file
    cannot be written or does not read back as written; those before it are untouched then.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "state": json.dumps(state)}
    content = save(plain, metadata)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"snapshot-{iteration:08d}-{digest[:8]}.safetensors"  # never a name that an older one has
    with explained(path, SnapshotError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        if hash_file(path) != digest:
            raise SnapshotError(f"{path}: does not read back as it was written; expected SHA-256 {digest}; check the disk")
        older = [row for row in _read_manifest(folder) if row["file"] != path.name]
        before = next((row for row in older if _is_sound(folder, row)), None)
        rows = [{"file": path.name, "iteration": iteration, "sha256": digest}, *([before] if before else [])]
        write_whole(folder / MANIFEST, json.dumps(rows, indent=1).encode() + b"\n")
        for row in older:
            if row is not before:
                (folder / row["file"]).unlink(missing_ok=True)
    return path


def read_newest_snapshot(folder: Path) -> Snapshot:
    """Read the newest snapshot of `folder` that is as it was written; a damaged one is named in `notes`.

    Raises SnapshotError if there is none.
    """
    rows = _read_manifest(folder)
    notes = []
    for row in rows:
        path = folder / row["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            notes.append(f"{path}: cannot be read ({error.strerror})")
            continue
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            notes.append(f"{path}: damaged, its SHA-256 is not the manifest's")
            continue
        return Snapshot(*_parse(path, content), tuple(f"{note}; the one before it is used" for note in notes))
    listed = "\n".join(notes) or "none is listed"
    raise SnapshotError(
        f"{folder / MANIFEST}: no snapshot that can be used: {listed}; expected a run that came to its first snapshot; "
        "start the run anew, with --from and its best.safetensors if it has one"
    )


def _parse(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        if (metadata["format"], metadata["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise SnapshotError(
                f"{path}: found format {metadata['format']} {metadata['format_version']}, expected {FORMAT} "
                f"{FORMAT_VERSION}; go on with the maskzoo that wrote it"
            )
        tensors: dict[str, Tensor] = load(content)
        return {name: tensor.clone() for name, tensor in tensors.items()}, json.loads(metadata["state"])
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise SnapshotError(f"{path}: cannot be read as a snapshot: {error!r}; start the run anew") from error


def _read_manifest(folder: Path) -> list[dict[str, Any]]:
    path = folder / MANIFEST
    try:
        rows = parse_json(path.read_bytes())
        if all(Path(row["file"]).name == row["file"] and row["sha256"] and row["iteration"] >= 0 for row in rows):
            return list(rows)
        raise ValueError("a row has no plain file name, sha256 and iteration")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{path}: cannot be read ({error}); expected the list that maskzoo wrote") from error


def _is_sound(folder: Path, row: Mapping[str, Any]) -> bool:
    try:
        return hash_file(folder / row["file"]) == str(row["sha256"])
    except OSError:
        return False
