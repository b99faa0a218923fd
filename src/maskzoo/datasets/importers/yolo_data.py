"""What a YOLO data set says of itself: the names of its classes, and the pictures of each split.

From data.yaml, from darknet's obj.data, or from the usual folders and a list of classes beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from maskzoo.datasets.importers.builder import SPLITS, is_within, read_text
from maskzoo.datasets.known_formats import name_format
from maskzoo.datasets.layout import SPLITS as SYNONYMS
from maskzoo.datasets.layout import name_split
from maskzoo.errors import SourceError, count_words, list_some
from maskzoo.images.find import IMAGE_SUFFIXES, find_pictures, is_hidden
from maskzoo.system.yaml_text import parse_yaml_text

__all__ = ["CLASS_LISTS", "YoloData", "find_data_file", "read_data"]

LARGEST_DATA_FILE = 1 << 20  # bytes of data.yaml
LARGEST_LINK = 4096  # bytes of a link that was copied as text
CLASS_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "class_names.txt", "names.txt", "predefined_classes.txt")


@dataclass(slots=True)
class YoloData:
    """A data set's `names` of classes, None where the source has none, and its `splits`: pictures, "" where there are none.

    `notes` say where pictures were found that the data file names otherwise, and which split was left out; `obstacles` are
    folders and links that cannot be looked at, and why.
    """

    file: Path | None
    folder: Path
    names: list[str] | None = None
    splits: dict[str, list[Path]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    obstacles: dict[Path, str] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Keep a note, once."""
        self.notes += [text] if text not in self.notes else []


def find_data_file(source: Path) -> Path | None:
    """Find the data.yaml or obj.data of a YOLO data set, which `source` is or holds; None without one.

    A file of another name counts if it alone names classes.
    """
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml", ".data") else None
    named = [source / name for name in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "obj.data")]
    found = next((path for path in named if path.is_file()), None)
    others = [path for pattern in ("*.yaml", "*.yml", "*.data") for path in source.glob(pattern)]
    naming = [path for path in others if not is_hidden(path.name) and name_format(path) is not None]
    return found or (naming[0] if len(naming) == 1 else None)


def read_data(source: Path, names: Sequence[str] | None = None) -> YoloData:
    """Read what a data set, a folder or its data file, says of itself; given `names` stand for those of its classes.

    Paths of another place are followed by their last parts, from the data file's folder on; a note says so. A split
    whose pictures are not there is left out with a note, but for train.

    Raises SourceError if the data file is not one, or names pictures that are not there.
    """
    file = find_data_file(source)
    data = YoloData(file, source if source.is_dir() else source.parent, None if names is None else list(names))
    if file is None:
        data.names = data.names or _find_class_list(data.folder)
        _list_folders(data)
        return data
    content = _read_darknet(file) if file.suffix == ".data" else _read_yaml(file)
    pose = next((key for key in content if str(key).startswith(("kpt_", "flip_idx"))), None)
    if pose is not None:
        raise SourceError(
            f"{file}: {pose}: the labels are key points (YOLO-pose), no outlines; expected YOLO's segmentation labels; "
            "export the data set for instance segmentation"
        )
    data.names = data.names or _read_names(content, file)
    if data.names is not None and (twice := [name for name, count in Counter(data.names).items() if count > 1]):
        raise SourceError(
            f"{file}: names has {list_some(map(repr, twice), 5)} twice; expected each class once; or --classes cat,dog"
        )
    if names is None and data.names is not None and content.get("nc", len(data.names)) != len(data.names):
        data.note(f"{file}: nc is {content['nc']!r:.20}, but there are {count_words(len(data.names), 'name')}; took the names")
    _list_named(data, content, file)
    return data


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_DATA_FILE:
            raise SourceError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_DATA_FILE:,}")
        content = parse_yaml_text(read_text(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path}: found {type(content).__name__}; expected a mapping with names, train and val")
    return content | ({"val": content["valid"]} if "valid" in content and "val" not in content else {})


def _read_darknet(path: Path) -> dict[str, Any]:
    """Read lines `key = value`: classes, train, valid, names, backup."""
    pairs = (line.partition("=") for line in read_text(path).splitlines() if "=" in line)
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    return content | ({"val": content["valid"]} if content.get("valid") else {})


def _read_names(content: dict[str, Any], file: Path) -> list[str] | None:
    names = content.get("names")
    if isinstance(names, str):
        listed = None if "\0" in names else _follow(names, (file.parent,))
        if listed is None or not listed.is_file():
            raise SourceError(
                f"{file}: names is {names!r:.80}; expected a list of names, or a file with one a line that is there"
            )
        return _read_list(listed)
    if names is None:
        return _find_class_list(file.parent)
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[number] for number in range(len(names))]
    if isinstance(names, dict) and sorted(names, key=str) == sorted(map(str, range(len(names)))):
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(type(name) in (str, int) and str(name) for name in names):
        raise SourceError(f"{file}: names is {names!r:.80}; expected a list of names, or 0: name, 1: name ...")
    return [str(name) for name in names]


