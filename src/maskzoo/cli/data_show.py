"""`maskzoo data show`: a contact sheet of annotated images."""

from __future__ import annotations

import difflib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskzoo.cli.outputs import MARK
from maskzoo.cli.terminal import open_stderr, open_stdout
from maskzoo.errors import ConfigError, ImageError, MaskzooError, SourceError
from maskzoo.files import check_target, is_taken, make_folder, write_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from maskzoo.cli.contact_sheet import Cell
    from maskzoo.data.annotations import AnnotationSet

__all__ = ["show_data"]

SUFFIXES = (".png", ".jpg", ".jpeg")
SHOWN = 20  # pictures named that could not be shown


def show_data(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write, .jpg or .png.")] = Path("sheet.jpg"),
    count: Annotated[int, typer.Option(min=1, max=200, metavar="N", help="How many images.")] = 12,
    name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Only images with this class, and its objects.")
    ] = None,
    image: Annotated[list[int] | None, typer.Option(metavar="ID", help="This image; may be given again.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another number, another choice of images.")] = 0,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="The split of a folder: train, val or test; else its first.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
) -> None:
    """Draw some annotated images on one sheet, to see what a network will learn.

    Each class has its colour; crowds are striped in grey. Images that are
    missing, cannot be read or have another size than DATA says are named, and
    the exit code is 3.

    Examples:
      maskzoo data show photos.json
      maskzoo data show coco --split val --class dog --count 20 --out dogs.png
      maskzoo data show photos.json --image 139 --image 285
    """
    if out.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"found {str(out)!r}; expected a name that ends in .jpg or .png", param_hint="--out")
    _check_out(out)
    from maskzoo.cli.contact_sheet import draw_sheet
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.data.coco import read_annotations

    annotations = read_annotations(_find_file(data, split))
    only = None if name is None else _find_label(annotations, name)
    places = _choose_images(annotations, only, image, count, seed)
    folder = find_image_folder(annotations, images, split)
    cells, failed = _read_cells(annotations, folder, places)
    if not cells:
        raise ImageError("\n  ".join(["no image could be shown", *failed[:SHOWN]]))
    make_folder(out.parent)
    write_file(out, _encode(draw_sheet(annotations, cells, only), out.suffix.lower()))
    open_stdout().print(f"Wrote {out}: {len(cells)} of {len(annotations)} images", soft_wrap=True)
    if failed:
        more = [f"and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []
        lines = [f"{len(failed)} of {len(places)} images could not be shown:", *failed[:SHOWN], *more]
        open_stderr().print("\n  ".join(lines), style="red", soft_wrap=True)
        raise typer.Exit(3)


def _check_out(out: Path) -> None:
    """A sheet that was drawn before is overwritten; anything else is the user's."""
    check_target(out)
    if is_taken(out, MARK):
        raise MaskzooError(f"{out}: exists already and is no sheet; expected a new file; choose another --out")


def _find_file(data: Path, split: str | None) -> Path:
    from maskzoo.data.layout import find_splits

    files = find_splits(data)
    if split is None:
        return next(iter(files.values()))
    if split not in files:
        raise SourceError(f"{data}: has no split {split!r}; expected one of {', '.join(files)} (--split)")
    return files[split]


def _find_label(annotations: AnnotationSet, name: str) -> int:
    names = annotations.classes.names
    if name not in names:
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names[:8])} ..."
        raise ConfigError(f"{annotations.source}: no class is called {name!r}; {known} (--class)")
    return names.index(name)


def _choose_images(
    annotations: AnnotationSet, only: int | None, wanted: list[int] | None, count: int, seed: int
) -> list[int]:
    """Return the places of the images: those asked for, or a random choice of those with the class, by ascending id."""
    import numpy as np

    if wanted:
        ids = {number: place for place, number in enumerate(annotations.image_ids.tolist())}
        unknown = [number for number in wanted if number not in ids]
        if unknown:
            raise ConfigError(f"{annotations.source}: no image has the id {unknown[0]}; look it up in the file (--image)")
        return [ids[number] for number in dict.fromkeys(wanted)]
    candidates: NDArray[np.integer[Any]] = np.arange(len(annotations))
    if only is not None:
        candidates = np.unique(annotations.image_index[annotations.labels == only])
    if not len(candidates):
        what = "has no image" if only is None else f"no image has an object of {annotations.classes.names[only]!r}"
        raise SourceError(f"{annotations.source}: {what}; there is nothing to show")
    chosen = np.random.default_rng(seed).permutation(candidates)[:count]
    return [int(place) for place in np.sort(chosen)]


def _read_cells(annotations: AnnotationSet, folder: Path, places: list[int]) -> tuple[list[Cell], list[str]]:
    from maskzoo.cli.contact_sheet import Cell
    from maskzoo.data.images import read_image

    cells, failed = [], []
    for place in places:
        path = folder / annotations.file_name(place)
        try:
            pixels = read_image(path)
        except ImageError as error:
            failed.append(str(error))
            continue
        height, width = annotations.sizes[place].tolist()
        if pixels.shape[:2] != (height, width):
            found = f"{pixels.shape[1]} x {pixels.shape[0]}"
            failed.append(f"{path}: {found} pixels; expected the {width} x {height} that {annotations.source} says")
            continue
        cells.append(Cell(pixels, place))
    return cells, failed


def _encode(sheet: Image.Image, suffix: str) -> bytes:
    """Return the file of a sheet, with the mark that lets a later call overwrite it."""
    from PIL.PngImagePlugin import PngInfo

    stream = io.BytesIO()
    if suffix == ".png":
        comment = PngInfo()
        comment.add_text("Comment", MARK.decode("ascii"))
        sheet.save(stream, "PNG", pnginfo=comment)
    else:
        sheet.save(stream, "JPEG", quality=90, comment=MARK)
    return stream.getvalue()
