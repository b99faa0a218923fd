"""Cityscapes: `gtFine/SPLIT/CITY/NAME_gtFine_instanceIds.png` and `_polygons.json`, pictures in `leftImg8bit`.

By the scripts that Cityscapes publishes: a pixel is class * 1000 + number of the object, or the class alone where objects
were not told apart (`cargroup` in the polygons). Where there are polygons alone they are painted in their order, the later
ones over the earlier. CVAT's and Datumaro's form has classes of its own, in `label_colors.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions, read_text
from maskzoo.datasets.importers.class_lists import parse_class_list
from maskzoo.datasets.importers.drawn_shapes import read_points
from maskzoo.datasets.importers.labelled import read_content
from maskzoo.datasets.importers.mask_files import read_mask, trace_objects
from maskzoo.datasets.importers.picture_index import PictureIndex
from maskzoo.datasets.layout import SPLITS, name_split
from maskzoo.errors import AnnotationsError, ImageError, SourceError, list_some
from maskzoo.images.find import find_pictures

__all__ = ["is_cityscapes", "is_cityscapes_json", "read_cityscapes"]

CLASSES = {24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle"}
MORE_CLASSES = {29: "caravan", 30: "trailer"}  # have objects, but are not measured
FOLDERS = ("gtFine", "gtCoarse")
PICTURES = ("leftImg8bit", "imgsFine/leftImg8bit")  # CVAT's is the second
LABELS = re.compile(r"(.+)_gt(?:Fine|Coarse)_(instanceIds\.png|polygons\.json)")
COLOURED = re.compile(r"(?:(\d+\s+\d+\s+\d+)\s+)?(\S.*)")  # a line of label_colors.txt
Size = tuple[int, int]
Scenes = dict[str, dict[str, Path]]  # by the name below the folder of labels: its files by the end of their names


def is_cityscapes(source: Path) -> bool:
    """Say whether a folder is Cityscapes' by the names of its folders."""
    return any((source / name).is_dir() for name in FOLDERS)


def is_cityscapes_json(content: Any) -> bool:
    """Say whether the content of a JSON file looks like Cityscapes' polygons."""
    return (
        isinstance(content, dict) and {"imgHeight", "imgWidth"} <= content.keys() and isinstance(content.get("objects"), list)
    )


