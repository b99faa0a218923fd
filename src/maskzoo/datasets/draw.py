"""Some annotated images of a data set drawn on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.contact_sheet import Cell, draw_sheet
from maskzoo.datasets.drawn_objects import read_annotated_photo
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.datasets.layout import find_splits, pick_split
from maskzoo.drawing.fonts import check_font, explain_unwritten
from maskzoo.drawing.picture_file import MARK, encode_picture
from maskzoo.errors import ArgumentError, ConfigError, ImageError, MaskzooError, SourceError, list_some, suggest
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_target, is_taken, make_folder, write_file

__all__ = ["DrawnDataset", "check_sheet", "choose_images", "draw_dataset", "find_split", "write_sheet"]

SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class DrawnDataset:
    """The sheet that `draw_dataset` wrote to `out`: the ids of its `images`, and how many the data set has in `total`.

    `failed` are the files that could not be shown, and why.
    """

    out: Path
    images: tuple[int, ...]
    total: int
    failed: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return asdict(self) | {"out": str(self.out), "images": list(self.images)}


def draw_dataset(
    data: str | Path,
    *,
    out: str | Path = "sheet.jpg",
    count: int = 12,
    class_name: str | None = None,
    image: Sequence[int] = (),
    seed: int = 0,
    split: str | None = None,
    images: str | Path | None = None,
    font: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> DrawnDataset:
    """Draw some annotated images on one sheet, each class in its colour, crowds striped in grey.

    Args:
        data: a COCO instances file (JSON), or a folder in one of the usual layouts.
        out: the picture to write, .jpg or .png. A sheet that was drawn before is overwritten, nothing else.
        count: how many images, chosen at random.
        class_name: only images with this class, and only its objects.
        image: the ids of the images to show, instead of a choice.
        seed: another number, another choice.
        split: the split of a folder; left out, its first.
        images: the images' folder, or one with a folder for each split; left out, it is searched for near `data`.
        font: the file of a font that has the letters of the names; left out, one is searched for.
        on_progress: is called for each image, and told which names cannot be written.

    Returns:
        What is on the sheet. Images that are missing, cannot be read or have another size than `data` says are named.

    Raises:
        ArgumentError: `out` has another ending, or `count` is below 1.
        ConfigError: the class or an id is not in the data set, `images` is not a folder, or the font cannot be read.
        SourceError: there is no annotation file, no such split, no image to show, or their folder is not found.
        AnnotationsError: the file has faults.
        ImageError: no image could be shown.
        MaskzooError: `out` is something other than a sheet, or cannot be written.
    """
    out = check_sheet(out, count, font)
    annotations = read_annotations(find_split(data, split))
    label = None if class_name is None else _find_label(annotations, class_name)
    places = choose_images(annotations, label, image, count, seed)
    folder = find_image_folder(annotations, None if images is None else Path(images), split)
    if note := explain_unwritten(annotations.classes.names, font):
        on_progress(ProgressEvent("Drawing", note=note))
    cells: list[Cell] = []
    failed: dict[str, str] = {}
    for done, place in enumerate(places, 1):
        try:
            cells.append(Cell(read_annotated_photo(annotations, place, folder), place))
        except ImageError as error:
            path = folder / annotations.file_name(place)
            failed[str(path)] = str(error).removeprefix(f"{path}: ")
        on_progress(ProgressEvent("Reading images", done, len(places)))
    if not cells:
        reasons = [f"{path}: {reason}" for path, reason in failed.items()]
        raise ImageError(list_some(["no image could be shown", *reasons], 21, "\n  "))
    write_sheet(out, draw_sheet(annotations, cells, label, font))
    shown = tuple(int(annotations.image_ids[cell.image]) for cell in cells)
    return DrawnDataset(out, shown, len(annotations), failed)


def check_sheet(out: str | Path, count: int, font: str | Path | None) -> Path:
    """Return where a sheet of `count` pictures goes. Raises ArgumentError, ConfigError or MaskzooError if it cannot."""
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{out}: expected a name that ends in .jpg or .png (--out)")
    if count < 1:
        raise ArgumentError(f"count is {count}; expected 1 image or more (--count)")
    check_target(out)
    check_font(font)
    if is_taken(out, MARK):
        raise MaskzooError(f"{out}: exists already and is not a sheet; expected a new file; choose another --out")
    return out


def write_sheet(out: Path, sheet: Image.Image) -> None:
    """Write a sheet by the format that its name says. Raises MaskzooError."""
    make_folder(out.parent)
    write_file(out, encode_picture(sheet, out.suffix.lower()))


def find_split(data: str | Path, split: str | None) -> Path:
    """Return the annotation file of a split, by default the first. Raises SourceError."""
    files = find_splits(data)
    return next(iter(files.values())) if split is None else pick_split(files, split, data)


def _find_label(annotations: AnnotationSet, name: str) -> int:
    names = annotations.classes.names
    if name not in names:
        known = suggest(name, names) or f"known are {list_some(names)}"
        raise ConfigError(f"{annotations.source}: no class is called {name!r}; {known} (--class)")
    return names.index(name)


def choose_images(annotations: AnnotationSet, label: int | None, wanted: Sequence[int], count: int, seed: int) -> list[int]:
    """Return the places of the images: those asked for, or a random choice of those with the class, by ascending id."""
    if wanted:
        ids = {number: place for place, number in enumerate(annotations.image_ids.tolist())}
        unknown = [number for number in wanted if number not in ids]
        if unknown:
            raise ConfigError(f"{annotations.source}: no image has the id {unknown[0]}; look it up in the file (--image)")
        return [ids[number] for number in dict.fromkeys(wanted)]
    candidates: NDArray[np.integer[Any]] = np.arange(len(annotations))
    if label is not None:
        candidates = np.unique(annotations.image_index[annotations.labels == label])
    if not len(candidates):
        what = "has no image" if label is None else f"no image has an object of {annotations.classes.names[label]!r}"
        raise SourceError(f"{annotations.source}: {what}; there is nothing to show")
    chosen = np.random.default_rng(seed).permutation(candidates)[:count]
    return [int(place) for place in np.sort(chosen)]
