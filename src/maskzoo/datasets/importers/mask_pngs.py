"""Masks as pictures: a pixel is the number or colour of its object, 0 or black for none (as Penn-Fudan's pedestrians).

Or each object has a picture of its own, in a folder for each photo (as the Data Science Bowl of 2018 has it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.class_lists import find_class_list
from maskzoo.datasets.importers.mask_files import (
    MASK_SUFFIXES,
    MaskPicture,
    NumberedObject,
    find_soft_edges,
    read_mask,
    trace_objects,
)
from maskzoo.datasets.importers.mask_folders import ENDED, ENDINGS, IMAGE_FOLDERS, MASK_FOLDERS, MaskFolders, find_mask_folders
from maskzoo.datasets.importers.object_table import TABLE, TableRow, read_object_table
from maskzoo.errors import ImageError, SourceError, count_words, list_some
from maskzoo.images.find import find_pictures

__all__ = ["read_mask_pngs"]

Table = dict[tuple[Path, int], TableRow]
MOST_FRAMED = 0.8  # share of the pictures whose masks look inverted


@dataclass(slots=True)
class _Parts:
    """What tells whether a number with separate parts is one object: how many there are, and how a photo's are told apart."""

    several: list[str] = field(default_factory=list)  # numbers with several parts
    numbers: int = 0
    told_apart: bool = False  # some photo has several numbers, or several masks

    def is_unknown(self) -> bool:
        """Say whether it cannot be known: the masks may hold classes, or only what is no background."""
        return bool(self.several) and (not self.told_apart or 2 * len(self.several) > self.numbers)