def _read_list(path: Path) -> list[str]:
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if "" in names:
        raise SourceError(
            f"{path}: line {names.index('') + 1} is empty, and may count or not; expected a name on each line; "
            "remove the line, or give the names in order: --classes cat,dog"
        )
    return names


def _find_class_list(folder: Path) -> list[str] | None:
    """Return the names of the one list that lies beside the data, or of several that agree; None without any."""
    ways = ("{}", "{}/labels", "{}/images", "labels/{}", "images/{}")
    inner = [way.format(name) for names in SYNONYMS.values() for name in names for way in ways]
    places = ("", "labels", "images", "obj_train_data", *inner)
    found = [folder / place / name for place in places for name in CLASS_LISTS]
    lists = {path: _read_list(path) for path in found if path.is_file()}
    if len({tuple(names) for names in lists.values()}) > 1:
        several = list_some(path.relative_to(folder).as_posix() for path in lists)
        raise SourceError(f"{folder}: its lists of classes disagree: {several}; give the right one: --classes FILE")
    return next(iter(lists.values()), None)


def _list_folders(data: YoloData) -> None:
    """List the pictures of a source without a data file: those of the folders that a split's name says, else all."""
    for split in SPLITS:
        candidates = [data.folder / part for name in SYNONYMS[split] for part in (f"images/{name}", f"{name}/images", name)]
        found = next((path for path in candidates if path.is_dir()), None)
        if found is not None:
            data.splits[split] = _walk(found, data)
    if not data.splits:
        inner = data.folder / "images"
        data.splits[""] = _walk(inner if inner.is_dir() else data.folder, data)


def _list_named(data: YoloData, content: dict[str, Any], file: Path) -> None:
    """List the pictures of each split that the data file names."""
    root = _find_root(content, data, file)
    missing: list[tuple[str, str]] = []
    for split in SPLITS:
        value = content.get(split)
        values = value if isinstance(value, list) else [value] if value else []
        if not values and (split in content or split == "train"):
            data.note(f"{file}: names no pictures for {split}, which was left out")
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            raise SourceError(f"{file}: {split} is {value!r:.80}; expected a folder, a list file, or a list of them")
        places = [_find(value, root, data, f"{file}: {split}") for value in values]
        missing += [(split, value) for value, place in zip(values, places, strict=True) if place is None]
        pictures = [path for place in places if place is not None for path in _list_pictures(place, root, data)]
        if any(place is not None for place in places):
            data.splits[split] = list(dict.fromkeys(pictures))
    if not data.splits and not missing:
        raise SourceError(f"{file}: names no pictures; expected train: images/train or the like")
    for split, value in missing:
        if split == "train" or not data.splits:
            raise SourceError(
                f"{file}: {split} is {value!r}; expected a folder or list file, looked for {root / value} and for its last "
                "parts beside the data file; correct the path"
            )
        data.note(f"{file}: {split} is {value!r}, which is not there; {split} was left out")


def _find_root(content: dict[str, Any], data: YoloData, file: Path) -> Path:
    """Return the folder that the data file's paths start from: its `path` if that is there, else its own folder."""
    path = content.get("path")
    if isinstance(path, str) and "\0" not in path and (file.parent / path).is_dir():
        return file.parent / path
    if path:
        data.note(f"{file}: path is {path!r:.80}, which is not there; took {file.parent} instead")
    return file.parent


