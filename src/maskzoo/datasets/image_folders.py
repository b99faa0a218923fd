"""Where the images of an annotation file are: in the usual folders, or below one, and how far a file's names may lead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.layout import SPLITS, name_split, tell_split
from maskzoo.errors import ConfigError, SourceError, list_some
from maskzoo.images.bounds import Bounds
from maskzoo.images.find import is_hidden, list_folder

__all__ = ["NO_PHOTOS", "bound_images", "find_image_folder", "find_root", "list_places", "look_for_images"]

SAMPLED = 200  # names by which the folder of many images is found
# Folders, in small letters, whose pictures have the names of photos and are none.
NO_PHOTOS = frozenset([
    "mask", "masks", "label", "labels", "annotations", "segmentationclass", "segmentationobject", "segmentationclasspng",
    "segmentationobjectpng", "segmentationclassvisualization", "segmentationobjectvisualization", "gtfine", "groundtruth",
    "thumbs", "thumbnails",
])  # fmt: skip
DEEPEST, MOST = 3, 1000  # folders below each other, and all of them


def find_image_folder(annotations: AnnotationSet, given: Path | None = None, split: str | None = None) -> Path:
    """Find the folder of the images: in a `given` one, or near the annotation file, by the usual layouts.

    A given folder holds them itself, in `images`, or in a folder for the split (by default the one that the annotation
    file's name says) in one of these; or the names of the files begin with its own. For
    `data/annotations/instances_val2017.json` the places near it are val2017, val, valid and validation, also in or above
    `images`; images, data and JPEGImages; each beside the file and one folder above; then these two folders themselves; then
    the one folder below that has them all, whatever its name.

    Raises SourceError that lists them if none holds one of the images, or if one of the images lies outside of what
    `bound_images` allows; ConfigError if the given one is not a folder.
    """
    names = [annotations.file_name(image) for image in range(len(annotations))]
    folder, where = look_for_images(names, annotations.source, given, split)
    if folder is None:
        advice = f"give their folder with --images, or see which files fit with `maskzoo data check {annotations.source}`"
        raise SourceError(f"{annotations.source}: its images were not found; {where}; {advice}")
    named = [(name, folder / name) for name in names]
    bound_images(Path(annotations.source), folder, given).check(named, annotations.source, folder)
    return folder


def bound_images(source: Path, folder: Path | None, given: Path | None) -> Bounds:
    """Return where the images of an annotation file may lie: in a `given` folder, else in that of the data set.

    That is the annotation file's, or the one above it if this one is for annotations or a split, or if the images'
    `folder` is not in it. A home folder holds all kinds of things: then only the images' own.
    """
    if given is not None:
        return Bounds([given])
    own = source.absolute().parent
    near = folder is None or folder.absolute().is_relative_to(own)
    if near and not _is_part(own):
        return Bounds([own])
    if own.parent not in (Path.home(), Path(own.anchor)):
        return Bounds([own.parent])
    return Bounds([own if near or folder is None else folder])


def _is_part(folder: Path) -> bool:
    """Say whether a folder holds a part of a data set, by its name: annotations, or a split."""
    return (
        folder.name.lower() in ("annotations", "annotation", "ann", "anns", "labels", "json", "jsons")
        or name_split(folder.name, whole=True) is not None
    )


def find_root(source: Path) -> Path | None:
    """Return an annotation file's folder, or the one above a folder for annotations or a split.

    None if that is a home folder, or the whole machine's: these hold all kinds of things.
    """
    own = source.absolute().parent
    root = own.parent if _is_part(own) else own
    return None if root in (Path.home(), Path(root.anchor)) else root


def look_for_images(names: Sequence[str], source: str, given: Path | None, split: str | None) -> tuple[Path | None, str]:
    """Return what `find_image_folder` does for images of these names, or None, and which was looked for where."""
    if given is not None and not given.is_dir():
        raise ConfigError(f"{given}: no such folder; expected the folder of the images (--images)")
    folders = list_places(Path(source), given, split) + (_list_above(given, names) if given is not None else [])
    where = f"the first is {repr(names[0]) if names else 'no image at all'}, looked in {list_some(map(str, folders), 6)}"
    there = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112 - False without permission
    closed = [str(folder) for folder in there if not os.access(folder, os.R_OK | os.X_OK)]
    where += f"; no permission to look into {list_some(closed)}" if closed else ""
    samples = names[:: len(names) // SAMPLED + 1]
    for some in (samples, names):  # all of them only where none of the others is found
        counts = [sum(os.path.isfile(folder / name) for name in some) for folder in there]  # noqa: PTH113 - False for a name too long
        if any(counts):
            return there[counts.index(max(counts))], where
    root = find_root(Path(source)) if given is None else given
    return None if root is None else _search_below(root, samples, split or tell_split(Path(source).absolute())), where


def list_places(file: Path, given: Path | None, split: str | None) -> list[Path]:
    """Return the usual folders of the images of an annotation file: in a `given` one for a split, or near the file.

    Those near the file that lie in the given one are the last there.
    """
    near = _list_near(file.absolute())
    if given is not None:
        whole = given.absolute()
        near = [
            *_list_inside(given, split or tell_split(file.absolute())),
            *(place for place in near if place.is_relative_to(whole)),
        ]
    return list(dict.fromkeys(near))


def _list_near(file: Path) -> list[Path]:
    split = name_split(file.name) or name_split(file.parent.name, whole=True)
    ends = [re.sub(words, "", file.stem) for words in ("^[a-z]+_", "^([a-z]+_)+")]  # instance_train, person_keypoints_train2017
    names = [file.stem, *ends, *(SPLITS[split] if split else ())]
    inner = [part for name in sorted(dict.fromkeys(names), key=len) for part in (name, f"images/{name}", f"{name}/images")]
    inner += ["images", "data", "JPEGImages", ""]  # data: FiftyOne's
    return [base / part for base in (file.parent, file.parent.parent) for part in inner]


def _list_above(given: Path, names: Sequence[str]) -> list[Path]:
    """Return the folders above `given` from which names start that begin with the last parts of its path."""
    folder = Path(os.path.normpath(given.absolute()))
    starts = {path.parts[:-1] for path in map(PurePosixPath, names) if not path.is_absolute()}
    counts = {count for parts in starts for count in range(1, len(parts) + 1) if folder.parts[-count:] == parts[:count]}
    return [folder.parents[count - 1] for count in sorted(counts)]


def _list_inside(given: Path, split: str) -> list[Path]:
    bases = [folder for folder in (given, given / "images", given / "data") if folder.is_dir()]
    inner = [
        entry for base in bases for entry in sorted(list_folder(base)) if name_split(entry.name) == split and entry.is_dir()
    ]
    return [*bases, *inner]


def _search_below(root: Path, names: Sequence[str], split: str) -> Path | None:
    """Return the folder below `root` that has all files of some names, unless it is named by another split.

    Of several the one is taken that is named by the split. None if that decides nothing, or there is none.
    """
    whole = [folder for folder in _walk(root) if names and all(os.path.isfile(folder / name) for name in names)]  # noqa: PTH113 - False for a name too long
    said = [{name_split(part, whole=True) for part in folder.relative_to(root).parts} - {None} for folder in whole]
    for fitting in ({split}, set()):
        chosen = [folder for folder, splits in zip(whole, said, strict=True) if splits == fitting]
        if chosen:
            return chosen[0] if len(chosen) == 1 else None
    return None


def _walk(root: Path) -> Iterator[Path]:
    """Yield the folders below `root`, those that are nearest first."""
    level, count = [root], 0
    for _ in range(DEEPEST):
        level = [entry for folder in level for entry in _list_folders(folder)][: MOST - count]
        count += len(level)
        yield from level


def _list_folders(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []  # told where the folder itself is looked at
    return [
        entry
        for entry in entries
        if os.path.isdir(entry) and not is_hidden(entry.name) and entry.name.lower() not in NO_PHOTOS  # noqa: PTH112 - False without permission
    ]
