"""Where the annotation files of a data set lie: one file, or a folder in one of the usual layouts."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from maskzoo.errors import SourceError, list_some
from maskzoo.system.files import describe_address

__all__ = ["SPLITS", "find_splits", "holds_tables", "name_split", "pick_split", "tell_split"]

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
IN_SPLIT_FOLDER = ("_annotations.coco.json", "annotations.json", "instances.json", "labels.json")
OTHER_KINDS = ("captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")  # COCO's files beside instances
TABLES = (b'"images"', b'"annotations"', b'"categories"')


def find_splits(data: str | Path) -> dict[str, Path]:
    """Return the annotation file of each split that `data` has: train, val, test, in that order, those that are there.

    `data` is a COCO instances file, or a folder that holds such files itself, in `annotations`, or in a folder for
    each split (`train/_annotations.coco.json`). A file's name says its split in a word: train, training, val, valid,
    validation, test, testing. One file alone that says nothing is train. Raises SourceError, with what was looked
    for and found, if there is none or more than one for a split.
    """
    if address := describe_address(data):
        raise SourceError(address)
    path = Path(data)
    if path.is_file():
        return {tell_split(path): path}
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or folder; expected a COCO instances file (JSON) or a data set's folder")
    files = _list_files(path)
    told: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for file, split in files.items():
        if split is not None:
            told[split].append(file)
    found = {split: _choose(path, split, candidates) for split, candidates in told.items() if candidates}
    if found:
        return found
    alone = [file for file in files if holds_tables(file)]
    if len(alone) == 1:
        return {"train": alone[0]}
    raise _describe_failure(path, list(files), alone)


def tell_split(file: Path) -> str:
    """Return the split that an annotation file's name says, or its folder's; train if neither does."""
    return name_split(file.name) or name_split(file.resolve().parent.name, whole=True) or "train"


def name_split(name: str, *, whole: bool = False) -> str | None:
    """Return the split that a file's or folder's name says in one of its words, None if it says none or two.

    With `whole`, the name must be that word.
    """
    words = [name.lower()] if whole else re.findall("[a-z]+", name.lower())
    said = {split for split, synonyms in SPLITS.items() if any(word in synonyms for word in words)}
    return said.pop() if len(said) == 1 else None


def _list_files(folder: Path) -> dict[Path, str | None]:
    """Return the JSON files in the usual places, each with the split that its name or its folder says."""
    files = {file: name_split(file.name) for place in (folder, folder / "annotations") for file in _list_json(place)}
    for inner in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        split = name_split(inner.name, whole=True)
        if split is not None:
            files.update({inner / name: split for name in IN_SPLIT_FOLDER if (inner / name).is_file()})
    return files


def _list_json(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (entry for entry in folder.iterdir() if entry.suffix.lower() == ".json" and entry.is_file())
    return sorted(file for file in files if not file.name.startswith((*OTHER_KINDS, ".")))


def _choose(folder: Path, split: str, candidates: list[Path]) -> Path:
    """Return the one file; of several, the one that holds a data set's tables (results are named like their data)."""
    if len(candidates) == 1:
        return candidates[0]
    kept = [file for file in candidates if holds_tables(file)]
    if len(kept) == 1:
        return kept[0]
    raise SourceError(
        f"{folder}: {len(kept) or len(candidates)} annotation files for {split}: {_list(kept or candidates, folder)}; "
        "expected one; name the file itself, or move the others away"
    )


def holds_tables(file: Path) -> bool:
    """Say whether the names of all three tables stand somewhere in the file, without reading it as JSON."""
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return all(text.find(table) >= 0 for table in TABLES)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return False


def _describe_failure(folder: Path, files: list[Path], alone: list[Path]) -> SourceError:
    if alone:
        return SourceError(
            f"{folder}: {len(alone)} annotation files, and no name says which is train, val or test: "
            f"{_list(alone, folder)}; rename them, or name one file itself"
        )
    tried = ", ".join(["*train*.json", "annotations/instances_train*.json", *(f"train/{name}" for name in IN_SPLIT_FOLDER)])
    found = f"found {_list(files, folder)}, no COCO instances file" if files else "found no JSON file there"
    return SourceError(
        f"{folder}: no annotations; looked for {tried} (also val, valid, validation, test); {found}; name the file "
        "itself, or make one with `maskzoo data convert`"
    )


def _list(files: Iterable[Path], folder: Path) -> str:
    return list_some(file.relative_to(folder).as_posix() for file in files)


def pick_split(files: Mapping[str, Path], split: str, data: str | Path) -> Path:
    """Return the file of a split that was asked for. Raises SourceError if `data`, where `files` were found, has none."""
    if split not in files:
        raise SourceError(f"{data}: has no split {split!r}; expected one of {', '.join(files)} (--split)")
    return files[split]
