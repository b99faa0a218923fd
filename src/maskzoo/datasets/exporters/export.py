"""A data set or predictions written in another format: what is asked for is checked first, what is lost is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from maskzoo.datasets.class_edits import ClassEdits, edit_contents
from maskzoo.datasets.coco_reader import read_json, sift, sift_sound
from maskzoo.datasets.coco_writer import find_smallest_folder
from maskzoo.datasets.converted import ConvertedDataset, ConvertedSplit
from maskzoo.datasets.exporters.content import ExportJob, ExportSplit, PictureMode
from maskzoo.datasets.exporters.formats import EXPORTERS, Exporter
from maskzoo.datasets.image_folders import bound_images, find_image_folder, look_for_images
from maskzoo.datasets.importers.builder import DatasetBuilder, Skipped
from maskzoo.datasets.importers.class_lists import is_no_class
from maskzoo.datasets.layout import find_splits
from maskzoo.datasets.predictions import read_predictions
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import AnnotationsError, ArgumentError, MaskzooError, SourceError
from maskzoo.images.bounds import Bounds
from maskzoo.images.read import LARGEST
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_folder, check_target, make_folder

__all__ = [
    "ExportOptions",
    "Exportable",
    "check_options",
    "export",
    "find_in",
    "read_coco_source",
    "read_drafts",
    "read_prediction_source",
]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is written, and how: the format, and what happens to pictures (None: what the format needs)."""

    to: str
    pictures: PictureMode | None = None
    force: bool = False
    on_progress: OnProgress = say_nothing


