"""What files of an annotation tool say, picture by picture, and how that becomes a data set: one rule for every tool.

A format's reader fills `Labels` with pictures and their shapes; `to_drafts` finds the pictures, chooses the classes and the
splits, joins the shapes of a group into one object, and tells what is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.importers.builder import SPLITS, DatasetBuilder, ImportOptions, measure_pictures
from maskzoo.datasets.importers.class_lists import find_class_list
from maskzoo.datasets.importers.drawn_shapes import Points
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, compare_size, prove_exchanged
from maskzoo.datasets.importers.picture_index import FoundPicture, PictureIndex
from maskzoo.datasets.picture_names import split_address
from maskzoo.errors import AnnotationsError, ImageError, SourceError, list_some
from maskzoo.images.find import find_pictures
from maskzoo.images.read import read_image

__all__ = ["IGNORED", "Labels"]

# Words of LabelMe and ISAT for what is no object, in the spellings that users give them.
IGNORED = frozenset(["__ignore__", "_ignore_", "_background_", "__background__"])
SPLIT_FOLDERS = {split: split for split in SPLITS} | {"valid": "val", "validation": "val"}
LABEL_FOLDERS = ("annotations", "ann")  # whose pictures lie beside it
LARGEST_FILE = 1 << 29  # bytes: a file may hold its picture, as text


@dataclass
class Labels:
    """All that the files of a tool say: pictures in order, rows left out, and what is to be told, with an example each."""

    source: Path
    tool: str
    pictures: list[LabelledPicture] = field(default_factory=list)
    skipped: list[tuple[Path, str, str]] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder in which pictures are looked for."""
        folder = self.source if self.source.is_dir() else self.source.parent
        return folder.absolute().parent if folder.absolute().name.casefold() in LABEL_FOLDERS else folder

    def read_files(self, suffix: str = ".json") -> Iterator[tuple[Path, Any]]:
        """Yield each JSON file of the source with its content; those that cannot be read are left out by name."""
        for path in self.list_files(suffix):
            try:
                yield path, read_content(path)
            except (OSError, AnnotationsError, SourceError) as error:
                self.skip(path, "", error)

    def list_files(self, suffix: str) -> list[Path]:
        """Return the files of a kind in the source; what cannot be looked at is left out by name."""
        if not self.source.is_dir():
            return [self.source]
        return find_pictures(self.source, {suffix}, lambda path, reason: self.skip(path, "", reason))

    def skip(self, file: Path, row: str, reason: str | Exception) -> None:
        """Note what is left out; an error's message may begin with the file."""
        self.skipped.append((file, row, str(reason).removeprefix(f"{file}: ")))

    def tell(self, what: str, example: str) -> None:
        """Note something that a user has to know, counted by `what`."""
        self.told.setdefault(what, []).append(example)

    def to_drafts(self, options: ImportOptions) -> dict[str, DatasetBuilder]:
        """Return a filled builder for each split. Raises SourceError, with all reasons, if there is no class or picture."""
        for shape in (shape for picture in self.pictures for shape in picture.shapes if isinstance(shape.label, str)):
            shape.label = shape.label.strip()
        names = self._choose_names(options)
        if not self.pictures:
            nothing = f"{self.source}: no {self.tool} file in it is about a picture"
            raise SourceError(list_some([nothing, *self._list_reasons()], 21, "\n  "))
        splits = self._choose_splits()
        drafts = {split: DatasetBuilder(names, options.boxes) for split in dict.fromkeys([*SPLITS, ""]) if split in splits}
        index = PictureIndex(options.images or self.root)
        found = [self._find(picture, index, options) for picture in self.pictures]
        on_disk = dict.fromkeys(path for path, size in found if path is not None and size is None)
        sizes = dict(measure_pictures(list(on_disk), options.on_progress))
        seen: dict[Path, str] = {}
        all_measured = [size if path is None or size is not None else sizes[path] for path, size in found]
        exchanged = prove_exchanged([*zip(self.pictures, all_measured, strict=True)])
        for picture, split, (path, size), measured in zip(self.pictures, splits, found, all_measured, strict=True):
            draft = drafts[split]
            if path is None or not isinstance(measured, tuple):
                draft.skip(picture.file, picture.row, str(measured))
                continue
            fault = compare_size(picture, measured)
            if fault is not None and exchanged and picture.size == measured[::-1] and not picture.relative:
                self.tell("Labels that exchange the picture's width and height, which their outlines do not", path.name)
                fault = None
            if path in seen:
                fault = f"is about {path.name}, as {seen[path]} is; expected one file for each picture"
            if fault is not None:
                draft.skip(picture.file, picture.row, fault)
                continue
            seen[path] = ": ".join(filter(None, [str(picture.file), picture.row]))
            if size is not None and picture.embedded is not None:
                draft.embedded[path] = picture.embedded
            _add_objects(draft, picture, draft.add_image(path, measured))
        self._hand_over(next(iter(drafts.values())), index)
        return drafts

    def _hand_over(self, draft: DatasetBuilder, index: PictureIndex) -> None:
        """What belongs to no split stands with the first one."""
        skipped = [*self.skipped, *((path, "", reason) for path, reason in index.obstacles)]
        mine, draft.skipped = draft.skipped, []
        for row in skipped:
            draft.skip(*row)
        draft.skipped += mine
        for what, examples in self.told.items():
            draft.notes.append(f"{what}: {list_some(examples, 3)}")

    def _choose_names(self, options: ImportOptions) -> list[str]:
        if options.classes is not None:
            return [name for name in options.classes if name.casefold() not in IGNORED]
        shapes = (shape for picture in self.pictures for shape in picture.shapes if not shape.fault)
        labels = {shape.label for shape in shapes if isinstance(shape.label, str) and shape.label}
        names = sorted(label for label in labels if label.casefold() not in IGNORED)
        if not names:
            nothing = f"{self.source}: no {self.tool} file in it has a labelled shape"
            reasons = self._list_reasons()
            for picture in self.pictures:
                reasons += [f"{picture.file}: {shape.row}: {shape.fault}" for shape in picture.shapes if shape.fault]
            if not reasons:
                nothing += f"; expected shapes, each with a label ({len(self.pictures)} pictures are named)"
            raise SourceError(list_some([nothing, *reasons], 21, "\n  "))
        return self._order_names(names)

    def _order_names(self, names: list[str]) -> list[str]:
        """Return the classes of a list that lies beside the labels and has all of their names, else the names."""
        listed = find_class_list(list(dict.fromkeys([self.root, *(picture.file.parent for picture in self.pictures[:1])])))
        if listed is None:
            return names
        if missing := sorted(set(names) - set(listed.names)):
            self.tell(f"{listed.origin} does not name all labels, so their order is the alphabet's", ", ".join(missing))
            return names
        return list(listed.names)

    def _list_reasons(self) -> list[str]:
        return [": ".join(filter(None, [str(file), row, reason])) for file, row, reason in self.skipped]

    def _choose_splits(self) -> list[str]:
        """Return each picture's split, by the folders of the label files; "" for all where some lie elsewhere."""
        splits = []
        for picture in self.pictures:
            if picture.split is not None:
                splits.append(picture.split)
                continue
            folders = picture.file.absolute().relative_to(self.root.absolute()).parts[:-1]
            splits.append(next((SPLIT_FOLDERS[part] for part in map(str.casefold, folders) if part in SPLIT_FOLDERS), ""))
        if "" not in splits:
            return splits
        if any(splits):
            self.tell("Taken as one set, because not all labels lie in folders of a split", str(self.root))
        return [""] * len(splits)

    def _find(self, picture: LabelledPicture, index: PictureIndex, options: ImportOptions) -> tuple[Path | None, Any]:
        """Return the picture's path and None; that to be and the size of an embedded one; or None and the reason."""
        near, named = picture.file.parent, picture.named
        found = FoundPicture(None, f"found {named!r:.80}; expected the name of a picture")
        if isinstance(named, str) and named:
            found = index.find(named, near)
        if found.path is None and picture.stem is not None and (picture.embedded is None or not named):
            beside = index.find(picture.stem, near)
            if beside.path is not None:
                found = FoundPicture(beside.path, "found by the name of the label file")
        if found.path is None and picture.embedded is not None:
            return self._take_out(picture, picture.embedded, options, found.told)
        if found.path is not None and found.told:
            example = f"{str(named)[-80:]} is {found.path.relative_to(index.root.absolute())}"
            self.tell(f"Pictures {found.told}", example)
        return (None, found.told) if found.path is None else (found.path, None)

    def _take_out(
        self, picture: LabelledPicture, load: Callable[[], bytes], options: ImportOptions, missing: str
    ) -> tuple[Path | None, Any]:
        """Say where a picture that lies inside its label file will be written, and measure it."""
        if options.pictures is None:
            return None, f"{missing}; there is one inside the label file, but no folder to write it to"
        try:
            content = load()
            height, width = read_image(content).shape[:2]
        except (OSError, ValueError, ImageError) as error:
            return None, f"{missing}; the one inside the label file cannot be read: {error}"
        parts = split_address(picture.named) if isinstance(picture.named, str) else []
        named = PureWindowsPath(parts[-1] if parts else "picture")
        kinds = (".png",) if content.startswith(b"\x89PNG") else (".jpg", ".jpeg") if content.startswith(b"\xff\xd8") else None
        suffix = named.suffix if kinds is None or named.suffix.lower() in kinds else kinds[0]
        folder = options.pictures / picture.file.parent.absolute().relative_to(self.root.absolute())
        path = folder.absolute() / f"{picture.stem or named.stem}{suffix}"  # many files may call theirs by one name
        self.tell(f"Pictures that lay inside the labels, written to {options.pictures}", path.name)
        return path, (height, width)


