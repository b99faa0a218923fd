"""YOLO segmentation data: data.yaml, pictures, and per picture a text file of normalised polygons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from maskzoo.datasets.importers.builder import (
    SPLITS,
    DatasetBuilder,
    ImportOptions,
    find_pictures,
    is_within,
    read_text,
)
from maskzoo.errors import MaskzooError, SourceError
from maskzoo.images.find import IMAGE_SUFFIXES

__all__ = ["find_data_file", "is_yolo", "read_yolo"]

LARGEST_DATA_FILE = 1 << 20  # bytes of data.yaml
ROUNDING = 1e-3  # of a normalised coordinate: writers round, so that 1.0000001 still means the border
FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def is_yolo(source: Path) -> bool:
    """Say whether a file or folder looks like YOLO's: it is or holds a data.yaml, or has folders of label files."""
    places = ("", "train", "valid", "val", "test")
    texts = (text for place in places for text in (source / place / "labels").rglob("*.txt"))
    return find_data_file(source) is not None or next(texts, None) is not None


def find_data_file(source: Path) -> Path | None:
    """Find the data.yaml of a YOLO data set, which `source` is or holds; None without one."""
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml") else None
    named = [source / name for name in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")]
    found = [path for path in named if path.is_file()]
    found = found or sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
    return found[0] if found and (len(found) == 1 or found[0] in named) else None


def read_yolo(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a YOLO segmentation data set, a folder or its data.yaml, split by split ("" where there are none).

    A picture without a label file is one without objects. Rows `class x1 y1 x2 y2 ...` become polygons; rows of a box
    (`class x y width height`) have no outline: they raise SourceError that counts them, or become rectangles with
    `boxes`. Rows that make no sense are skipped by name.
    """
    data_file = find_data_file(source)
    content = {} if data_file is None else _read_data_file(data_file)
    folder = source if source.is_dir() else source.parent
    names = _read_names(content, data_file, folder) if options.classes is None else list(options.classes)
    drafts: dict[str, DatasetBuilder] = {}
    splits = _list_splits(content, data_file, folder)
    _check_labels([path for pictures in splits.values() for path in pictures])
    for split, pictures in splits.items():
        draft = drafts[split] = DatasetBuilder(names, options.boxes)
        reader = _Reader(draft)
        for path, size in draft.measure(pictures, options.on_progress):
            reader.read_labels(_find_label_file(path), draft.add_image(path, size))
        _skip_orphans(draft, pictures)
    return drafts


def _read_data_file(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_DATA_FILE:
            raise SourceError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_DATA_FILE:,}")
        text = read_text(path)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise SourceError(f"{path}: holds an alias (*name), which can nest into gigabytes; write the value out")
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date that does not exist
        raise SourceError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path}: found {type(content).__name__}; expected a mapping with names, train and val")
    return content


def _read_names(content: dict[str, Any], data_file: Path | None, folder: Path) -> list[str]:
    names = content.get("names")
    if data_file is None:
        listed = folder / "classes.txt"
        if not listed.is_file():
            raise SourceError(
                f"{folder}: holds no data.yaml and no classes.txt; expected the classes' names there; "
                "or give them in order: --classes cat,dog"
            )
        names = [line.strip() for line in read_text(listed).splitlines() if line.strip()]
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) and str(name) for name in names):
        raise SourceError(f"{data_file or folder}: names is {names!r:.80}; expected a list of names, or 0: name, 1: name ...")
    return [str(name) for name in names]


def _list_splits(content: dict[str, Any], data_file: Path | None, folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each split that the data file names, else of those that are folders, else all."""
    if data_file is None:
        splits = {split: _find_split_folder(folder, split) for split in SPLITS}
        found = {split: find_pictures(path) for split, path in splits.items() if path is not None}
        return found or {"": find_pictures(folder / "images" if (folder / "images").is_dir() else folder)}
    root = _find_root(content, data_file)
    named: dict[str, list[Path]] = {}
    for split in SPLITS:
        value = content.get(split)
        values = value if isinstance(value, list) else [value] if value else []
        if not all(isinstance(value, str) for value in values):
            raise SourceError(f"{data_file}: {split} is {value!r:.80}; expected a folder, a list file, or a list of them")
        if values:
            pictures = [path for value in values for path in _list_pictures(value, root, data_file, split)]
            named[split] = list(dict.fromkeys(pictures))
    if not named:
        raise SourceError(f"{data_file}: names no pictures; expected train: images/train or the like")
    return named


def _find_split_folder(folder: Path, split: str) -> Path | None:
    candidates = [folder / part for name in FOLDERS[split] for part in (f"images/{name}", f"{name}/images")]
    return next((path for path in candidates if path.is_dir()), None)


def _find_root(content: dict[str, Any], data_file: Path) -> Path:
    """Return the folder that the data file's paths start from: its `path` if that is there, else its own folder."""
    path = content.get("path")
    if isinstance(path, str) and "\0" not in path and (data_file.parent / path).is_dir():
        return data_file.parent / path
    return data_file.parent


def _list_pictures(value: str, root: Path, data_file: Path, split: str) -> list[Path]:
    if "\0" in value:
        raise SourceError(f"{data_file}: {split} is {value!r:.80}; expected a path")
    # Some exports write ../train/images where train/images beside data.yaml is meant.
    candidates = [root / value, data_file.parent / value, data_file.parent / value.removeprefix("../")]
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        raise SourceError(f"{data_file}: {split} is {value!r}; expected a folder or list file, looked for {candidates[0]}")
    if found.is_dir():
        return find_pictures(found)
    if found.suffix.lower() != ".txt":
        return [found]
    pictures = []
    for number, line in enumerate(read_text(found).splitlines(), 1):
        if not line.strip():
            continue
        path = found.parent / line.strip()
        if "\0" in line or path.suffix.lower() not in IMAGE_SUFFIXES or not is_within(path, (root, found.parent)):
            raise SourceError(
                f"{found}: line {number}: found {line.strip()!r:.80}; expected a picture in {root}; correct the list"
            )
        pictures.append(path)
    return pictures


def _find_label_file(picture: Path) -> Path:
    """Return where a picture's labels are: in `labels` where the picture is in the last `images`, or beside it."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    apart, beside = Path(*parts).with_suffix(".txt"), picture.with_suffix(".txt")
    return beside if beside.is_file() and not apart.is_file() else apart


def _check_labels(pictures: Sequence[Path]) -> None:
    """Refuse pictures without any labels: these lie where nobody looks, and all pictures would be without objects."""
    if pictures and not any(_find_label_file(path).is_file() for path in pictures):
        raise SourceError(
            f"{_find_label_file(pictures[0])}: no such file, and none for any other of {len(pictures)} pictures; expected "
            "labels in a folder `labels` like the pictures' `images`, or beside the pictures"
        )


def _skip_orphans(draft: DatasetBuilder, pictures: Sequence[Path]) -> None:
    """Note the label files of no picture: their objects would vanish in silence."""
    expected = {_find_label_file(path) for path in pictures}
    for folder in sorted({path.parent for path in expected}):
        for path in sorted(folder.glob("*.txt")):
            if path not in expected and path.name != "classes.txt":
                draft.skip(path, "", "there is no picture of this name")


@dataclass(slots=True)
class _Reader:
    """Reads label files into a draft."""

    draft: DatasetBuilder

    def read_labels(self, path: Path, image: int) -> None:
        if not path.is_file():
            return
        try:
            lines = read_text(path).splitlines()
        except MaskzooError as error:
            self.draft.skip(path, "", error)
            return
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    self._read_row(line.split(), image, (path, f"line {number}"))
                except ValueError as error:
                    self.draft.skip(path, f"line {number}", error)

    def _read_row(self, fields: list[str], image: int, origin: tuple[Path, str]) -> None:
        """Raises ValueError that says why a row makes no sense."""
        try:
            values = np.array([float(field) for field in fields])
        except ValueError:
            found = f"found {' '.join(fields)!r:.60}"
            raise ValueError(f"{found}; expected numbers: class x1 y1 x2 y2 x3 y3 ...") from None
        label = values[0]
        if not (label >= 0 and label < len(self.draft.names) and label == math.floor(label)):
            raise ValueError(f"class {fields[0]:.20}; expected a whole number from 0 to {len(self.draft.names) - 1}")
        is_box = len(values) == 5
        if not is_box and (len(values) < 7 or len(values) % 2 == 0):
            raise ValueError(f"{len(values)} numbers; expected a class and x y of 3 points or more")
        points = _to_corners(values[1:]) if is_box else values[1:]
        if not ((points >= -ROUNDING) & (points <= 1 + ROUNDING)).all():
            raise ValueError("a coordinate outside of 0 to 1; expected parts of the picture's width and height")
        height, width = self.draft.sizes[image]
        pixels = (points.clip(0, 1).reshape(-1, 2) * (width, height)).ravel()
        if is_box:
            self.draft.add_box(image, int(label), pixels, origin)
        else:
            self.draft.add_object(image, int(label), [pixels], origin)


def _to_corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, width, height = box.tolist()
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
