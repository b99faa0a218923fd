"""Snapshots: all that a run needs to go on, in files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from maskzoo.errors import SnapshotError
from maskzoo.system.files import explained, hash_file, read_regular, remove_dead_parts, write_whole
from maskzoo.system.json_text import parse_json

__all__ = ["MANIFEST", "Snapshot", "list_snapshots", "read_newest_snapshot", "tidy_snapshots", "write_snapshot"]

FORMAT = "maskzoo-snapshot"
FORMAT_VERSION = "1"
MANIFEST = "snapshots.json"
_NAME = re.compile(r"snapshot-(\d{8,18})-([0-9a-f]{8})\.safetensors", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{8}|[0-9a-f]{64}")


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
        older = [row for row in list_snapshots(folder) if row["file"] != path.name]
        before = next((row for row in older if _hash_sound(folder, row)), None)
        _write_manifest(folder, [{"file": path.name, "iteration": iteration, "sha256": digest}, *([before] if before else [])])
        for row in older:
            if row is not before:
                (folder / row["file"]).unlink(missing_ok=True)
    return path


def read_newest_snapshot(folder: Path) -> Snapshot:
    """Read the newest snapshot of `folder` that is as it was written; a damaged one is named in `notes`.

    Raises SnapshotError if there is none.
    """
    notes = []
    for row in list_snapshots(folder):
        path = folder / row["file"]
        try:
            content = read_regular(path)
        except OSError as error:
            notes.append(f"{path}: cannot be read ({error.strerror})")
            continue
        if not hashlib.sha256(content).hexdigest().startswith(row["sha256"]):
            notes.append(f"{path}: damaged, its SHA-256 does not begin with {row['sha256'][:8]}")
            continue
        return Snapshot(*_parse(path, content), tuple(f"{note}; the one before it is used" for note in notes))
    listed = "\n".join(notes) or "none is there"
    raise SnapshotError(
        f"{folder / MANIFEST}: no snapshot that can be used: {listed}; expected a run that came to its first snapshot; "
        "start the run anew, with --from and its best.safetensors if it has one"
    )


def tidy_snapshots(folder: Path) -> list[str]:
    """Bring manifest and files together after a kill or damage, and return what a reader should know.

    The two newest files whose SHA-256 begins as their names say are what the manifest lists afterwards; other snapshots are
    removed, as is what was half written. Where no file is sound, all stays as it is. Only the folder's owner may call it.
    Raises SnapshotError.
    """
    if not folder.is_dir():
        return []
    remove_dead_parts(folder, SnapshotError)
    listed, notes, files = _read_manifest(folder), [], _find_files(folder)
    sound = [row | {"sha256": digest} for row in files if (digest := _hash_sound(folder, row))]
    rows = sound[:2]
    if not rows:
        return []  # whoever reads them says what is wrong
    with explained(folder, SnapshotError):
        if listed != rows:
            here = {row["file"] for row in sound}
            lost = [row["file"] for row in (files if listed is None else listed) if row["file"] not in here]
            notes = [f"{folder / file}: missing or damaged; the one before it is used" for file in lost]
            notes.append(f"{folder / MANIFEST}: made anew from {len(sound)} sound files")
            _write_manifest(folder, rows)
        for row in files:
            if row["file"] not in {kept["file"] for kept in rows}:
                (folder / row["file"]).unlink(missing_ok=True)
    return notes


def list_snapshots(folder: Path) -> list[dict[str, Any]]:
    """Return file, iteration and SHA-256 (or its first 8 digits) of each snapshot, the newest first, as the manifest says.

    Where there is none that can be read, the files' names say it. Raises SnapshotError if the folder cannot be read.
    """
    rows = _read_manifest(folder)
    return _find_files(folder) if rows is None else rows


def _find_files(folder: Path) -> list[dict[str, Any]]:
    with explained(folder, SnapshotError):
        paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
        paths.sort(key=lambda path: (int(path.name[9:-25]), path.stat().st_mtime_ns), reverse=True)
    found = [_NAME.fullmatch(path.name) for path in paths]
    return [{"file": match[0], "iteration": int(match[1]), "sha256": match[2]} for match in found if match]


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
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise SnapshotError(f"{path}: cannot be read as a snapshot: {error!r}; start the run anew") from error


def _read_manifest(folder: Path) -> list[dict[str, Any]] | None:
    """Return the rows of the manifest; None if there is none, or it is damaged."""
    path = folder / MANIFEST
    try:
        rows = parse_json(read_regular(path))
        sound = (
            isinstance(rows, list)
            and rows
            and all(_NAME.fullmatch(row["file"]) and _DIGEST.fullmatch(row["sha256"]) and row["iteration"] >= 0 for row in rows)
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read ({error}); check the rights of the file and the disk") from error
    return rows if sound else None


def _write_manifest(folder: Path, rows: list[dict[str, Any]]) -> None:
    write_whole(folder / MANIFEST, json.dumps(rows, indent=1).encode() + b"\n")


def _hash_sound(folder: Path, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a snapshot that is as it was written, else an empty text."""
    try:
        digest = hash_file(folder / row["file"])
    except OSError:
        return ""
    return digest if digest.startswith(row["sha256"]) else ""