def read_content(path: Path) -> Any:
    """Return the content of a JSON file. Raises OSError, AnnotationsError or SourceError that says why there is none."""
    if path.stat().st_size > LARGEST_FILE:
        raise SourceError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_FILE:,}")
    return read_json(path)


@dataclass(slots=True)
class _Object:
    """The shapes of one object, drawn."""

    label: str
    crowd: bool
    is_box: bool = True
    rows: list[str] = field(default_factory=list)
    polygons: list[Points] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    def add(self, shape: LabelledShape, polygons: list[Points]) -> None:
        self.rows.append(shape.row if not self.rows else shape.row.rsplit(" ", 1)[-1])
        self.is_box &= shape.is_box
        self.polygons += polygons
        self.attributes = shape.attributes | self.attributes


def _add_objects(draft: DatasetBuilder, picture: LabelledPicture, image: int) -> None:
    objects: dict[Any, _Object] = {}
    before = f"{picture.row}: " if picture.row else ""
    for place, shape in enumerate(picture.shapes):
        try:
            if fault := _judge_label(draft, shape):
                raise ValueError(fault)
            polygons = shape.draw(draft.sizes[image])
        except ValueError as error:
            draft.skip(picture.file, before + shape.row, error)
            continue
        key = place if shape.group is None else (shape.label, shape.crowd, shape.group)
        objects.setdefault(key, _Object(shape.label, shape.crowd)).add(shape, polygons)
    for one in objects.values():
        label, origin = draft.names.index(one.label), (picture.file, before + ", ".join(one.rows))
        if one.is_box:
            for corners in one.polygons:
                draft.add_box(image, label, np.asarray(corners), origin, attributes=one.attributes)
        else:
            draft.add_object(image, label, one.polygons, origin, crowd=one.crowd, attributes=one.attributes)


def _judge_label(draft: DatasetBuilder, shape: LabelledShape) -> str:
    if shape.fault:
        return shape.fault
    if isinstance(shape.label, str) and shape.label.casefold() in IGNORED:
        return f"label {shape.label!r} means what is no object"
    if not isinstance(shape.label, str) or shape.label not in draft.names:
        return f"label {shape.label!r:.60} is not one of the classes"
    return ""