def read_cityscapes(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read Cityscapes' labels, `gtFine` before `gtCoarse`, with the splits of its folders.

    Classes are the eight that Cityscapes measures, or those of `label_colors.txt`; `classes` may name caravan and trailer too.
    What is no object (road, sky ...) is left out. Objects that were not told apart are a crowd. Outlines are exactly the masks.

    Raises SourceError if there are no labels, or a class is not known.
    """
    folder = next((source / name for name in FOLDERS if (source / name).is_dir()), source)
    scenes, others = _list_scenes(folder)
    numbers = _choose_classes([folder.parent, folder], options.classes)
    splits: dict[str, list[str]] = {}
    for name in scenes:
        splits.setdefault(name_split(Path(name).parts[0], whole=True) or "", []).append(name)
    if not splits:
        raise SourceError(f"{source}: no labels of Cityscapes; expected files such as a_gtFine_instanceIds.png in gtFine")
    names = list(options.classes or numbers.values())
    drafts = {split: DatasetBuilder(names) for split in (*SPLITS, "") if split in splits}
    index = PictureIndex(folder.parent)
    for split, draft in drafts.items():
        pictures = dict(_find_pictures(draft, splits[split], scenes, index))
        for path, size in draft.measure(list(pictures), options.on_progress):
            _read_scene(draft, path, size, scenes[pictures[path]], numbers)
    if len(drafts) > 1 and "test" in drafts and not drafts["test"].annotations:
        del drafts["test"]
        next(iter(drafts.values())).notes.append("The labels of test hold no object (Cityscapes keeps them back): left out")
    for path in others:
        next(iter(drafts.values())).skip(path, "", "not named as Cityscapes' polygons; expected NAME_gtFine_polygons.json")
    return drafts


def _list_scenes(folder: Path) -> tuple[Scenes, list[Path]]:
    scenes: Scenes = {}
    others = []
    for path in find_pictures(folder, {".png", ".json"}, lambda path, reason: None):
        match = LABELS.fullmatch(path.relative_to(folder).as_posix())
        if match:
            scenes.setdefault(match[1], {})[match[2]] = path
        elif path.suffix == ".json":
            others.append(path)
    return scenes, others


def _choose_classes(folders: Sequence[Path], given: Sequence[str] | None) -> dict[int, str]:
    """Return the class of each number."""
    listed = next((folder / "label_colors.txt" for folder in folders if (folder / "label_colors.txt").is_file()), None)
    known = CLASSES | MORE_CLASSES
    if listed is not None:
        rows = [COLOURED.fullmatch(line.strip()) for line in read_text(listed).splitlines() if not line.startswith("#")]
        own = [row[2] for row in rows if row and (row[1] or "").split() != ["0"] * 3]  # black is the background, number 0
        known = parse_class_list(own, str(listed)).numbers
    unknown = [name for name in given or () if name not in known.values()]
    if unknown:
        raise SourceError(f"Cityscapes' classes are {list_some(known.values(), 20)}; found {list_some(unknown)} (--classes)")
    return known if given or listed is not None else CLASSES


def _find_pictures(
    draft: DatasetBuilder, names: Sequence[str], scenes: Scenes, index: PictureIndex
) -> Iterator[tuple[Path, str]]:
    told = []
    for name in names:
        wanted = [f"{place}/{name}_leftImg8bit.png" for place in PICTURES]
        near = next((path for path in wanted if (index.root / path).is_file()), wanted[0])
        found = index.find(near, index.root)
        if found.path is None:
            draft.skip(next(iter(scenes[name].values())), "", found.told)
            continue
        told += [f"{found.path.name} {found.told}"] if found.told else []
        yield found.path, name
    draft.notes += [f"Pictures that are not where Cityscapes has them: {list_some(told, 3)}"] if told else []


def _read_scene(draft: DatasetBuilder, path: Path, size: Size, files: Mapping[str, Path], names: Mapping[int, str]) -> None:
    file = files.get("instanceIds.png") or files["polygons.json"]
    try:
        numbers = read_mask(file, size).numbers if file.suffix == ".png" else _paint(draft, file, size, names)
    except (OSError, ImageError, AnnotationsError, SourceError) as error:
        draft.skip(file, "", error)
        return
    image = draft.add_image(path, size)
    for one in trace_objects(np.where(np.isin(np.where(numbers < 1000, numbers, numbers // 1000), list(names)), numbers, 0)):
        crowd = one.number < 1000
        name = names[one.number if crowd else one.number // 1000]
        if name in draft.names:
            origin = (file, f"object {one.number}")
            draft.add_object(image, draft.names.index(name), one.polygons, origin, area=len(one.pixels), crowd=crowd)


def _paint(draft: DatasetBuilder, file: Path, size: Size, names: Mapping[int, str]) -> NDArray[np.int64]:
    """Return the numbers that the objects of a file of polygons have, painted in their order."""
    content = read_content(file)
    if not is_cityscapes_json(content):
        raise SourceError(f"{file}: no polygons of Cityscapes; expected imgHeight, imgWidth and objects")
    if (content["imgHeight"], content["imgWidth"]) != size:
        found = f"{content['imgWidth']!r:.20} x {content['imgHeight']!r:.20}"
        raise SourceError(f"{file}: says the picture is {found} pixels; found {size[1]} x {size[0]}")
    known = {name: number for number, name in names.items()}
    image = Image.new("I", size[::-1])
    pen = ImageDraw.Draw(image)
    counts = dict.fromkeys(known, 0)
    for place, row in enumerate(content["objects"]):
        label = row.get("label") if isinstance(row, dict) else None
        if not isinstance(label, str) or row.get("deleted"):
            continue
        number = known.get(label.removesuffix("group"), 0)
        if label in known:
            number, counts[label] = number * 1000 + counts[label], counts[label] + 1
        try:
            points = read_points(row.get("polygon"))
            if len(points) < 3 or np.abs(points).max() > 2 * max(size):
                raise ValueError(f"a polygon of {len(points)} points; expected 3 or more, in or near the picture")
        except ValueError as error:
            draft.skip(file, f"object {place}", error)
            continue
        pen.polygon([(float(x), float(y)) for x, y in points], fill=number)
    return np.asarray(image).astype(np.int64)
