"""Formats of annotations by name: what a file looks like whose content is not COCO instances, and what to do with it.

One table. A file is known by a few words in its first and last pages, so that nothing large is parsed.
"""

from __future__ import annotations

import mmap
import os
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from maskzoo.errors import count_words, list_some
from maskzoo.images.find import IMAGE_SUFFIXES, is_hidden
from maskzoo.system.files import open_regular

__all__ = [
    "CONVERT",
    "count_files",
    "describe_file",
    "describe_folder",
    "find_format",
    "holds_tables",
    "list_files",
    "name_format",
]

TABLES = (b'"images"', b'"annotations"', b'"categories"')
PAGE = 1 << 16  # bytes at each end of a file that are looked at
LOOKED_INTO = 50  # files of a folder
DEPTH = 3  # folders below the one that was named
CONVERT = "convert it first: maskzoo data convert SOURCE OUT"
TO_COCO = "export it as COCO instances (JSON) there"
JSON, XML, CSV, TXT = (".json", ".ndjson", ".jsonl", ".geojson"), (".xml",), (".csv",), (".txt",)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A format: its name with what it holds, the endings of its files, words that all stand in one, and what to do."""

    name: str
    suffixes: tuple[str, ...]
    words: tuple[str, ...] = ()
    advice: str = TO_COCO


PANOPTIC = r'"segments_info"'  # the only other file of COCO's with the same three tables
TAGGED = r'"(polygonlabels|brushlabels|rectanglelabels|ellipselabels)"'
KINDS = (  # the first that fits counts
    _Kind("COCO panoptic", JSON, (PANOPTIC,), CONVERT),
    _Kind("COCO captions: sentences, no outlines", JSON, (r'"image_id"', r'"caption"'), "take COCO's instances files"),
    _Kind("YouTube-VIS: outlines in videos", JSON, (r'"videos"', r'"segmentations"'), "export single frames as COCO instances"),
    _Kind("COCO results: detections of a model", JSON, (r'^\s*\[\s*\{', r'"category_id"', r'"score"'),
          "it belongs to `maskzoo eval --from-predictions`; name the annotations' file"),
    _Kind("Cityscapes", JSON, (r'"imgHeight"', r'"objects"'), CONVERT),
    _Kind("LabelMe's format", JSON, (r'"shapes"', r'"imagePath"'), CONVERT),
    _Kind("VoTT's format", JSON, (r'"assets?"', r'"regions"', r'"boundingBox"')),
    _Kind("VIA's format", JSON, (r'"regions"', r'"(filename|shape_attributes|file_attributes)"'), CONVERT),
    _Kind("VIA 3's format", JSON, (r'"project"', r'"(pid|vid|av)"', r'"config"'), CONVERT),
    _Kind("Label Studio's format", JSON, (TAGGED,), CONVERT),
    _Kind("Label Studio's format", JSON, (r"\A\s*\[", r'"data"\s*:\s*\{', r'"annotations"'), CONVERT),
    _Kind("ISAT's format", JSON, (r'"info"', r'ISAT', r'"objects"'), CONVERT),
    _Kind("Supervisely's format", JSON, (r'"objects"', r'"(classTitle|geometryType)"'), CONVERT),
    _Kind("Supervisely's format", JSON, (r'"size"', r'"objects"', r'"tags"'), CONVERT),
    _Kind("Supervisely's list of classes", JSON, (r'"classes"', r'"title"', r'"shape"'), CONVERT),
    _Kind("Datumaro's format", JSON, (r'"categories"', r'"items"', r'"labels?"'), CONVERT),
    _Kind("FiftyOne's own format", JSON, (r'"samples"', r'"(_cls|\$oid|filepath)"'), CONVERT),
    _Kind("FiftyOne's detections: boxes, no outlines", JSON, (r'"classes"', r'"labels"', r'"bounding_box"'),
          "export it with fiftyone.types.COCODetectionDataset"),
    _Kind("V7 Darwin's format", JSON, (r'"annotations"', r'"(bounding_box|slot_names|schema_ref)"', r'"(item|image)"')),
    _Kind("Hasty's format", JSON, (r'"export_format_version"', r'"label_classes"')),
    _Kind("Labelbox's export", JSON, (r'"(data_row|Labeled Data)"',), CONVERT),
    _Kind("Scale AI's format", JSON, (r'"task_id"', r'"(response|annotations)"')),
    _Kind("SuperAnnotate's format", JSON, (r'"instances"', r'"className"')),
    _Kind("BDD100K's format", JSON, (r'"labels"', r'"(poly2d|box2d|rle)"'), "convert it with bdd100k.label.to_coco"),
    _Kind("Dataloop's format", JSON, (r'"datasetId"', r'"annotations"', r'"coordinates"')),
    _Kind("Kili's format", JSON, (r'"jsonResponse"',)),
    _Kind("Encord's format", JSON, (r'"(object_hash|objectHash|label_hash)"',)),
    _Kind("Segments.ai's format", JSON, (r'"segmentation_bitmap"',)),
    _Kind("ADE20K's annotation", JSON, (r'"annotation"', r'"object"', r'"polygon"'), "convert its masks to COCO instances"),
    _Kind("SA-1B's masks: no classes", JSON, (r'"stability_score"', r'"segmentation"'), "give each mask a class"),
    _Kind("CreateML: boxes, no outlines", JSON, (r'"coordinates"', r'"(image|imagefilename)"'), "export outlines as COCO"),
    _Kind("Hugging Face's metadata of an image folder", (".jsonl",), (r'"file_name"',), "export COCO instances instead"),
    _Kind("an Amazon SageMaker manifest", (".manifest", *JSON), (r'"source-ref"',)),
    _Kind("GeoJSON: places on a map or a slide", JSON, (r'"FeatureCollection"',)),
    _Kind("CVAT's XML", XML, (r"<annotations>", r"<(image|track)\b"), CONVERT),
    _Kind("LabelMe's XML of its first version", XML, (r"<annotation\b", r"<polygon>", r"<pt>"), TO_COCO),
    _Kind("RectLabel's XML with outlines", XML, (r"<annotation\b", r"<polygon>", r"<x1>"), CONVERT),
    _Kind("Pascal VOC XML (labelImg): boxes, no outlines", XML, (r"<annotation\b", r"<bndbox>|<filename>"), CONVERT),
    _Kind("a slide viewer's XML (Aperio, ASAP)", XML, (r"<(ASAP_)?Annotations\b",)),
    _Kind("VIA's CSV", CSV, (r"region_shape_attributes",), CONVERT),
    _Kind("OpenImages' masks (CSV)", CSV, (r"MaskPath", r"ImageID"), "convert it to COCO with FiftyOne"),
    _Kind("OpenImages' boxes (CSV), no outlines", CSV, (r"ImageID", r"XMin"), "take OpenImages' segmentations, as COCO"),
    _Kind("run lengths in a CSV, as Kaggle's contests have them", CSV, (r"(?i)EncodedPixels|\brle\b",),
          "write the masks as PNG files, which `maskzoo data convert` reads"),
    _Kind("boxes in a CSV (TensorFlow, RetinaNet), no outlines", CSV, (r"(?i)xmin",), "export outlines as COCO instances"),
    _Kind("DOTA's oriented boxes, no outlines", TXT, (r"^(imagesource:|(-?[\d.]+ ){8}[A-Za-z][\w-]* [0-2]\s*$)",),
          "take the instances of iSAID, which are COCO"),
    _Kind("KITTI's boxes, no outlines", TXT, (r"^[A-Za-z_]\w* -?[\d.]+ -?\d+( -?[\d.]+){12,13}\s*$",),
          "take KITTI's instance masks; or export outlines as COCO instances"),
    _Kind("ADE20K's list of parts", TXT, (r"^\d+ # \d+ # \d # ",), "convert its masks to COCO instances"),
    _Kind("TFRecord, TensorFlow's format", (".tfrecord", ".tfrecords", ".record"), (), "export COCO instances instead"),
    _Kind("Parquet, as Hugging Face has it", (".parquet", ".arrow"), (), "export pictures and COCO instances with `datasets`"),
    _Kind("an archive", (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), (), "unpack it, and name the folder"),
    _Kind("MATLAB's or NumPy's format", (".mat", ".npy", ".npz", ".h5", ".hdf5"), (), "write the masks as PNG files"),
    _Kind("YOLO's labels", TXT, (r"\A\d+( [-\d.]+(e-\d+)?){4,}\s*$",), CONVERT),
    _Kind("YOLO's data file", (".yaml", ".yml"), (r"^names\s*:",), CONVERT),
    _Kind("darknet's data file", (".data",), (r"^\s*names\s*=",), CONVERT),
)  # fmt: skip

# Folders of pictures that are masks.
FOLDERS = {
    **dict.fromkeys(("segmentationobject", "segmentationclass", "segmentationobjectpng"), "Pascal VOC's masks"),
    **dict.fromkeys(("masks", "mask", "pedmasks"), "a folder of masks"),
    "gtfine": "Cityscapes",
}


def name_format(file: Path) -> tuple[str, str] | None:
    """Return the name of the format that a file is in and what to do with it; None if it is COCO instances or unknown."""
    suffix = file.suffix.lower()
    kinds = [kind for kind in KINDS if suffix in kind.suffixes]
    text = _read_pages(file) if any(kind.words for kind in kinds) else ""
    if suffix in JSON and holds_tables(file):
        kinds = [kind for kind in kinds if kind.words == (PANOPTIC,)]
    for kind in kinds:
        if all(re.search(words, text, re.MULTILINE) for words in kind.words):
            return kind.name, kind.advice
    return None


def holds_tables(file: Path) -> bool:
    """Say whether the names of COCO's three tables stand somewhere in a file, without reading it as JSON."""
    try:
        with open_regular(file) as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return all(text.find(table) >= 0 for table in TABLES)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return False


