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
from maskzoo.datasets.importers.cityscapes import is_cityscapes, is_cityscapes_json, read_cityscapes
from maskzoo.datasets.importers.cvat import is_cvat, read_cvat
from maskzoo.datasets.importers.datumaro import is_datumaro, read_datumaro
from maskzoo.datasets.importers.fiftyone import is_fiftyone, read_fiftyone
from maskzoo.datasets.importers.isat import is_isat, read_isat
from maskzoo.datasets.importers.label_studio import is_label_studio, read_label_studio
from maskzoo.datasets.importers.labelbox import has_labelbox_rows, is_labelbox, read_labelbox
from maskzoo.datasets.importers.labelled import read_content
from maskzoo.datasets.importers.labelme import is_labelme, read_labelme
from maskzoo.datasets.importers.mask_folders import is_mask_pngs
from maskzoo.datasets.importers.mask_pngs import read_mask_pngs
from maskzoo.datasets.importers.panoptic import is_panoptic, read_panoptic
from maskzoo.datasets.importers.supervisely import is_supervisely, read_supervisely
from maskzoo.datasets.importers.via import has_via_csv, read_via
from maskzoo.datasets.importers.via_forms import is_via
from maskzoo.datasets.importers.voc import is_voc, read_voc
from maskzoo.datasets.importers.voc_xml import is_voc_xml, read_voc_xml
from maskzoo.datasets.importers.yolo import is_yolo, read_yolo
from maskzoo.datasets.known_formats import CONVERT, count_files, find_format, holds_tables, name_format
from maskzoo.datasets.layout import find_splits, list_passed_over
from maskzoo.datasets.predictions import is_predictions
from maskzoo.errors import AnnotationsError, ArgumentError, SourceError, list_some
from maskzoo.images.find import find_pictures
from maskzoo.system.files import describe_address

__all__ = ["FORMATS", "Importer", "choose_format", "choose_source"]

FOR_LABELS = frozenset(["boxes", "images"])  # options of labels that name their pictures
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
    "labelme": Importer("LabelMe (JSON files with shapes)", _by_content, read_labelme, FOR_LABELS, recognise_json=is_labelme),
    "supervisely": Importer(
        "Supervisely (meta.json, ann, img)", _by_content, read_supervisely, FOR_LABELS, recognise_json=is_supervisely
    ),
    "datumaro": Importer(
        "Datumaro (annotations/default.json)", _by_content, read_datumaro, FOR_LABELS, recognise_json=is_datumaro
    ),
    "fiftyone": Importer(
        "FiftyOne's own export (samples.json)", _by_content, read_fiftyone, FOR_LABELS, recognise_json=is_fiftyone
    ),
    "cvat": Importer("CVAT's XML 1.1", is_cvat, read_cvat, FOR_LABELS),
    "via": Importer("VIA (JSON or CSV files with regions)", has_via_csv, read_via, FOR_LABELS | {"class_attribute"}, is_via),
    "labelstudio": Importer("Label Studio (JSON of tasks)", _by_content, read_label_studio, FOR_LABELS, is_label_studio),
    "isat": Importer(
        "ISAT (JSON files with info and objects)", _by_content, read_isat, frozenset(["images"]), recognise_json=is_isat
    ),
    "labelbox": Importer("Labelbox (NDJSON of an export)", has_labelbox_rows, read_labelbox, FOR_LABELS, is_labelbox),
    "cityscapes": Importer("Cityscapes (gtFine)", is_cityscapes, read_cityscapes, recognise_json=is_cityscapes_json),
    "panoptic": Importer("COCO panoptic (JSON and PNGs)", _by_content, read_panoptic, recognise_json=is_panoptic),
    "voc": Importer("Pascal VOC (SegmentationObject)", is_voc, read_voc),
    "voc_xml": Importer("Pascal VOC's XML", is_voc_xml, read_voc_xml, FOR_LABELS),
    # VOC's masks are numbered PNGs as well.
    "masks": Importer(
        "a folder of pictures beside one of masks",
        lambda path: is_mask_pngs(path) and not is_voc(path),
        read_mask_pngs,
        frozenset(["parts", "threshold"]),
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
    found = _recognise(source)
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"{source}: could be {' or '.join(found)}; say which with --from")
    raise SourceError(f"{source}: {_explain(source)}")


def _recognise(source: Path) -> list[str]:
    """Return the formats that a source's files look like."""
    contents = _read_first_json(source)
    return [
        name
        for name, one in FORMATS.items()
        if one.recognise(source) or any(one.recognise_json(content) for content in contents)
    ]


def _explain(source: Path) -> str:
    """Say what a source is that none of `FORMATS` recognises."""
    with suppress(SourceError):
        files = find_splits(source).values()
        if any(map(holds_tables, files)):
            return f"is COCO's format already ({list_some(file.name for file in files)}); use it as it is"
    named = name_format(source) if source.is_file() else None
    found = (source.name, *named) if named else find_format(source) if source.is_dir() else None
    *others, last = (importer.files for importer in FORMATS.values())
    passed = list_passed_over(source) if found is None and source.is_dir() else []
    if passed:
        names = list_some(file.name for file in passed)
        return f"holds {names}, COCO's files of other kinds; one that holds outlines needs no conversion: use it as it is"
    if found is None:
        lies_there = f"; {count_files(source)}" if source.is_dir() else ""
        return f"not recognised; expected {', '.join(others)} or {last}; say which with --from{lies_there}"
    file, name, advice = found
    if advice != CONVERT:
        return f"{file} is {name}; {advice}"
    if file.lower().endswith(".json"):
        try:
            with suppress(OSError):
                read_content(source / file if source.is_dir() else source)
        except (AnnotationsError, SourceError) as error:
            return f"{file} is {name}, and cannot be read: {error}"
    inner = next(filter(_recognise, (source / file).parents[: file.count("/")]), None)
    if inner is not None:
        return f"{file} is {name}; name its folder: {inner}"
    return (
        f"{file} is {name}, but the rest is not as its tool writes it; export it again, or say which it is with "
        f"--from {'|'.join(FORMATS)}"
    )


def choose_source(source: Path, given: str | None, *, needs_work: bool) -> str:
    """Return what is converted: one of `FORMATS`, "predictions", or, if that `needs_work`, "coco".

    Raises as `choose_format`.
    """
    if not source.exists() or given in FORMATS:
        return choose_format(source, given)
    if given == "predictions" or (given is None and is_predictions(source)):
        return "predictions"
    if not needs_work or given not in (None, "coco"):
        return choose_format(source, given if given != "coco" else None)
    if given is None and not _has_tables(source):
        return choose_format(source)
    found = _recognise(source) if given is None else []
    if found:
        raise SourceError(f"{source}: could be {' or '.join(['coco', *found])}; say which with --from")
    return "coco"


def _has_tables(source: Path) -> bool:
    try:
        return all(map(holds_tables, find_splits(source).values()))
    except SourceError:
        return False


def _read_first_json(source: Path) -> list[Any]:
    """Return the contents of the first JSON files of a source that can be read."""
    suffixes = {".json"}
    files = find_pictures(source, suffixes, lambda path, reason: None) if source.is_dir() else [source]
    contents = []
    for path in islice((path for path in files if path.suffix.lower() in suffixes), TRIED):
        with suppress(OSError, AnnotationsError, SourceError):
            contents.append(read_content(path))
    return contents