def read_mask_pngs(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read pictures and their masks, from `source` or its folders train, val and test.

    All objects are of one class, unless a table beside the masks (`objects.csv`) says what each number is.

    The mask of `a.jpg` is `a_mask.png` or `a.png`, or any other kind of picture; or the pictures `a_mask_1.png` ..., or
    those in a folder `a`, one for each object. The class is "object" unless `classes` or a list beside the masks names it.
    Pictures without a mask, masks without a picture, of another size or with soft edges are skipped by name. Outlines are
    exactly the masks.

    Raises SourceError if numbers have several parts that may be one object or several, unless `parts` says it; and if several
    classes are named, so that the numbers may be these.
    """
    splits = find_mask_folders(source)
    tables = {split: _read_table(folders) for split, folders in splits.items()}
    known = [table for table in tables.values() if table is not None]
    if known and len(known) == len(tables):
        names = _list_known(known, [source, *(folders[0].masks.parent for folders in splits.values())], options.classes)
    else:
        names = _choose_names(source, options.classes)
    drafts, parts = {}, _Parts()
    for split, folders in splits.items():
        drafts[split] = DatasetBuilder(names)
        _read_split(drafts[split], folders, options, parts if (table := tables[split]) is None else table)
    if not drafts:
        raise SourceError(
            f"{source}: no folder of pictures ({', '.join(IMAGE_FOLDERS)}) beside one of masks "
            f"({', '.join(MASK_FOLDERS)}), and no a.jpg beside its a_mask.png; name them so"
        )
    if parts.is_unknown() and options.parts is None:
        raise SourceError(
            f"{parts.several[0]} with one number; so have {len(parts.several)} of {count_words(parts.numbers, 'number')} in "
            "all masks; nothing says whether such parts are one object; --parts each makes each an object, --parts one makes "
            "all parts of a number one object"
        )
    return drafts


def _read_table(folders: Sequence[MaskFolders]) -> Table | None:
    """Return the table beside a folder of masks, by the masks' whole paths."""
    if len(folders) != 1 or folders[0].masks == folders[0].images:
        return None
    table = read_object_table(folders[0].masks.parent)
    return None if table is None else {(folders[0].masks / mask, number): row for (mask, number), row in table.items()}


def _list_known(tables: Sequence[Table], folders: Sequence[Path], given: Sequence[str] | None) -> list[str]:
    """Return the classes of tables: the given ones, those of a list beside the masks that has all of them, or theirs."""
    used = {row.label for table in tables for row in table.values()}
    listed = None if given else find_class_list(folders)
    return list(given or (listed.names if listed is not None and used <= set(listed.names) else sorted(used)))


def _choose_names(source: Path, given: Sequence[str] | None) -> list[str]:
    """Return the name of the one class: the given one, that of a list beside the masks, or "object"."""
    listed = None if given else find_class_list([source])
    names = list(given or (listed.names if listed else ["object"]))
    if len(names) == 1:
        return names
    if given:
        raise SourceError(f"{source}: masks do not distinguish classes, but --classes names {len(names)}; expected one name")
    raise SourceError(
        f"{listed.origin if listed else source}: names {list_some(names)}, so that the masks' numbers may be "
        "classes; here they have to be objects of one class; name that with --classes, or bring both kinds of masks into VOC's "
        "form: SegmentationObject and SegmentationClass beside JPEGImages"
    )


def _read_split(draft: DatasetBuilder, folders: Sequence[MaskFolders], options: ImportOptions, known: _Parts | Table) -> None:
    pairs = {picture: masks for one in folders for picture, masks in _pair(draft, one).items()}
    framed: list[Path] = []
    for path, size in draft.measure(list(pairs), options.on_progress):
        read: list[tuple[MaskPicture, list[NumberedObject]]] = []
        for mask in pairs[path]:
            try:
                named = not isinstance(known, _Parts)
                read.append(_read_objects(mask, size, options.threshold, alone=len(pairs[path]) == 1, named=named))
            except ImageError as error:
                draft.skip(mask, "", error)
                break
        else:
            image = draft.add_image(path, size)
            if isinstance(known, _Parts):
                known.told_apart |= sum(len(objects) for _, objects in read) > 1
            framed += [picture.path for picture, _ in read if _is_framed(picture)]
            for picture, objects in read:
                for one in objects:
                    if isinstance(known, _Parts):
                        _add(draft, image, picture, one, options, known)
                    else:
                        _add_known(draft, image, picture, one, known.get((picture.path, one.number)))

    if len(framed) > 1 and len(framed) >= MOST_FRAMED * len(draft.pictures):
        draft.notes.append(
            f"{count_words(len(framed), 'mask')} of {count_words(len(draft.pictures), 'picture')}, such as {framed[0]}, have "
            "one number that lies along all four edges: if background and object are exchanged there, invert the masks"
        )


def _is_framed(mask: MaskPicture) -> bool:
    """Say whether the one number of a mask lies along all its edges, as the background does."""
    edges = np.concatenate([mask.numbers[[0, -1]].ravel(), mask.numbers[:, [0, -1]].ravel()])
    return bool(edges.min() > 0 and edges.min() == edges.max() and (mask.numbers == 0).any())


def _add(
    draft: DatasetBuilder, image: int, mask: MaskPicture, one: NumberedObject, options: ImportOptions, parts: _Parts
) -> None:
    parts.numbers += 1
    if len(one.polygons) > 1:
        parts.several.append(f"{mask.path}: has {len(one.polygons)} separate parts")
    row = f"object {mask.describe(one.number)}"
    if options.parts == "each":
        for polygon in one.polygons:
            draft.add_object(image, 0, [polygon], (mask.path, row))
    else:
        draft.add_object(image, 0, one.polygons, (mask.path, row), area=len(one.pixels))


def _add_known(draft: DatasetBuilder, image: int, mask: MaskPicture, one: NumberedObject, row: TableRow | None) -> None:
    origin = (mask.path, f"object {mask.describe(one.number)}")
    if row is None or row.label not in draft.names:
        found = "does not name it" if row is None else f"says it is {row.label!r:.60}, which is not one of the classes"
        draft.skip(*origin, f"{TABLE} {found}")
        return
    label = draft.names.index(row.label)
    draft.add_object(image, label, one.polygons, origin, area=len(one.pixels), attributes=row.attributes)


def _pair(draft: DatasetBuilder, folders: MaskFolders) -> dict[Path, list[Path]]:
    """Return the masks of each picture; skip the pictures and masks that stand alone."""
    images, masks, of_one_photo = folders
    files, pictures = find_pictures(masks, MASK_SUFFIXES), find_pictures(images)
    groups = _group(files, masks)
    if images == masks:
        stems = {path.relative_to(images).with_suffix("") for path in pictures}
        files = [mask for stem, found in groups.items() for mask in found if stem in stems and mask.stem != stem.name]
        pictures = [path for path in pictures if path not in set(files)]
    pairs: dict[Path, list[Path]] = {}
    for path in pictures:
        name = path.relative_to(images)
        found = groups.get(name.with_suffix(""), groups.get(name, []))
        found = files if of_one_photo and len(pictures) == 1 else [mask for mask in found if mask != path]
        if found:
            pairs[path] = found
        else:
            draft.skip(path, "", f"has no mask; expected {path.stem}.png or {path.stem}_mask.png in {masks}")
    used = {mask for found in pairs.values() for mask in found}
    for mask in files:
        if mask not in used:
            draft.skip(mask, "", "there is no picture of this name")
    return pairs


def _group(files: Sequence[Path], folder: Path) -> dict[Path, list[Path]]:
    """Return the masks that belong to a picture of each name, which is without its suffix, or with it.

    `a_mask.png`, also `a_mask_1.png` and so on, are of `a`; else `a.png`; else all that lie in a folder `a`.
    """
    named: dict[Path, dict[str, list[Path]]] = {}
    names = {mask.relative_to(folder).with_suffix(""): mask for mask in reversed(files)}
    for name, mask in reversed(names.items()):
        match = ENDED.fullmatch(name.name)
        if match:
            named.setdefault(name.parent / match[1], {}).setdefault(match[2], []).append(mask)
        named.setdefault(name, {}).setdefault("", []).append(mask)
        named.setdefault(name.parent, {}).setdefault("/", []).append(mask)
    order = (*ENDINGS, "", "/")
    return {name: next(found[ending] for ending in order if ending in found) for name, found in named.items()}


def _read_objects(
    path: Path, size: tuple[int, int], threshold: int | None, *, alone: bool, named: bool
) -> tuple[MaskPicture, list[NumberedObject]]:
    """Read a mask and its objects; one that is not `alone` is the mask of one object; `named` numbers are surely objects."""
    mask = read_mask(path, size, threshold)
    if not named and (evidence := find_soft_edges(mask)):
        most = 255 if mask.colours else int(mask.numbers.max())
        half = 127 if 127 < most <= 255 else most // 2
        raise ImageError(
            f"{path}: {evidence}; --threshold {half} takes what is above {half} for objects; or export the masks without "
            "smoothing"
        )
    objects = list(trace_objects(mask.numbers))
    if not alone and len(objects) != 1:
        raise ImageError(f"{path}: has {count_words(len(objects), 'object')}; expected one in each of the photo's masks")
    return mask, objects