def _find(value: str, root: Path, data: YoloData, name: str) -> Path | None:
    """Return the place that a data file means: as it says, else by its last parts beside the data file, with a note."""
    plain = root / value
    # Some exports write ../train/images where train/images beside data.yaml is meant: that needs no note.
    usual = [plain, data.folder / value, data.folder / value.removeprefix("../")]
    found = next((path for path in usual if path.exists()), None)
    if found is None:
        found = _follow(value, (root, data.folder))
        if found is not None:
            data.note(f"{name} is {value!r}, which is not there; took {found} instead")
    return found


def _follow(value: str, folders: tuple[Path, ...]) -> Path | None:
    """Return the file or folder that a path of elsewhere ends in, in one of the folders; the longest end that is there.

    The end must still have the word that says a split, which may be another word for it (valid for val).
    """
    parts = [
        part for part in PureWindowsPath(value).parts if part not in ("..", ".") and not part.endswith((":", ":\\", "/", "\\"))
    ]
    said = [place for place, part in enumerate(parts) if name_split(part, whole=True)]
    last = said[-1] if said else len(parts) - 1
    for first in range(last + 1):
        ways = [parts[first:]]
        if said:
            split = name_split(parts[last], whole=True)
            ways += [[*parts[first:last], word, *parts[last + 1 :]] for word in SYNONYMS[split or ""]]
        for way in ways:
            for folder in folders:
                if folder.joinpath(*way).exists():
                    return folder.joinpath(*way)
    return None


def _list_pictures(place: Path, root: Path, data: YoloData) -> list[Path]:
    """Return the pictures in a folder, or those that a list file names."""
    if place.is_dir():
        return _walk(place, data)
    if place.suffix.lower() != ".txt":
        return [place]
    pictures, moved, missing = [], [], []
    lines = [(number, line.strip()) for number, line in enumerate(read_text(place).splitlines(), 1) if line.strip()]
    for number, line in lines:
        plain = place.parent / line
        path = plain if "\0" in line or plain.is_file() else _follow(line, (place.parent, root)) or plain
        inside = path.suffix.lower() in IMAGE_SUFFIXES and is_within(path, (root, place.parent))
        if "\0" in line or not (inside or (path.is_absolute() and not path.exists())):
            raise SourceError(f"{place}: line {number}: found {line!r:.80}; expected a picture in {root}; correct the list")
        pictures.append(path)
        moved += [f"{line!r:.80} is {path}"] if path != plain else []
        missing += [] if path.is_file() else [f"line {number}: {line!r:.80}"]
    if missing and len(missing) == len(pictures):
        several = f"{count_words(len(missing), 'picture')} that it names, none is there"
        raise SourceError(f"{place}: of {several}: {list_some(missing, 3)}; correct the list")
    if moved:
        several = f"{count_words(len(moved), 'picture')} not where it says, found by the last parts of the paths"
        data.note(f"{place}: {several}: {list_some(moved, 1)}")
    return pictures  # those that are not there too: they are skipped by name


def _walk(folder: Path, data: YoloData) -> list[Path]:
    """Return the pictures in a folder; links that were copied as text, as git and zip write them, are followed too."""

    def keep(path: Path, reason: str) -> None:
        data.obstacles[path] = reason

    found = find_pictures(folder, IMAGE_SUFFIXES, keep)
    for link in [] if found else sorted(folder.rglob("[!.]*")):
        target = _read_link(link)
        if target is not None:
            data.note(f"{link}: a link that was copied as text; followed it to {target}")
            found += find_pictures(target, IMAGE_SUFFIXES, keep)
    if not found:
        data.note(f"{folder}: no picture lies there")
    return list(dict.fromkeys(found))


def _read_link(path: Path) -> Path | None:
    if path.suffix or not path.is_file() or path.stat().st_size > LARGEST_LINK:
        return None
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    inside = bool(text) and "\n" not in text and "\0" not in text
    return path.parent / text if inside and (path.parent / text).is_dir() else None
