"""A data set of another format made into COCO instances files, and what was left out on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskzoo.datasets.class_edits import ClassEdits, is_class_map, read_class_edits
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.coco_writer import advise_on_images, find_common_folder, write_coco
from maskzoo.datasets.converted import ConvertedDataset, ConvertedSplit
from maskzoo.datasets.exporters.content import PictureMode
from maskzoo.datasets.exporters.export import (
    ExportOptions,
    check_options,
    export,
    read_coco_source,
    read_drafts,
    read_prediction_source,
)
from maskzoo.datasets.importers.builder import BOXES, PARTS, Boxes, DatasetBuilder, ImportOptions, Parts
from maskzoo.datasets.importers.class_names import read_class_names
from maskzoo.datasets.importers.formats import FORMATS, choose_source
from maskzoo.datasets.known_formats import count_files
from maskzoo.errors import ArgumentError, SourceError, list_some
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import check_target, make_folder, write_file

__all__ = ["ConvertedDataset", "ConvertedSplit", "convert_dataset"]

_ABOUT = {
    "boxes": "has no boxes without an outline, so there is nothing to say about them",
    "parts": "tells its objects apart itself",
    "threshold": "has no grey masks that a threshold makes sharp",
    "class_attribute": "says itself what an object's class is",
    "images": "has its pictures in its own folder",
}


def convert_dataset(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    to: str = "coco",
    classes: str | Path | Sequence[str] | Mapping[str, Any] | None = None,
    boxes: Boxes | None = None,
    parts: Parts | None = None,
    threshold: int | None = None,
    class_attribute: str | None = None,
    images: str | Path | None = None,
    pictures: PictureMode | None = None,
    data: str | Path | None = None,
    score: float | None = None,
    force: bool = False,
    on_progress: OnProgress = say_nothing,
) -> ConvertedDataset:
    """Convert a data set of another format to COCO instances files, or one of any format, or predictions, to another.

    `source` stays as it is, and the images stay where they are. Outlines of masks are exact, holes too; where a mask
    becomes a polygon for a labelling tool, the two have an IoU of 0.99 at least. What cannot be converted is left out
    and named in the result, and what the format written does not hold is counted.

    Args:
        source: the data set's folder, or its data.yaml (YOLO); for another format than COCO also a COCO file or folder;
            or the folder of a prediction, or a COCO result file.
        out: the file to write, or a folder.
        format: of the source, a name as `maskzoo data convert --from` has it, such as "yolo"; left out, what the files
            look like.
        to: what is written: "coco", "yolo", "labelme", "voc", "via", "cvat", "labelstudio", "masks" or "csv".
        classes: the names in order, also as "cat,dog" or a text file with one a line; left out, those of the source. Or a
            class map (.yml, or a mapping): the source's classes renamed, merged, left out, in another order.
        boxes: what an object becomes that has a box and no outline: "masks" makes it a rectangular object, "crowds" a
            region that training leaves out, "skip" leaves it out. Left out, such a source is refused (LabelMe's are masks).
        parts: what the separate parts of one number in a mask picture are: "one" object together, or "each" an object.
            Left out, masks where both may be meant are refused.
        threshold: the grey above which a mask picture holds objects, for masks with soft edges.
        class_attribute: the attribute that is an object's class (VIA); left out, the only one that can be.
        images: the folder of the images, where it is not near: of a COCO source, of predictions, or of labels that name
            pictures in another folder.
        pictures: "link", "copy" or "none": what is put beside the labels where `to` needs the pictures there.
        data: the COCO file that was predicted, for a result file without its images.json.
        score: predictions below it are left out.
        force: overwrite files of `out`.
        on_progress: is called for each picture.

    Returns:
        The files with their counts, and all that was left out.

    Raises:
        ArgumentError: the format is not known, the option is not one of its own, or a class is named twice.
        ConfigError: the class map has a fault, or does not fit the source.
        SourceError: the source is missing, not recognised or unusable as a whole, or has more splits than `out` files.
        MaskzooError: a file is there already, or cannot be written.
    """
    source, out = Path(source), Path(out)
    choices: dict[str, Any] = {"boxes": boxes, "parts": parts, "threshold": threshold, "class_attribute": class_attribute}
    folder, index = (None if given is None else Path(given) for given in (images, data))
    edits = read_class_edits(classes) if isinstance(classes, str | Path | Mapping) and is_class_map(classes) else None
    name = choose_source(source, format, needs_work=to != "coco" or edits is not None)
    listed = None if classes is None or isinstance(classes, Mapping) or edits else read_class_names(classes)
    writing = ExportOptions(to, pictures, force, on_progress)
    if name in ("coco", "predictions"):
        _refuse_options(name, classes=listed, **choices, **({"data": data, "score": score} if name == "coco" else {}))
        target = check_options(out, source, writing)
        if name == "coco":
            return export(read_coco_source(source, folder, edits), name, target, writing)
        return export(read_prediction_source(source, index, folder, score or 0, edits), name, target, writing)
    _refuse_options(name, data=data, score=score)
    _check_options(name, choices := choices | {"images": folder})
    stem = out.with_suffix("") if out.suffix.lower() == ".json" else out
    options = ImportOptions(listed, pictures=stem.with_name(f"{stem.name}_pictures"), on_progress=on_progress, **choices)
    drafts = FORMATS[name].read(source, options)
    renamed = [] if edits is None else [_edit_classes(drafts, edits)]
    _refuse_boxes([row for draft in drafts.values() for row in draft.refused])
    if to != "coco":
        target = check_options(out, source, writing)
        _refuse_nothing(drafts, source)
        _write_pictures(drafts, force)
        return export(read_drafts(drafts, str(source), target, renamed), name, target, writing)
    files = _name_files(drafts, source, out, force)
    about = [note for draft in drafts.values() for note in draft.notes]
    empty = [] if any(draft.annotations for draft in drafts.values()) else [f"{source}: no picture has an object"]
    notes = tuple(dict.fromkeys([*renamed, *about, *empty, *_write(drafts, files, out, force)]))
    splits = {
        split or "train": ConvertedSplit(
            files[split], len(draft.pictures), draft.count_empty(), len(draft.annotations), tuple(draft.skipped)
        )
        for split, draft in drafts.items()
    }
    return ConvertedDataset(name, tuple(next(iter(drafts.values())).names), splits, notes)


def _check_options(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a value that an option does not have, or an option that the format does not have."""
    for option, allowed in (("boxes", BOXES), ("parts", PARTS)):
        if given[option] not in (None, *allowed):
            raise ArgumentError(f"{option} is {given[option]!r}; expected one of {', '.join(allowed)} (--{option})")
    for option, value in given.items():
        if value is not None and option not in FORMATS[name].options:
            raise ArgumentError(f"{name} {_ABOUT[option]}; leave out --{option.replace('_', '-')}")


def _refuse_options(name: str, **given: Any) -> None:
    for option, value in given.items():
        if value is not None:
            raise ArgumentError(f"{option} is {value!r:.60}, which says nothing about a source of {name}; leave out --{option}")


def _edit_classes(drafts: Mapping[str, DatasetBuilder], edits: ClassEdits) -> str:
    """Give all splits the classes of a class map; return what became of them."""
    edited = edits.resolve(*(list(enumerate(draft.names)) for draft in drafts.values()))
    for draft in drafts.values():
        labels = [edited.labels[name] for name in draft.names]
        rows = [row | {"category_id": labels[row["category_id"] - 1] + 1} for row in draft.annotations]
        draft.annotations = [row for row in rows if row["category_id"]]
        draft.names = edited.classes.names
    return f"{edits.origin}: {edited}"


def _refuse_boxes(rows: Sequence[str]) -> None:
    if rows:
        raise SourceError(
            f"{rows[0]}: a box without an outline, and {len(rows) - 1} more such rows; expected outlines: masks cannot be "
            "learnt from boxes; --boxes masks takes each for a rectangular object, --boxes crowds for a region that "
            "training leaves out, --boxes skip leaves it out"
        )


def _name_files(drafts: Mapping[str, DatasetBuilder], source: Path, out: Path, force: bool) -> dict[str, Path]:
    """Return the file of each split; refuse what is there before anything is written."""
    if out.suffix.lower() == ".json":
        if len(drafts) > 1:
            raise SourceError(f"{out}: one file, but the source has {', '.join(drafts)}; give a folder as OUT")
        files = dict.fromkeys(drafts, out)
    else:
        files = {split: out / f"{split or 'train'}.json" for split in drafts}
    for path in files.values():
        check_target(path, force=force)
    _refuse_nothing(drafts, source)
    return files


def _refuse_nothing(drafts: Mapping[str, DatasetBuilder], source: Path) -> None:
    reasons = [str(row) for draft in drafts.values() for row in draft.skipped]
    pictures = any(draft.pictures for draft in drafts.values())
    if not pictures or (reasons and not any(draft.annotations for draft in drafts.values())):
        reasons += [note for draft in drafts.values() for note in draft.notes]
        nothing = f"{source}: no {'object' if pictures else 'picture'} of the source can be used, so nothing was written"
        reasons = reasons or [count_files(source) if source.is_dir() else "it names no picture"]
        raise SourceError(list_some([nothing, *reasons], 21, "\n  "))


def _write(drafts: Mapping[str, DatasetBuilder], files: Mapping[str, Path], out: Path, force: bool) -> list[str]:
    """Check all splits as any other annotation file, then write them; return what a user has to know about the images."""
    pictures = [picture for draft in drafts.values() for picture in draft.pictures]
    root = find_common_folder(pictures, next(iter(files.values())))
    contents = {split: draft.to_coco(root) for split, draft in drafts.items()}
    packed = {split: pack_annotations(content, str(files[split])) for split, content in contents.items()}
    _write_pictures(drafts, force)
    for split, content in contents.items():
        write_coco(files[split], content, force=force)
    advice = (advise_on_images(packed[split], root, file, out) for split, file in files.items())
    return [note for note in advice if note is not None]


def _write_pictures(drafts: Mapping[str, DatasetBuilder], force: bool) -> None:
    """Write the pictures that lay inside label files, after a look at all their places."""
    embedded = {path: load for draft in drafts.values() for path, load in draft.embedded.items()}
    for path in embedded:
        check_target(path, force=force)
    for path, load in embedded.items():
        make_folder(path.parent)
        write_file(path, load())
