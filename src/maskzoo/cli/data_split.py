"""`maskzoo data split`: one COCO file into train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maskzoo.cli.data_stats import start_table
from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import MaskzooError, SourceError
from maskzoo.files import check_target

__all__ = ["split_data"]

EPSILON = 1e-9


def split_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON).")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for train.json, val.json and test.json.")],
    val: Annotated[float, typer.Option(min=0, max=1, help="Part of the images for val.")] = 0.2,
    test: Annotated[float, typer.Option(min=0, max=1, help="Part of the images for test; 0 writes none.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Another number, another division; the same, the same.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="Keep images together whose names agree in what this finds, as frames of a video."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of OUT that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Divide a data set into train, val and test.

    Every class is shared out as evenly as it can be, and every image with its
    annotations is in exactly one file. DATA and the images stay as they are.

    Examples:
      maskzoo data split photos.json parts
      maskzoo data split photos.json parts --val 0.1 --test 0.1 --seed 7
      maskzoo data split frames.json parts --group-by '^[^_]+'
    """
    if val + test >= 1 - EPSILON or val + test <= 0:
        raise typer.BadParameter(f"found val {val:g} and test {test:g}; expected some for them and some for train",
                                 param_hint="--val, --test")  # fmt: skip
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.data.coco import pack_annotations, read_json
    from maskzoo.data.splitting import split_coco
    from maskzoo.data.writing import write_coco

    content = read_json(data)
    annotations = pack_annotations(content, str(data))
    shares = {name: share for name, share in (("train", 1 - val - test), ("val", val), ("test", test)) if share > 0}
    parts = split_coco(content, shares, seed=seed, group_by=group_by)
    files = {name: out / f"{name}.json" for name in parts}
    for path in files.values():
        check_target(path, force=force)
        if path.exists() and path.samefile(data):
            raise MaskzooError(f"{path}: is DATA itself; expected a new file; choose another OUT")
    for name, part in parts.items():
        write_coco(files[name], part, force=force)
    counts = _count(content, parts)
    try:
        folder = find_image_folder(annotations)
        note = _check_folder(folder, next(iter(files.values())))
    except SourceError:
        note = None
    if json:
        splits = {name: _describe(part, files[name]) for name, part in parts.items()}
        print_json({"data": str(data), "seed": seed, "splits": splits, "classes": counts, "note": note})
        return
    table = start_table("class", *parts, *(f"{name} %" for name in parts))
    for row in [*counts, {"name": "images", **{name: len(part["images"]) for name, part in parts.items()}}]:
        total = sum(row[name] for name in parts)
        shown = (f"{100 * row[name] / total:.0f}" if total else "-" for name in parts)
        table.add_row(row["name"], *(f"{row[name]:,}" for name in parts), *shown)
    console = open_stdout()
    console.print(table)
    console.print(f"Wrote {', '.join(str(path) for path in files.values())}", soft_wrap=True)
    if note:
        console.print(note, soft_wrap=True)


def _count(content: dict[str, Any], parts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each class with an object how many each part has, crowds apart."""
    rows = {row["id"]: {"id": row["id"], "name": row["name"], **dict.fromkeys(parts, 0)} for row in content["categories"]}
    for name, part in parts.items():
        for annotation in part["annotations"]:
            if not annotation.get("iscrowd", 0):
                rows[annotation["category_id"]][name] += 1
    return [row for row in rows.values() if any(row[name] for name in parts)]


def _describe(part: dict[str, Any], file: Path) -> dict[str, Any]:
    return {"file": str(file), "images": len(part["images"]), "annotations": len(part["annotations"])}


def _check_folder(folder: Path, file: Path) -> str | None:
    """Say where the images are if they will not be found from the new files' place."""
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.data.coco import read_annotations

    try:
        if find_image_folder(read_annotations(file)).resolve() == folder.resolve():
            return None
    except SourceError:
        pass
    return f"The images are not near {file.parent}: pass --images {folder} wherever it is used"
