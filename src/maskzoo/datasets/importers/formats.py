"""The formats that can be imported: how each is recognised, and what reads it.

A format is a module with two functions: one that says whether a file or folder looks like it (or the content of a JSON file,
which is then read once for all formats), and one that reads it and returns a filled `DatasetBuilder` for each split (""
where there are none).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.isat import is_isat, read_isat
from maskzoo.datasets.importers.label_studio import is_label_studio, read_label_studio
from maskzoo.datasets.importers.labelbox import has_labelbox_rows, is_labelbox, read_labelbox
from maskzoo.datasets.importers.labelled import read_content
from maskzoo.datasets.importers.labelme import is_labelme, read_labelme
from maskzoo.datasets.importers.mask_pngs import is_mask_pngs, read_mask_pngs
from maskzoo.datasets.importers.via import has_via_csv, read_via
from maskzoo.datasets.importers.via_forms import is_via
from maskzoo.datasets.importers.voc import is_voc, read_voc
from maskzoo.datasets.importers.yolo import is_yolo, read_yolo
from maskzoo.errors import AnnotationsError, ArgumentError, SourceError
from maskzoo.images.find import find_pictures
from maskzoo.system.files import describe_address

__all__ = ["FORMATS", "Importer", "choose_format"]

TRIED = 20  # JSON files of a folder that are looked into


@dataclass(frozen=True, slots=True)
class Importer:
    """One format: its files in a reader's words, and its functions.

    `recognise` is called with the file or folder, `recognise_json` with the content of its first JSON files; one of them is
    enough. `options` are the fields of `ImportOptions` that only some formats take.
    """

    files: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, ImportOptions], dict[str, DatasetBuilder]]
    options: frozenset[str] = frozenset()
    recognise_json: Callable[[Any], bool] = lambda content: False


def _by_content(source: Path) -> bool:
    return False


FORMATS = {
    "yolo": Importer("YOLO (data.yaml, or labels/*.txt)", is_yolo, read_yolo, frozenset(["boxes"])),
    "labelme": Importer(
        "LabelMe (JSON files with shapes)", _by_content, read_labelme, frozenset(["boxes"]), recognise_json=is_labelme
    ),
    "via": Importer(
        "VIA (JSON or CSV files with regions)", has_via_csv, read_via, frozenset(["boxes", "class_attribute"]), is_via
    ),
    "labelstudio": Importer(
        "Label Studio (JSON of tasks)", _by_content, read_label_studio, frozenset(["boxes"]), is_label_studio
    ),
    "isat": Importer("ISAT (JSON files with info and objects)", _by_content, read_isat, recognise_json=is_isat),
    "labelbox": Importer("Labelbox (NDJSON of an export)", has_labelbox_rows, read_labelbox, frozenset(["boxes"]), is_labelbox),
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
    contents = _read_first_json(source)
    found = [
        name
        for name, one in FORMATS.items()
        if one.recognise(source) or any(one.recognise_json(content) for content in contents)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"{source}: could be {' or '.join(found)}; say which with --from")
    if source.is_file() and any(map(_is_coco, contents)):
        raise SourceError(f"{source}: is COCO's format already; use it as it is")
    *others, last = (importer.files for importer in FORMATS.values())
    raise SourceError(f"{source}: not recognised; expected {', '.join(others)} or {last}; say which with --from")


def _read_first_json(source: Path) -> list[Any]:
    """Return the contents of the first JSON files of a source that can be read."""
    suffixes = {".json"}
    files = find_pictures(source, suffixes, lambda path, reason: None) if source.is_dir() else [source]
    contents = []
    for path in islice((path for path in files if path.suffix.lower() in suffixes), TRIED):
        with suppress(OSError, AnnotationsError, SourceError):
            contents.append(read_content(path))
    return contents


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()
