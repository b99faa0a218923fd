"""Where the annotation files of a data set lie: one file, or a folder in one of the usual layouts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from maskzoo.datasets.known_formats import count_files, describe_file, describe_folder, holds_tables, list_files
from maskzoo.errors import SourceError, list_some
from maskzoo.images.find import list_folder
from maskzoo.system.files import describe_address

__all__ = ["INDEX", "RESULTS", "SPLITS", "find_splits", "list_passed_over", "name_split", "pick_split", "tell_split"]

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
IN_SPLIT_FOLDER = ("_annotations.coco.json", "annotations.json", "instances.json", "labels.json")
OTHER_KINDS = ("captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")  # COCO's files beside instances
RESULTS = "predictions.json"  # what `maskzoo predict` writes, and beside it
INDEX = "images.json"  # a COCO file without annotations that names the images and classes of its ids
LOOKED_INTO = 500  # JSON files of a folder that has none in the usual places


def find_splits(data: str | Path) -> dict[str, Path]:
    """Return the annotation file of each split that `data` has: train, val, test, in that order, those that are there.

    `data` is a COCO instances file, or a folder that holds such files itself, in `annotations`, or in a folder for
    each split (`train/_annotations.coco.json`), else up to three folders deep. A file's name says its split in a word:
    train, training, val, valid, validation, test, testing. One file alone that says nothing is train. Raises SourceError,
    with what was looked for and found, if there is none or more than one for a split, or if a file is of another format.
    """
    if address := describe_address(data):
        raise SourceError(address)
    path = Path(data)
    if path.is_file():
        if other := describe_file(path):
            raise SourceError(other)
        return {tell_split(path): path}
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or folder; expected a COCO instances file (JSON) or a data set's folder")
    return _choose_splits(path, _list_files(path)) or _choose_splits(path, _list_deeper(path)) or _fail(path)


def _choose_splits(folder: Path, files: Mapping[Path, str | None]) -> dict[str, Path]:
    """Return the file of each split, empty without any. Raises SourceError if several could be the one."""
    told: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for file, split in files.items():
        if split is not None:
            told[split].append(file)
    found = {split: _choose(folder, split, candidates) for split, candidates in told.items() if candidates}
    if found:
        return found
    alone = [file for file in files if holds_tables(file)]
    if len(alone) > 1:
        raise SourceError(
            f"{folder}: {len(alone)} annotation files, and no name says which is train, val or test: "
            f"{_list(alone, folder)}; rename them, or name one file itself"
        )
    return {"train": alone[0]} if alone else {}


def tell_split(file: Path) -> str:
    """Return the split that an annotation file's name says, or its folder's; train if neither does."""
    above = [folder.name for folder in file.resolve().parents[:2]]
    folder = above[1] if above[0] == "annotations" else above[0]
    return name_split(file.name) or name_split(folder, whole=True) or "train"


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
    for inner in sorted(entry for entry in list_folder(folder) if entry.is_dir()):
        split = name_split(inner.name, whole=True)
        if split is not None:
            usual = [inner / name for name in IN_SPLIT_FOLDER if (inner / name).is_file()]
            files.update(dict.fromkeys(usual or filter(holds_tables, _list_json(inner)[:LOOKED_INTO]), split))
    return files


def _list_deeper(folder: Path) -> dict[Path, str | None]:
    """Return the files at any depth that hold a data set's tables, with the split that a name on their way says."""
    json = [file for file in list_files(folder) if _is_candidate(file)]
    return {file: _tell_inside(folder, file) for file in json[:LOOKED_INTO] if holds_tables(file)}


def _tell_inside(folder: Path, file: Path) -> str | None:
    above = (name_split(part, whole=True) for part in reversed(file.relative_to(folder).parts[:-1]))
    return name_split(file.name) or next(filter(None, above), None)


def _list_json(folder: Path) -> list[Path]:
    return sorted(filter(_is_candidate, list_folder(folder))) if folder.is_dir() else []


def _is_candidate(file: Path) -> bool:
    named = file.suffix.lower() == ".json" and not file.name.startswith((*OTHER_KINDS, "."))
    return named and file.is_file() and not (file.name == INDEX and file.with_name(RESULTS).is_file())


def _choose(folder: Path, split: str, candidates: list[Path]) -> Path:
    """Return the one file; of several, the one that holds a data set's tables (results are named like their data)."""
    if len(candidates) == 1:
        if other := describe_file(candidates[0]):
            raise SourceError(other)
        return candidates[0]
    kept = [file for file in candidates if holds_tables(file)]
    if len(kept) == 1:
        return kept[0]
    raise SourceError(
        f"{folder}: {len(kept) or len(candidates)} annotation files for {split}: {_list(kept or candidates, folder)}; "
        "expected one; name the file itself, or move the others away"
    )


def list_passed_over(folder: Path) -> list[Path]:
    """Return the files in a folder that COCO gives other names than instances files."""
    return [file for file in list_files(folder) if file.suffix.lower() == ".json" and file.name.startswith(OTHER_KINDS)]


def _fail(folder: Path) -> NoReturn:
    """Raises SourceError that says why a folder has no annotations, by all that lies in it."""
    if other := describe_folder(folder):
        raise SourceError(f"{folder}: no COCO instances: {other}")
    if passed := list_passed_over(folder):
        raise SourceError(
            f"{folder}: no annotations; passed over on purpose: {_list(passed, folder)}, because COCO's files of these names "
            "hold key points, captions or regions; if one holds outlines (segmentation) too, name the file itself"
        )
    json = [file for file in list_files(folder) if file.suffix.lower() == ".json"]
    tried = ", ".join(["*train*.json", "annotations/instances_train*.json", *(f"train/{name}" for name in IN_SPLIT_FOLDER)])
    found = f"found {_list(json, folder)}, no COCO instances file" if json else f"found no JSON file: {count_files(folder)}"
    raise SourceError(
        f"{folder}: no annotations; looked for {tried} (also val, valid, validation, test), and three folders deep; {found}; "
        "name the file itself, or make one with `maskzoo data convert`"
    )


def _list(files: Iterable[Path], folder: Path) -> str:
    return list_some(file.relative_to(folder).as_posix() for file in files)


def pick_split(files: Mapping[str, Path], split: str, data: str | Path) -> Path:
    """Return the file of a split that was asked for. Raises SourceError if `data`, where `files` were found, has none."""
    if split not in files:
        raise SourceError(f"{data}: has no split {split!r}; expected one of {', '.join(files)} (--split)")
    return files[split]
