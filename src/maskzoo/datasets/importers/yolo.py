"""YOLO segmentation data: data.yaml, pictures, and per picture a text file of normalised polygons."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions, read_text
from maskzoo.datasets.importers.yolo_data import CLASS_LISTS, YoloData, find_data_file, read_data
from maskzoo.datasets.importers.yolo_labels import NO_LABELS, LabelFiles, has_picture
from maskzoo.datasets.layout import SPLITS
from maskzoo.errors import MaskzooError, SourceError, count_words, list_some
from maskzoo.images.find import find_pictures, is_hidden
from maskzoo.system.files import open_regular

__all__ = ["is_yolo", "read_yolo"]

ROUNDING = 1e-3  # of a normalised coordinate: writers round, so that 1.0000001 still means the border
LONGEST_ROW = 1 << 20  # bytes of a row that are looked at to recognise it
LOOKED_INTO = 500  # label files that are looked at together before they are read
FEWEST_POSES = 3  # rows of points without a third number that can be told from outlines
_DECIMAL_COMMAS = re.compile(r"\s*\S+(\s+-?[0-9]+(,[0-9]+)?)+\s*")


def is_yolo(source: Path) -> bool:
    """Say whether a file or folder looks like YOLO's: it is or holds a data.yaml, or has label files.

    These lie in `labels`, or beside pictures of their names.
    """
    if find_data_file(source) is not None:
        return True
    if not source.is_dir():
        return False
    places = [source / place / "labels" for place in ("", *(name for names in SPLITS.values() for name in names))]
    texts = [text for place in places if place.is_dir() for text in _find_texts(place)]
    return any(map(_looks_like_labels, texts[:LOOKED_INTO] or filter(has_picture, _find_texts(source))))


def _find_texts(folder: Path) -> list[Path]:
    return find_pictures(folder, {".txt"}, lambda path, reason: None)


def _looks_like_labels(path: Path) -> bool:
    """Say whether the first row of a text is numbers after a whole one, as every row of YOLO's is; True if it is empty."""
    with open_regular(path) as stream:
        row = _split_row(stream.readline(LONGEST_ROW).decode("utf-8-sig", "replace"))
    return not row or (row[0].isdigit() and re.fullmatch(r"[-+.\de]+", "".join(row[1:5]), re.ASCII) is not None)


def _split_row(line: str) -> list[str]:
    """Return a row's fields. Commas and semicolons part them, or commas stand for points where spaces part them."""
    if "," in line and _DECIMAL_COMMAS.fullmatch(line):
        return line.replace(",", ".").split()
    return line.replace(",", " ").replace(";", " ").split()


