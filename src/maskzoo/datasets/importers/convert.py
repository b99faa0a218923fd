"""A data set of another format made into COCO instances files, and what was left out on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_reader import pack_annotations, sift_sound
from maskzoo.datasets.coco_writer import advise_on_images, find_common_folder, find_smallest_folder, write_coco
from maskzoo.datasets.exporters.content import PictureMode
from maskzoo.datasets.exporters.export import (
    Exportable,
    ExportOptions,
    check_options,
    export,
    find_in,
    read_coco_source,
    read_prediction_source,
)
from maskzoo.datasets.importers.builder import BOXES, Boxes, DatasetBuilder, ImportOptions, Skipped, read_text
from maskzoo.datasets.importers.formats import FORMATS, choose_source
from maskzoo.errors import ArgumentError, SourceError, list_some
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import check_target

__all__ = ["ConvertedDataset", "ConvertedSplit", "convert_dataset"]


@dataclass(frozen=True, slots=True)
class ConvertedSplit:
    """What was written of one split: its `file` (or folder), counts, and every row of the input that was left out."""

    file: Path
    images: int
    empty_images: int
    objects: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class ConvertedDataset:
    """What `convert_dataset` read and wrote: the formats, the classes in order, and `splits` by name.

    `notes` say what a user has to know about the images' place, or does next. `lost` counts what the format that was
    written does not hold: crowds, attributes, pixels under other objects ...
    """

    format: str
    classes: tuple[str, ...]
    splits: dict[str, ConvertedSplit]
    notes: tuple[str, ...]
    to: str = "coco"
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def skipped(self) -> list[Skipped]:
        """The rows of all splits that were left out."""
        return [row for split in self.splits.values() for row in split.skipped]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        splits = {
            name: asdict(split) | {"file": str(split.file), "skipped": [asdict(row) for row in split.skipped]}
            for name, split in self.splits.items()
        }
        written = {"to": self.to, "lost": dict(self.lost), "notes": list(self.notes)}
        return {"format": self.format, "classes": list(self.classes), "splits": splits, **written}


def convert_dataset(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    to: str = "coco",
    classes: str | Path | Sequence[str] | None = None,
    boxes: Boxes | None = None,
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
        format: of the source, "yolo", "labelme", "voc", "masks", "coco" or "predictions"; left out, the one that the
            files look like.
        to: what is written: "coco", "yolo", "labelme", "voc", "via", "cvat", "labelstudio", "masks" or "csv".
        classes: the names in order, also as "cat,dog" or a text file with one a line; left out, those of the source.
        boxes: what an object becomes that has a box and no outline: "masks" makes it a rectangular object, "crowds" a
            region that training leaves out, "skip" leaves it out. Left out, such a source is refused.
        images: the folder of the images of a COCO source or of predictions, where it is not near.
        pictures: "link", "copy" or "none": what is put beside the labels where `to` needs the pictures there.
        data: the COCO file that was predicted, for a result file without its images.json.
        score: predictions below it are left out.
        force: overwrite files of `out`.
        on_progress: is called for each picture.

    Returns:
        The files with their counts, and all that was left out.

    Raises:
        ArgumentError: the format is not known, the option is not one of its own, or a class is named twice.
        SourceError: the source is missing, not recognised or unusable as a whole, or has more splits than `out` files.
        MaskzooError: a file is there already, or cannot be written.
    """
    source, out = Path(source), Path(out)
    name = choose_source(source, format, to)
    options = ExportOptions(to, pictures, force, on_progress)
    if name in ("coco", "predictions"):
        _refuse_options(name, classes=classes, boxes=boxes, **({"data": data, "score": score} if name == "coco" else {}))
        target, folder = check_options(out, source, options), None if images is None else Path(images)
        if name == "coco":
            return _export(name, read_coco_source(source, folder), target, options, {})
        index = None if data is None else Path(data)
        return _export(name, read_prediction_source(source, index, folder, score or 0), target, options, {})
    _refuse_options(name, images=images, data=data, score=score)
    drafts = _read_drafts(source, name, classes, boxes, on_progress)
    if to != "coco":
        return _export_drafts(name, drafts, check_options(out, source, options), options)
    files = _name_files(drafts, out, force)
    notes = _write(drafts, files, out, force)
    splits = {
        split or "train": ConvertedSplit(
            files[split], len(draft.pictures), draft.count_empty(), len(draft.annotations), tuple(draft.skipped)
        )
        for split, draft in drafts.items()
    }
    return ConvertedDataset(name, tuple(next(iter(drafts.values())).names), splits, notes)


