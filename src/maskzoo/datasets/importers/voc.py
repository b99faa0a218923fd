"""Pascal VOC segmentation: the object's number or colour in one picture, its class in another.

Written by VOC, labelme (labelme2voc, its old form too), CVAT ("Segmentation mask 1.1") and Datumaro.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from maskzoo.datasets.importers.builder import SPLITS, DatasetBuilder, ImportOptions, read_text
from maskzoo.datasets.importers.class_lists import (
    CLASS_FILES,
    ClassList,
    choose_classes,
    find_class_list,
    parse_class_list,
    voc_colour,
)
from maskzoo.datasets.importers.mask_files import (
    MASK_SUFFIXES,
    VOID_COLOUR,
    MaskPicture,
    find_soft_edges,
    read_mask,
    trace_objects,
)
from maskzoo.datasets.importers.mask_folders import IMAGE_FOLDERS
from maskzoo.datasets.layout import name_split
from maskzoo.datasets.picture_names import split_address
from maskzoo.errors import ImageError, SourceError, count_words, list_some
from maskzoo.images.find import IMAGE_SUFFIXES, find_pictures, is_hidden

__all__ = ["VOC_CLASSES", "is_voc", "list_splits", "name_splits", "read_voc"]

VOC_CLASSES = (  # of the places 1 to 20 in the class pictures
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
OBJECTS = ("SegmentationObjectPNG", "SegmentationObject")  # labelme's old form has both, NumPy files in the second
CLASSES = ("SegmentationClassPNG", "SegmentationClass")
TRIED = 20  # class pictures that are looked into for VOC's void
Files = dict[str, Path]  # by the path in the folder without its suffix
VOC_NAME = re.compile(r"VOC20\d\d|20\d\d_\d{6}")  # of VOC's folders and pictures


def is_voc(source: Path) -> bool:
    """Say whether a folder looks like Pascal VOC's segmentation set."""
    return _find_voc_folder(source) is not None


def _find_voc_folder(source: Path) -> Path | None:
    """Find the folder with the masks: `source`, or the only one in it (VOCdevkit)."""
    inner = sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
    found = [path for path in (source, *inner) if any((path / name).is_dir() for name in (*OBJECTS, *CLASSES))]
    return found[0] if found and (found[0] == source or len(found) == 1) else None


def read_voc(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a set in VOC's form, with the splits of ImageSets/Segmentation, or as one without them.

    An object's class is that of most of its pixels: by the list of classes beside the masks (`labelmap.txt`,
    `class_names.txt`, `classes.txt`, `labels.txt`), else by `classes`, the names of the numbers 1, 2 ...; else they are
    VOC's twenty if void pixels or names show that it is VOC's. Void (255) belongs to nothing. Outlines are exactly the
    masks. What does not fit is skipped by name.

    Raises SourceError if objects are not told apart, or nothing says what the classes are.
    """
    folder = _find_voc_folder(source)
    objects = {} if folder is None else _index(folder, OBJECTS, MASK_SUFFIXES)
    if folder is None or not objects:
        alone = (
            "SegmentationClass alone does not tell objects of a class apart" if folder else "no folder SegmentationObject in it"
        )
        raise SourceError(f"{folder or source}: {alone}; expected SegmentationObject beside SegmentationClass and JPEGImages")
    kinds = _index(folder, CLASSES, MASK_SUFFIXES)
    pictures = _index(folder, ("JPEGImages", *IMAGE_FOLDERS), IMAGE_SUFFIXES)
    classes, note = _choose_classes(folder, source, kinds, options.classes)
    drafts, listed = {}, set[str]()
    splits = next(filter(None, (list_splits(folder / "ImageSets" / name) for name in ("Segmentation", "Main"))), {})
    splits = splits or {"": {stem: (path, "") for stem, path in objects.items()}}
    for split, stems in splits.items():
        draft = drafts[split] = DatasetBuilder(list(classes.names), notes=[note] if note else [])
        found = {}
        for stem, origin in stems.items():
            if (name := _find_name(stem, pictures)) is not None:
                found[pictures[name]] = name
                listed.add(name)
            else:
                draft.skip(*origin, f"{stem!r:.80}: no such picture in {folder / 'JPEGImages'}")
        for path, size in draft.measure(list(found), options.on_progress):
            _read_image(draft, (path, size), (objects.get(found[path]), kinds.get(found[path])), classes, found[path])
    unlisted = len(objects.keys() - listed - {stem for stems in splits.values() for stem in stems})
    if unlisted:
        drafts[next(iter(drafts))].notes.append(
            f"{count_words(unlisted, 'mask')} in no list of {folder / 'ImageSets'}: left out"
        )
    return drafts


def _find_name(line: str, pictures: Files) -> str | None:
    """Return the picture that a line of a list names, which may have a path, and more columns (masks, -1 or 1)."""
    for named in (line, *line.split()[:1]):
        suffix = Path(named).suffix
        parts = split_address(named.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else named)
        for first in range(len(parts) if ".." not in parts else 0):
            if (name := "/".join(parts[first:])) in pictures:
                return name
    return None


def _index(folder: Path, names: Sequence[str], suffixes: frozenset[str]) -> Files:
    """Return the files of the folders of some names, each by its path without suffix; the first folder and suffix win."""
    found: Files = {}
    for name in names:
        files = find_pictures(folder / name, suffixes) if (folder / name).is_dir() else []
        for path in sorted(files, key=lambda path: path.suffix == ".npy"):
            found.setdefault(path.relative_to(folder / name).with_suffix("").as_posix(), path)
    return found


def _choose_classes(folder: Path, source: Path, kinds: Files, given: Sequence[str] | None) -> tuple[ClassList, str | None]:
    """Return the classes, and what a user has to know about them."""
    classes = choose_classes(find_class_list([folder, source]), given)
    if classes is not None:
        return classes, None
    named = VOC_NAME.fullmatch(folder.name) or any(VOC_NAME.fullmatch(Path(stem).name) for stem in kinds)
    if not named and not any(_has_void(path) for path in islice(kinds.values(), TRIED)):
        raise SourceError(
            f"{folder}: no list of the classes lies there, and nothing shows that they are VOC's twenty; expected one of "
            f"{', '.join(CLASS_FILES)} with a class on each line, or the names of the numbers 1, 2, ... with --classes"
        )
    note = None if named else f"No list of classes lies in {folder}: they are taken as VOC's; give your own with --classes"
    return parse_class_list(VOC_CLASSES, "VOC"), note


def _has_void(path: Path) -> bool:
    try:
        mask = read_mask(path, None)
    except ImageError:
        return False
    return bool((mask.numbers == mask.void).any())


def name_splits(names: Sequence[str]) -> dict[str, str]:
    """Return the split that each list of pictures, folder or subset is, by its name; lists that hold others are left out.

    A single one of another name (CVAT's `default`, VOC's `trainval`) is what there is to train on.
    """
    found = {name: split for name in names if (split := name_split(name, whole=True))}
    if found:
        return found
    return {names[0]: "train"} if len(names) == 1 else {name: name for name in names}


def list_splits(folder: Path) -> dict[str, dict[str, tuple[Path, str]]]:
    """Return the pictures' names in each split, by the lists in a folder, and where each stands."""
    lists = {path.stem: path for path in sorted(folder.glob("*.txt")) if not is_hidden(path.name)}
    splits: dict[str, dict[str, tuple[Path, str]]] = {}
    for name, split in sorted(name_splits(list(lists)).items(), key=lambda row: [*SPLITS, row[1]].index(row[1])):
        for stem, row in _read_list(lists[name]):
            splits.setdefault(split, {})[stem] = (lists[name], row)
    return splits


