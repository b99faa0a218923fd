"""What `predict_folder` keeps while it works: one line of JSON for each image, so that a killed run can go on.

Every process appends to a part file of its own in the results' folder. The first line, the manifest, says what the rest
belongs to. A part file may end in a torn line: it is cut off, and its image is predicted again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from maskzoo.errors import SourceError
from maskzoo.system.files import append_whole, explained

__all__ = ["Journal", "JournalFile", "count_lines", "hash_values"]

PATTERN = ".predict.*.part.jsonl"


class JournalFile:
    """The lines that one process appends, each on its way to the disk before the next image is begun."""

    def __init__(self, folder: Path, rank: int, manifest: str) -> None:
        self.path = folder / PATTERN.replace("*", str(rank))
        self._open(manifest)

    def _open(self, manifest: str) -> None:
        with explained(self.path):
            self._file = self.path.open("ab", buffering=0)  # a buffer would be written again, to a full disk, at the end
            try:
                if self._file.tell() == 0:
                    self._write({"manifest": manifest})
            except BaseException:
                self._file.close()
                raise

    def append(self, number: int, record: dict[str, Any]) -> None:
        """Write the record of image `number`. Raises MaskzooError if that cannot be."""
        with explained(self.path):
            self._write({"n": number, **record})

    def _write(self, value: dict[str, Any]) -> None:
        append_whole(self._file, json.dumps(value, allow_nan=False).encode("ascii") + b"\n")

    def __enter__(self) -> JournalFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


class Journal:
    """The part files in a folder, and where in them each of `count` images stands: 12 bytes of memory an image.

    The files stay open with it, so that they can be read after they were removed.
    """

    def __init__(self, folder: Path, count: int, manifest: str) -> None:
        with explained(folder):
            self.paths = sorted(path for path in folder.iterdir() if path.match(PATTERN))  # glob hides a folder's faults
        self._places = array("q", [-1]) * count
        self._parts = array("i", [-1]) * count
        self._files: list[IO[bytes]] = []
        weakref.finalize(self, _close, self._files)
        for number, path in enumerate(self.paths):
            with explained(path):
                self._files.append(path.open("rb"))
                self._scan(path, number, manifest)

    def __contains__(self, number: int) -> bool:
        return self._places[number] >= 0

    def __len__(self) -> int:
        return sum(place >= 0 for place in self._places)

    def read(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and record of every image that is there, in order, one at a time in memory."""
        for part, place in zip(self._parts, self._places, strict=True):
            if place >= 0:
                self._files[part].seek(place)
                record = json.loads(self._files[part].readline())
                yield record.pop("n"), record

    def remove(self) -> None:
        """Delete the part files; what they hold can be read as long as this object is there."""
        for number, path in enumerate(self.paths):
            with explained(path):
                if os.name == "nt":  # Windows deletes no open file
                    with self._files[number] as part:
                        part.seek(0)
                        self._files[number] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the others
                        shutil.copyfileobj(part, self._files[number])
                path.unlink(missing_ok=True)

    def _scan(self, path: Path, number: int, manifest: str) -> None:
        stream = self._files[number]
        place = self._check_manifest(path, stream.readline(), manifest)
        stream.seek(place)
        while (line := stream.readline()).endswith(b"\n"):
            try:
                image = json.loads(line)["n"]
                self._places[image], self._parts[image] = place, number
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise SourceError(
                    f"{path}: the line at byte {place} is damaged ({error}); delete the file to begin anew"
                ) from error
            place += len(line)
        if line or place == 0:
            os.truncate(path, place)

    def _check_manifest(self, path: Path, line: bytes, manifest: str) -> int:
        if not line.endswith(b"\n"):
            return 0  # killed while the first line was written
        try:
            found = json.loads(line)["manifest"]
        except (ValueError, KeyError, TypeError):
            found = None
        if found != manifest:
            raise SourceError(
                f"{path}: an unfinished run of another model, other options or other images lies here; expected one of "
                "the same, to go on with it; repeat that call to finish it, delete the file, or choose another --out"
            )
        return len(line)


def count_lines(folder: Path) -> int:
    """Return how many images the part files in `folder` hold, looking at nothing but their whole lines."""
    return sum(max(0, path.read_bytes().count(b"\n") - 1) for path in folder.glob(PATTERN))


def _close(files: list[IO[bytes]]) -> None:
    for file in files:
        file.close()


def hash_values(*values: Any) -> str:
    """Return the SHA-256 of plain values, for a manifest."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