def _read_pages(file: Path) -> str:
    """Return the first and last pages of a text, whatever its encoding; nothing if it cannot be read."""
    try:
        with open_regular(file) as stream:
            first = stream.read(PAGE)
            stream.seek(max(PAGE, file.stat().st_size - PAGE))
            return (first + stream.read(PAGE)).replace(b"\0", b"").decode("latin-1")
    except OSError:
        return ""


def describe_file(file: Path) -> str | None:
    """Return what a file that is not COCO instances is, and what to do: "a.xml: this is ...; convert it first ..."."""
    found = name_format(file)
    if found is None:
        return None
    name, advice = found
    return f"{file}: this is {name}; {_name_source(advice, file)}"


def describe_folder(folder: Path) -> str | None:
    """Return which of a folder's files is of a format that is known, and what to do; None if none is."""
    found = find_format(folder)
    return found and f"{found[0]} is {found[1]}; {_name_source(found[2], folder)}"


def find_format(folder: Path) -> tuple[str, str, str] | None:
    """Return the first file in a folder that is of a known format but COCO instances, its format, and what to do."""
    files = [file.relative_to(folder) for file in list_files(folder)]
    for file in islice((file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES), LOOKED_INTO):
        found = name_format(folder / file)
        if found is not None:
            return file.as_posix(), *found
    parents = dict.fromkeys(parent for file in files for parent in file.parents)
    named = next((parent for parent in parents if parent.name.lower() in FOLDERS), None)
    return None if named is None else (named.as_posix(), FOLDERS[named.name.lower()], CONVERT)


def count_files(folder: Path) -> str:
    """Return what lies in a folder by kind: "found 3 files (.jpg)"."""
    counts = Counter(file.suffix.lower() or "without an ending" for file in list_files(folder))
    if not counts:
        return "the folder is empty"
    kinds = list_some(f"{count_words(count, 'file')} ({ending})" for ending, count in sorted(counts.items()))
    return f"found {kinds}" + (", pictures without annotations: label them first" if counts.keys() <= IMAGE_SUFFIXES else "")


def _name_source(advice: str, source: Path) -> str:
    return advice.replace("SOURCE", str(source))


def list_files(folder: Path) -> list[Path]:
    """Return the files in a folder and three folders deep, the upper ones first, hidden ones left out."""
    found: list[Path] = []
    seen: set[str] = set()
    for base, folders, files in os.walk(folder, followlinks=True):
        place = Path(base)
        true = os.path.realpath(base)
        inner = [] if true in seen or len(place.relative_to(folder).parts) == DEPTH else folders
        folders[:] = sorted(name for name in inner if not is_hidden(name))
        if true not in seen:
            found += [place / name for name in files if not is_hidden(name)]
        seen.add(true)
    return sorted(found, key=lambda file: (len(file.parts), file))