def _read_list(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        stem = line.strip().strip('"')  # Datumaro quotes names with spaces
        if stem:
            yield (
                stem.removesuffix(Path(stem).suffix) if Path(stem).suffix.lower() in IMAGE_SUFFIXES else stem,
                f"line {number}",
            )


def _read_image(
    draft: DatasetBuilder,
    picture: tuple[Path, tuple[int, int]],
    masks: tuple[Path | None, Path | None],
    classes: ClassList,
    stem: str,
) -> None:
    if masks[0] is None or masks[1] is None:
        draft.skip(picture[0], "", f"no mask of the name {stem!r:.80} in {'SegmentationClass' if masks[0] else OBJECTS[1]}")
        return
    try:
        objects, kinds = (read_mask(path, picture[1]) for path in masks if path is not None)
        kinds, names = _match(kinds, classes)
        if not _agree(objects, kinds, names) and (evidence := find_soft_edges(objects, [objects.void])):
            raise ImageError(f"{masks[0]}: {evidence}; export it without smoothing")
    except ImageError as error:
        draft.skip(picture[0], "", error)
        return
    image = draft.add_image(*picture)
    places, flat = np.unique(kinds.numbers, return_inverse=True)
    flat = flat.ravel()
    nothing = np.isin(places, [0, kinds.void])
    for one in trace_objects(objects.numbers, (objects.void,)):
        row = f"object {objects.describe(one.number)}"
        counts = np.where(nothing, 0, np.bincount(flat[one.pixels], minlength=len(places)))
        number = int(places[counts.argmax()])
        name = names.get(number) if counts.any() else None
        if name in draft.names:
            draft.add_object(image, draft.names.index(name), one.polygons, (masks[0], row), area=len(one.pixels))
        elif not counts.any():
            draft.skip(masks[1], row, "of no class: all its pixels are background there")
        else:
            found = f"{name!r:.60}" if name else kinds.describe(number)
            draft.skip(masks[1], row, f"of the class {found}; expected one of {list_some(draft.names)}")


def _agree(objects: MaskPicture, kinds: MaskPicture, names: Mapping[int, str]) -> bool:
    """Say whether each object has one class, and one that is known: in pictures with soft edges many have several."""
    inside = ~np.isin(objects.numbers, [0, objects.void])
    pairs = np.unique(np.stack([objects.numbers[inside], kinds.numbers[inside]]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1] and set(pairs[1].tolist()) <= names.keys()


def _match(kinds: MaskPicture, classes: ClassList) -> tuple[MaskPicture, dict[int, str]]:
    """Return the class picture as colours or as numbers, whichever the classes have, and the name of each."""
    colours = kinds.to_colours()
    if classes.colours and set(np.unique(colours.numbers).tolist()) <= {0, VOID_COLOUR, *classes.colours}:
        return colours, classes.colours
    if not kinds.colours:
        return kinds, classes.numbers
    if classes.colours:
        return colours, classes.colours
    return colours, {voc_colour(number): name for number, name in classes.numbers.items()}