@dataclass(frozen=True, slots=True)
class Exportable:
    """What is to be written: each split's checked content and where a picture's name leads, and what was left out already.

    `model` names what made predictions, None of a data set; `skipped`, by split, and `notes` are of reading it.
    """

    splits: Mapping[str, tuple[Sifted, Callable[[str], Path | None]]]
    model: str | None = None
    below_score: int = 0
    skipped: Mapping[str, tuple[Skipped, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_in(folders: Iterable[Path], bounds: Bounds | None = None, names: Iterable[str] = ()) -> Callable[[str], Path | None]:
    """Return what finds a picture's name in one of the folders, by all of it, unless it leads out of the `bounds`.

    Of `names`, those whose last part no other has are found by that too.
    """
    places, last = list(folders), {name: name.replace("\\", "/").rsplit("/", 1)[-1] for name in names}
    counts = Counter(last.values())

    def find(name: str) -> Path | None:
        parts = [name] + ([last[name]] if counts[last.get(name, "")] == 1 else [])
        candidates = (folder / part for part in parts for folder in places)
        return next((path for path in candidates if path.is_file() and (bounds is None or bounds.hold(path))), None)

    return find


def read_coco_source(source: Path, images: Path | None, edits: ClassEdits | None = None) -> Exportable:
    """Read a COCO file or each split of a folder, with the classes of a class map if one is given.

    Raises as `find_splits` and `sift_sound` do, and with `images` as `find_image_folder`.
    """
    splits, paths = {}, find_splits(source)
    contents, notes = _edit({split: read_json(path) for split, path in paths.items()}, edits)
    for split, content in contents.items():
        sifted = sift_sound(content, str(paths[split]))
        if images is None:
            folder = look_for_images(_list_names(sifted), str(paths[split]), None, split)[0]
        else:
            folder = find_image_folder(sifted.packed, images, split)
        bounds = bound_images(paths[split], folder, images)
        splits[split] = (sifted, find_in([] if folder is None else [folder], bounds))
    return Exportable(splits, notes=notes)


def _list_names(sifted: Sifted) -> list[str]:
    return [sifted.packed.file_name(image) for image in range(len(sifted.packed))]


def _edit(contents: dict[str, Any], edits: ClassEdits | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the contents with the classes of a class map, and what is to be told about them."""
    events: list[ProgressEvent] = []
    edited = contents if edits is None else edit_contents(contents, edits, events.append)
    return edited, tuple(event.note for event in events if event.note)


def read_drafts(drafts: Mapping[str, DatasetBuilder], source: str, out: Path, notes: Iterable[str] = ()) -> Exportable:
    """Take what was imported from `source`, with `notes` about it; names start from the smallest folder of all pictures."""
    root = find_smallest_folder((picture for draft in drafts.values() for picture in draft.pictures), out)
    find = find_in([root])
    return Exportable(
        {split or "train": (sift_sound(draft.to_coco(root), source), find) for split, draft in drafts.items()},
        skipped={split or "train": tuple(draft.skipped) for split, draft in drafts.items()},
        notes=(*notes, *(note for draft in drafts.values() for note in draft.notes)),
    )


def read_prediction_source(
    source: Path, data: Path | None, images: Path | None, least: float, edits: ClassEdits | None = None
) -> Exportable:
    """Read results of a model as one split, with the classes of a class map if one is given.

    Raises as `read_predictions`, and AnnotationsError for rows with a fault.
    """
    read, below = read_predictions(source, data, least)
    contents, notes = _edit({"train": read}, edits)
    content = contents["train"]
    sifted = sift(content, str(source), most=LARGEST)
    if sifted.faults:
        raise AnnotationsError(sifted.faults, "are these results of another data set? Give the one that was predicted: --data")
    names = _list_names(sifted)
    near = look_for_images(names, str(data or source), None, None)[0]
    folders = [folder for folder in (images, near, Path()) if folder is not None]
    bounds = Bounds([images] if images is not None else [*bound_images(data or source, near, None).folders, Path()])
    return Exportable(
        {"train": (sifted, find_in(folders, bounds, names if images else ()))},
        model=source.stem,
        below_score=below,
        notes=notes,
    )


def check_options(out: Path, source: Path, options: ExportOptions) -> Path:
    """Return the file or folder that is to be written. Raises ArgumentError or MaskzooError if that cannot be."""
    if options.to not in EXPORTERS:
        raise ArgumentError(f"the format to write is {options.to!r}; expected one of {', '.join(EXPORTERS)} (--to)")
    if options.pictures not in (None, *get_args(PictureMode)):
        raise ArgumentError(
            f"pictures is {options.pictures!r}; expected one of {', '.join(get_args(PictureMode))} (--pictures)"
        )
    exporter = EXPORTERS[options.to]
    if options.to == "coco":  # its files are known once the splits are
        return out
    if options.pictures not in (None, "none") and exporter.pictures == "none":
        raise ArgumentError(f"{options.to} names the pictures where they are; leave out --pictures {options.pictures}")
    if exporter.files:
        return _check_file(out, source, exporter, options.force)
    if out.suffix.lower() in (".json", ".geojson", ".xml", ".csv", ".txt") and not out.is_dir():
        raise MaskzooError(f"{out}: {options.to} is a folder of files; expected a folder; choose another OUT")
    if out.exists() and source.exists() and out.samefile(source):
        raise MaskzooError(f"{out}: is the source itself, which stays as it is; choose another OUT")
    if out.is_dir() and any(out.iterdir()) and not options.force:
        raise MaskzooError(f"{out}: is not empty; expected a new folder; choose another, or pass --force to write into it")
    check_folder(out)
    return out


def _check_file(out: Path, source: Path, exporter: Exporter, force: bool) -> Path:
    first, *others = exporter.files
    file = out if out.suffix.lower() == Path(first).suffix else out / first
    for path in (file, *(file.with_name(other) for other in others)):
        check_target(path, force=force)
        if path.exists() and source.exists() and path.samefile(source):
            raise MaskzooError(f"{path}: is the source itself, which stays as it is; choose another OUT")
    return file


def export(content: Exportable, source: str, out: Path, options: ExportOptions) -> ConvertedDataset:
    """Write `content`, of the format `source`, to `out`, which `check_options` gave; return what was written and lost.

    Raises SourceError if there is no image, MaskzooError if something cannot be written.
    """
    exporter = EXPORTERS[options.to]
    classes, labels = _join_classes({split: sifted for split, (sifted, _) in content.splits.items()})
    splits = {split: ExportSplit(split, *pair, labels[split]) for split, pair in content.splits.items()}
    total = sum(map(len, splits.values()))
    if total == 0:
        raise SourceError(f"{out}: the source has no image, so nothing was written; expected one at least")
    job = ExportJob(out, classes, splits, options.pictures or exporter.pictures, exporter.keeps, content.model, options.force)
    make_folder(out.parent if exporter.files or options.to == "coco" else out)
    job.on_picture = lambda: options.on_progress(ProgressEvent("Writing", job.images.total(), total))
    files = exporter.write(job)
    job.lost["below_score"] = content.below_score
    if "other_fields" not in exporter.keeps:
        job.lost["other_fields"] = sum(split.count_other_fields() for split in splits.values())
    for known in dict.fromkeys(split.sifted.packed.classes for split in splits.values()):
        if "class_ids" not in exporter.keeps:
            job.lost["class_ids"] += 0 if known.ids == tuple(range(1, len(known) + 1)) else len(known)  # readers count so
            job.lost["same_names"] += len(known) - len(set(known.names))
    made = {
        split: ConvertedSplit(
            file, job.images[split], job.empty_images[split], job.objects[split], content.skipped.get(split, ())
        )
        for split, file in files.items()
    }
    nothing = [f"The class {name!r} means what is no object in many tools; rename it" for name in classes if is_no_class(name)]
    notes = tuple(dict.fromkeys([*content.notes, *job.notes, *nothing]))
    return ConvertedDataset(source, classes, made, notes, options.to, {what: n for what, n in job.lost.items() if n})


def _join_classes(splits: Mapping[str, Sifted]) -> tuple[tuple[str, ...], dict[str, Sequence[int]]]:
    """Return the names of all splits' classes, and for each split which of them its classes are."""
    names = list(dict.fromkeys(name for sifted in splits.values() for name in sifted.packed.classes.names))
    for name in names:
        if "\n" in name or "\r" in name or name != name.strip():
            raise SourceError(
                f"a class is called {name!r:.80}; expected a name of one line without blanks around it; rename it"
            )
    return tuple(names), {
        split: [names.index(name) for name in sifted.packed.classes.names] for split, sifted in splits.items()
    }
