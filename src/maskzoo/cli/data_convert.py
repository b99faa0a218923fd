"""`maskzoo data convert`: YOLO, LabelMe, Pascal VOC and mask PNGs to COCO instances files."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import SourceError
from maskzoo.files import check_target

if TYPE_CHECKING:
    from maskzoo.data.formats.draft import Draft
    from maskzoo.data.formats.draft import Progress as Report

__all__ = ["convert_data"]

SHOWN = 20  # skipped rows named in a message


class Format(StrEnum):
    auto = "auto"
    yolo = "yolo"
    labelme = "labelme"
    voc = "voc"
    masks = "masks"


def convert_data(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The data set's folder, or its data.yaml (YOLO).")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The .json to write, or a folder for one file of each split.")
    ],
    kind: Annotated[Format, typer.Option("--from", help="What SOURCE is; auto looks at its files.")] = Format.auto,
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAMES|FILE", help="The classes in order: cat,dog or a text file of one a line."),
    ] = None,
    boxes_as_masks: Annotated[
        bool, typer.Option("--boxes-as-masks", help="YOLO: take rows of boxes for rectangular objects.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of OUT that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Convert a data set to COCO instances JSON.

    SOURCE stays as it is, and the images stay where they are. Outlines of masks
    are exact, holes too. Whatever cannot be converted is left out, counted and
    named; the exit code is 3 then.

    Examples:
      maskzoo data convert fruits/data.yaml fruits/annotations
      maskzoo data convert labelled_photos photos.json --from labelme
      maskzoo data convert VOCdevkit voc
      maskzoo data convert PennFudanPed people.json --classes person
    """
    from maskzoo.data.formats.detect import detect_format

    name = detect_format(source) if kind is Format.auto else kind.value
    if boxes_as_masks and name != "yolo":
        raise typer.BadParameter(f"is for YOLO, but SOURCE is {name}; leave it out", param_hint="--boxes-as-masks")
    drafts = _read(name, source, None if classes is None else _read_classes(classes), boxes_as_masks)
    files = _name_files(drafts, out, force)
    notes = _write(drafts, files, out, force)
    skipped = [(split, row) for split, draft in drafts.items() for row in draft.skipped]
    if json:
        print_json(_describe(name, drafts, files, notes))
    else:
        _print_table(name, drafts, files, notes)
    if skipped:
        lines = [f"{len(skipped)} {'row' if len(skipped) == 1 else 'rows'} of the input left out:"]
        lines += [str(row) for _, row in skipped[:SHOWN]]
        lines += [f"and {len(skipped) - SHOWN} more (--json lists all)"] if len(skipped) > SHOWN else []
        open_stderr().print("\n  ".join(lines), style="red", soft_wrap=True)
        raise typer.Exit(3)


def _read_classes(text: str) -> list[str]:
    """Return the classes of `--classes`: names with commas, or a file of one a line."""
    path = Path(text)
    try:
        listed = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as a list of classes: {error}") from error
    names = [name.strip() for name in listed if name.strip()]
    if not names or len(set(names)) != len(names):
        raise typer.BadParameter(f"found {text!r:.80}; expected names, each once", param_hint="--classes")
    return names


def _read(name: str, source: Path, classes: list[str] | None, boxes_as_masks: bool) -> dict[str, Draft]:
    if not source.exists():
        raise SourceError(f"{source}: no such file or folder; expected a data set; check the spelling")
    from maskzoo.data.formats.labelme import read_labelme
    from maskzoo.data.formats.mask_pngs import read_mask_pngs
    from maskzoo.data.formats.voc import read_voc
    from maskzoo.data.formats.yolo import read_yolo

    with _show_progress() as progress:
        report = _make_report(progress)
        if name == "yolo":
            return read_yolo(source, classes, boxes_as_masks=boxes_as_masks, progress=report)
        if name == "labelme":
            return read_labelme(source, classes, progress=report)
        if name == "voc":
            return read_voc(source, classes, progress=report)
        return read_mask_pngs(source, classes, progress=report)


def _show_progress() -> Progress:
    console = open_stderr()
    columns = (TextColumn("Reading pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _make_report(progress: Progress) -> Report:
    task = progress.add_task("", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _name_files(drafts: Mapping[str, Draft], out: Path, force: bool) -> dict[str, Path]:
    """Return the file of each split; refuse what is there before anything is written."""
    if out.suffix.lower() == ".json":
        if len(drafts) > 1:
            raise SourceError(f"{out}: one file, but the source has {', '.join(drafts)}; give a folder as OUT")
        files = dict.fromkeys(drafts, out)
    else:
        files = {split: out / f"{split or 'train'}.json" for split in drafts}
    for path in files.values():
        check_target(path, force=force)
    if not any(draft.pictures for draft in drafts.values()):
        reasons = [str(row) for draft in drafts.values() for row in draft.skipped[:SHOWN]]
        raise SourceError("\n  ".join(["no picture of the source can be used, so nothing was written", *reasons]))
    return files


def _write(drafts: Mapping[str, Draft], files: Mapping[str, Path], out: Path, force: bool) -> list[str]:
    """Check all splits as any other annotation file, then write them; return what a user has to know about the images."""
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.data.coco import pack_annotations
    from maskzoo.data.writing import find_common_folder, straighten, write_coco

    pictures = [picture for draft in drafts.values() for picture in draft.pictures]
    root = find_common_folder(pictures, next(iter(files.values())))
    contents = {split: draft.to_coco(root) for split, draft in drafts.items()}
    packed = {split: pack_annotations(content, str(files[split])) for split, content in contents.items()}
    for split, content in contents.items():
        write_coco(files[split], content, force=force)
    for one in packed.values():
        try:
            found = straighten(find_image_folder(one)) == root
        except SourceError:
            found = len(one) == 0
        if not found:
            return [f"The images are not near {out}: pass --images {root} wherever it is used"]
    return []


def _describe(
    name: str, drafts: Mapping[str, Draft], files: Mapping[str, Path], notes: list[str]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "format": name,
        "classes": list(next(iter(drafts.values())).names),
        "splits": {
            split or "train": {
                "file": str(files[split]),
                "images": len(draft.pictures),
                "empty_images": draft.count_empty(),
                "objects": len(draft.annotations),
                "skipped": [asdict(row) for row in draft.skipped],
            }
            for split, draft in drafts.items()
        },
        "notes": notes,
    }


def _print_table(name: str, drafts: Mapping[str, Draft], files: Mapping[str, Path], notes: list[str]) -> None:
    from maskzoo.cli.data_stats import start_table

    table = start_table("file", "images", "without objects", "objects", "left out")
    for split, draft in drafts.items():
        numbers = (len(draft.pictures), draft.count_empty(), len(draft.annotations), len(draft.skipped))
        table.add_row(str(files[split]), *(f"{number:,}" for number in numbers))
    console = open_stdout()
    console.print(table)
    names = list(next(iter(drafts.values())).names)
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    console.print(f"From {name}, {len(names)} {'class' if len(names) == 1 else 'classes'}: {shown}", soft_wrap=True)
    for note in notes:
        console.print(note, soft_wrap=True)