def read_yolo(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a YOLO segmentation data set, a folder or its data file, split by split ("" where there are none).

    A picture without a label file is one without objects. Rows `class x1 y1 x2 y2 ...` become polygons; rows of a box
    (`class x y width height`) have no outline and are what `boxes` says. Rows that make no sense are skipped by name.
    Labels of another kind (key points, pixels) raise SourceError.
    """
    data = read_data(source, options.classes)
    names = data.names
    if names is None:
        raise SourceError(
            f"{data.file or data.folder}: no names of the classes; expected names in data.yaml, or {CLASS_LISTS[0]} or "
            f"{CLASS_LISTS[1]} beside the data; or give them in order: --classes cat,dog"
        )
    pictures = [path for split in data.splits.values() for path in split]
    labels = LabelFiles()
    files = {path: labels.find(path) for path in pictures}
    _check_labels(files, data)
    drafts: dict[str, DatasetBuilder] = {}
    for split, paths in data.splits.items():
        draft = drafts[split] = DatasetBuilder(names, options.boxes)
        reader = _Reader(draft)
        for path, size in draft.measure(paths, options.on_progress):
            reader.read_labels(files[path], draft.add_image(path, size))
        _skip_orphans(draft, {files[path] for path in paths})
    first = next(iter(drafts.values()))
    for path, reason in data.obstacles.items():
        first.skip(path, "", reason)
    moved = [f"{label} is of {picture.name}" for label, picture in labels.told.items()]
    found = [f"labels found under another name than the pictures': {list_some(moved, 3)}"] if moved else []
    first.notes += [*data.notes, *found, *_note_unused(names, drafts)]
    return drafts


def _note_unused(names: Sequence[str], drafts: dict[str, DatasetBuilder]) -> list[str]:
    """Say which classes have no object: exports write names that nothing has (Roboflow's class 0)."""
    used = {row["category_id"] - 1 for draft in drafts.values() for row in draft.annotations}
    unused = [f"{name!r} ({place})" for place, name in enumerate(names) if place not in used]
    return [f"classes without an object: {list_some(unused)}"] if used and unused else []


def _check_labels(labels: Mapping[Path, Path], data: YoloData) -> None:
    """Refuse pictures without any labels, which lie where nobody looks, and labels that are of another kind as a whole."""
    files = [path for path in labels.values() if path.is_file()]
    if labels and not files:
        raise SourceError(
            f"{next(iter(labels.values()))}: no such file, and none for any other of {len(labels)} pictures; expected "
            "labels in a folder `labels` like the pictures' `images`, or beside the pictures"
        )
    rows = [(row, file) for file in files[:LOOKED_INTO] for row in _read_numbers(file)]
    if not rows:
        return
    found = f"{rows[0][1]}: all of {count_words(len(rows), 'row')} looked at"
    _check_numbering({float(row[0]) for row, _ in rows}, data, found)
    if _are_poses([row for row, _ in rows]):
        raise SourceError(
            f"{found} are a box and key points (YOLO-pose), no outlines; expected YOLO's segmentation labels; "
            "export the data set for instance segmentation"
        )
    if all((row[1:] > 1 + ROUNDING).any() for row, _ in rows) and max(row[1:].max() for row, _ in rows) > 2:
        largest = max(row[1:].max() for row, _ in rows)
        raise SourceError(
            f"{found} have coordinates above 1, the largest {largest:g}: they are pixels or percent; expected parts of the "
            "picture's width and height, from 0 to 1; divide x by the width and y by the height"
        )
    if all(len(row) == 9 for row, _ in rows):
        data.note(
            f"{found} have four points: if the labels are oriented boxes (YOLO-OBB), the masks are only rectangles; "
            "expected outlines"
        )


def _check_numbering(used: Set[float], data: YoloData, found: str) -> None:
    """Refuse labels that count the classes from 1: the last class would be unknown, and each other one the next."""
    names = data.names or []
    if names and max(used) == len(names) and min(used) >= 1:
        raise SourceError(
            f"{found} have classes from 1 to {len(names)}, and none has 0; expected numbers from 0 to {len(names) - 1} for the "
            f"{count_words(len(names), 'name')}; subtract 1 from each, or name class 0 too: --classes unused,{','.join(names)}"
        )


def _read_numbers(file: Path) -> Iterator[NDArray[np.float64]]:
    """Give the rows of a label file that are numbers."""
    try:
        lines = read_text(file).splitlines()
    except MaskzooError:
        return
    for line in lines:
        try:
            row = np.array([float(value) for value in _split_row(line)])
        except ValueError:
            continue
        if len(row) >= 5 and np.isfinite(row).all():
            yield row


def _are_poses(rows: Sequence[NDArray[np.float64]]) -> bool:
    """Say whether all rows are class, box, and points x y visible (0, 1 or 2) or x y; those that are seen are in the box."""
    if len({len(row) for row in rows}) > 1 or len(rows[0]) < 8:
        return False
    table = np.array(rows)
    for size in (3, 2):
        if (table.shape[1] - 5) % size:
            continue
        points = table[:, 5:].reshape(len(rows), -1, size)
        seen = points[:, :, 2] > 0 if size == 3 else (points != 0).any(axis=2)
        reach = table[:, None, 3:5] / 2 + 0.05  # points may stand out a little
        inside = (np.abs(points[:, :, :2] - table[:, None, 1:3]) <= reach).all(axis=2) | ~seen
        if not (inside.all() and seen.any()):
            continue
        if size == 3 and np.isin(points[:, :, 2], (0, 1, 2)).all():
            return True
        if size == 2 and len(rows) >= FEWEST_POSES and _stands_apart(table).mean() > 0.5:
            return True
    return False


def _stands_apart(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say of each row whether its second pair is far from all others: a width and height, no point of an outline."""
    points = rows[:, 1:].reshape(len(rows), -1, 2)
    others = np.delete(points, 1, axis=1)
    low, high = others.min(axis=1), others.max(axis=1)
    second, side = points[:, 1], high - low
    return np.asarray(((second < low - side) | (second > high + side)).any(axis=1))


def _skip_orphans(draft: DatasetBuilder, expected: Set[Path]) -> None:
    """Note the label files of no picture: their objects would vanish in silence."""
    for folder in sorted({path.parent for path in expected}):
        for path in sorted(folder.glob("*.txt")):
            if path not in expected and path.name not in NO_LABELS and not is_hidden(path.name):
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
                    self._read_row(_split_row(line), image, (path, f"line {number}"))
                except ValueError as error:
                    self.draft.skip(path, f"line {number}", error)

    def _read_row(self, fields: list[str], image: int, origin: tuple[Path, str]) -> None:
        """Raises ValueError that says why a row makes no sense."""
        if fields[0] in self.draft.names and not fields[0].isdecimal():
            fields = [str(self.draft.names.index(fields[0])), *fields[1:]]
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
            score = ": a score at the end?" if len(values) >= 6 and len(values) % 2 == 0 else ""
            raise ValueError(f"{len(values)} numbers{score}; expected a class and x y of 3 points or more")
        points = _to_corners(values[1:]) if is_box else values[1:]
        if not ((points >= -ROUNDING) & (points <= 1 + ROUNDING)).all():
            like_pixels = f", {points.max():g}, which looks like pixels" if 2 < points.max() < math.inf else ""
            raise ValueError(f"a coordinate outside of 0 to 1{like_pixels}; expected parts of the picture's width and height")
        height, width = self.draft.sizes[image]
        pixels = (points.clip(0, 1).reshape(-1, 2) * (width, height)).ravel()
        if is_box:
            self.draft.add_box(image, int(label), pixels, origin)
        else:
            self.draft.add_object(image, int(label), [pixels], origin)


def _to_corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, width, height = box.tolist()
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