def _read_drafts(
    source: Path, name: str, classes: str | Path | Sequence[str] | None, boxes: Boxes | None, on_progress: OnProgress
) -> dict[str, DatasetBuilder]:
    if boxes is not None and boxes not in BOXES:
        raise ArgumentError(f"boxes is {boxes!r}; expected one of {', '.join(BOXES)} (--boxes)")
    if boxes is not None and "boxes" not in FORMATS[name].options:
        raise ArgumentError(f"{name} has no boxes without an outline, so there is nothing to say about them; leave out --boxes")
    drafts = FORMATS[name].read(source, ImportOptions(None if classes is None else _read_classes(classes), boxes, on_progress))
    _refuse_boxes([row for draft in drafts.values() for row in draft.refused])
    return drafts


def _refuse_options(name: str, **given: Any) -> None:
    for option, value in given.items():
        if value is not None:
            raise ArgumentError(f"{option} is {value!r:.60}, which says nothing about a source of {name}; leave out --{option}")


def _export_drafts(name: str, drafts: Mapping[str, DatasetBuilder], out: Path, options: ExportOptions) -> ConvertedDataset:
    _refuse_nothing(drafts)
    root = find_smallest_folder((picture for draft in drafts.values() for picture in draft.pictures), out)
    contents = {split or "train": sift_sound(draft.to_coco(root), name) for split, draft in drafts.items()}
    find = find_in([root])
    skipped = {split or "train": tuple(draft.skipped) for split, draft in drafts.items()}
    return _export(name, Exportable({split: (sifted, find) for split, sifted in contents.items()}), out, options, skipped)


def _export(
    name: str, content: Exportable, out: Path, options: ExportOptions, skipped: Mapping[str, tuple[Skipped, ...]]
) -> ConvertedDataset:
    job, files = export(content, out, options)
    splits = {
        split: ConvertedSplit(file, job.images[split], job.empty_images[split], job.objects[split], skipped.get(split, ()))
        for split, file in files.items()
    }
    lost = {what: number for what, number in job.lost.items() if number}
    return ConvertedDataset(name, job.classes, splits, tuple(dict.fromkeys(job.notes)), options.to, lost)


def _refuse_boxes(rows: Sequence[str]) -> None:
    if rows:
        raise SourceError(
            f"{rows[0]}: a box without an outline, and {len(rows) - 1} more such rows; expected outlines: masks cannot be "
            "learnt from boxes; --boxes masks takes each for a rectangular object, --boxes crowds for a region that "
            "training leaves out, --boxes skip leaves it out"
        )


def _read_classes(given: str | Path | Sequence[str]) -> list[str]:
    listed: Sequence[str]
    if not isinstance(given, str | Path):
        listed = given
    elif Path(given).is_file():
        listed = read_text(Path(given)).splitlines()
    else:
        listed = str(given).split(",")
    names = [name.strip() for name in listed if name.strip()]
    if not names or len(set(names)) != len(names):
        raise ArgumentError(f"classes are {given!r:.80}; expected names, each once (--classes)")
    return names


def _name_files(drafts: Mapping[str, DatasetBuilder], out: Path, force: bool) -> dict[str, Path]:
    """Return the file of each split; refuse what is there before anything is written."""
    if out.suffix.lower() == ".json":
        if len(drafts) > 1:
            raise SourceError(f"{out}: one file, but the source has {', '.join(drafts)}; give a folder as OUT")
        files = dict.fromkeys(drafts, out)
    else:
        files = {split: out / f"{split or 'train'}.json" for split in drafts}
    for path in files.values():
        check_target(path, force=force)
    _refuse_nothing(drafts)
    return files


def _refuse_nothing(drafts: Mapping[str, DatasetBuilder]) -> None:
    if not any(draft.pictures for draft in drafts.values()):
        reasons = [str(row) for draft in drafts.values() for row in draft.skipped]
        nothing = "no picture of the source can be used, so nothing was written"
        raise SourceError(list_some([nothing, *reasons], 21, "\n  "))


def _write(drafts: Mapping[str, DatasetBuilder], files: Mapping[str, Path], out: Path, force: bool) -> tuple[str, ...]:
    """Check all splits as any other annotation file, then write them; return what a user has to know about the images."""
    pictures = [picture for draft in drafts.values() for picture in draft.pictures]
    root = find_common_folder(pictures, next(iter(files.values())))
    contents = {split: draft.to_coco(root) for split, draft in drafts.items()}
    packed = {split: pack_annotations(content, str(files[split])) for split, content in contents.items()}
    for split, content in contents.items():
        write_coco(files[split], content, force=force)
    advice = (advise_on_images(packed[split], root, file, out) for split, file in files.items())
    return tuple(dict.fromkeys(note for note in advice if note is not None))
