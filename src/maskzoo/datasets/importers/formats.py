"""The formats that can be imported: how each is recognised, and what reads it.

A format is a module with two functions: one that says whether a file or folder looks like it, and one that reads it and
returns a filled `DatasetBuilder` for each split ("" where there are none).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.labelme import is_labelme, read_labelme
from maskzoo.datasets.importers.mask_pngs import is_mask_pngs, read_mask_pngs
from maskzoo.datasets.importers.voc import is_voc, read_voc
from maskzoo.datasets.importers.yolo import is_yolo, read_yolo
from maskzoo.datasets.layout import find_splits, holds_tables
from maskzoo.datasets.predictions import is_predictions
from maskzoo.errors import AnnotationsError, ArgumentError, SourceError
from maskzoo.system.files import describe_address

__all__ = ["FORMATS", "Importer", "choose_format", "choose_source"]


@dataclass(frozen=True, slots=True)
class Importer:
    """One format: its files in a reader's words, and its two functions.

    `options` are the fields of `ImportOptions` that only some formats take.
    """

    files: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, ImportOptions], dict[str, DatasetBuilder]]
    options: frozenset[str] = frozenset()


FORMATS = {
    "yolo": Importer("YOLO (data.yaml, or labels/*.txt)", is_yolo, read_yolo, frozenset(["boxes"])),
    "labelme": Importer("LabelMe (JSON files with shapes)", is_labelme, read_labelme),
    "voc": Importer("Pascal VOC (SegmentationObject)", is_voc, read_voc),
    # VOC's masks are numbered PNGs as well.
    "masks": Importer(
        "a folder of pictures beside one of masks", lambda path: is_mask_pngs(path) and not is_voc(path), read_mask_pngs
    ),
}


def choose_format(source: Path, given: str | None = None) -> str:
    """Return which of `FORMATS` a file or folder has: the `given` one, else the one that its files look like.

    Raises SourceError if there is no such file or folder, if it looks like none or like several, ArgumentError if the
    given format is not known.
    """
    if address := describe_address(source):
        raise SourceError(address)
    if not source.exists():
        raise SourceError(f"{source}: no such file or folder; expected a data set; check the spelling")
    if given is not None:
        if given not in FORMATS:
            raise ArgumentError(f"the format is {given!r}; expected one of {', '.join(FORMATS)}")
        return given
    found = [name for name, importer in FORMATS.items() if importer.recognise(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"{source}: could be {' or '.join(found)}; say which with --from")
    if source.is_file() and _is_coco(source):
        raise SourceError(f"{source}: is COCO's format already; use it as it is")
    *others, last = (importer.files for importer in FORMATS.values())
    raise SourceError(f"{source}: not recognised; expected {', '.join(others)} or {last}; say which with --from")


def choose_source(source: Path, given: str | None, to: str) -> str:
    """Return what is converted: one of `FORMATS`, "predictions", or "coco" where another format is to be written.

    Raises as `choose_format`.
    """
    if not source.exists() or given in FORMATS:
        return choose_format(source, given)
    if given == "predictions" or (given is None and is_predictions(source)):
        return "predictions"
    if to == "coco" or given not in (None, "coco"):
        return choose_format(source, given if given != "coco" else None)
    if given is None and not _has_tables(source):
        return choose_format(source)
    found = [name for name, importer in FORMATS.items() if given is None and importer.recognise(source)]
    if found:
        raise SourceError(f"{source}: could be {' or '.join(['coco', *found])}; say which with --from")
    return "coco"


def _has_tables(source: Path) -> bool:
    try:
        return all(map(holds_tables, find_splits(source).values()))
    except SourceError:
        return False


def _is_coco(source: Path) -> bool:
    try:
        content = read_json(source)
    except AnnotationsError:
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()
