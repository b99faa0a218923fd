"""Masks as pictures: PNG files whose pixel is the number of the object, 0 for none (as Penn-Fudan's pedestrians)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from maskzoo.datasets.importers.builder import SPLITS, DatasetBuilder, ImportOptions, find_pictures
from maskzoo.datasets.mask_outlines import trace
from maskzoo.errors import ImageError, SourceError
from maskzoo.images.read import MAX_PIXELS
from maskzoo.progress import OnProgress

__all__ = ["NumberedObject", "is_mask_pngs", "read_mask_pngs", "read_numbers", "trace_objects"]

Integers = NDArray[np.int64]
IMAGE_FOLDERS = ("PNGImages", "images", "JPEGImages", "image", "imgs", "img")
MASK_FOLDERS = ("PedMasks", "masks", "mask", "instances")
ENDINGS = ("_mask", "_masks", "_instances", "")  # of a mask's name after its picture's


class NumberedObject(NamedTuple):
    """The pixels of one number: its outlines, and `pixels` int64, their places in the flattened picture."""

    number: int
    polygons: list[NDArray[np.float64]]
    pixels: Integers


def is_mask_pngs(source: Path) -> bool:
    """Say whether a folder, or its folder of a split, holds a folder of pictures beside one of masks."""
    return bool(_find_splits(source))


def _find_splits(source: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of pictures and of masks of each split, "" where there are none."""
    alone = _find_folders(source)
    if alone is not None:
        return {"": alone}
    found = {split: _find_folders(source / split) for split in SPLITS}
    return {split: folders for split, folders in found.items() if folders is not None}


def _find_folders(source: Path) -> tuple[Path, Path] | None:
    """Find the folders of pictures and of masks in a folder, by their usual names; None without them."""
    if not source.is_dir():
        return None
    inner = {path.name.casefold(): path for path in sorted(source.iterdir()) if path.is_dir()}
    images = next((inner[name.casefold()] for name in IMAGE_FOLDERS if name.casefold() in inner), None)
    masks = next((inner[name.casefold()] for name in MASK_FOLDERS if name.casefold() in inner), None)
    return None if images is None or masks is None else (images, masks)


def read_mask_pngs(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read pictures and their masks, from `source` or its folders train, val and test; all objects are of one class.

    The mask of `a.jpg` is `a.png` or `a_mask.png`. The class is "object" unless `classes` names it. Pictures without a
    mask, masks without a picture or of another size are skipped by name. Outlines are exactly the masks.
    """
    names = list(options.classes or ["object"])
    if len(names) != 1:
        raise SourceError(f"{source}: masks do not distinguish classes, but --classes names {len(names)}; expected one name")
    drafts = {}
    for split, folders in _find_splits(source).items():
        drafts[split] = DatasetBuilder(names)
        _read_split(drafts[split], *folders, options.on_progress)
    if not drafts:
        raise SourceError(
            f"{source}: no folder of pictures ({', '.join(IMAGE_FOLDERS)}) beside one of masks "
            f"({', '.join(MASK_FOLDERS)}); name them so"
        )
    return drafts


def _read_split(draft: DatasetBuilder, images: Path, masks: Path, on_progress: OnProgress) -> None:
    pairs: dict[Path, Path] = {}
    for path in find_pictures(images):
        stem = path.relative_to(images).with_suffix("")
        candidates = [masks / stem.parent / f"{stem.name}{ending}.png" for ending in ENDINGS]
        mask = next((candidate for candidate in candidates if candidate.is_file()), None)
        if mask is None:
            draft.skip(path, "", f"has no mask; expected {candidates[0].name} or {candidates[-1].name} in {masks}")
        else:
            pairs[path] = mask
    used = set(pairs.values())
    for mask in find_pictures(masks):
        if mask not in used:
            draft.skip(mask, "", "there is no picture of this name")
    for path, size in draft.measure(list(pairs), on_progress):
        try:
            numbers = read_numbers(pairs[path], size)
        except ImageError as error:
            draft.skip(pairs[path], "", error)
            continue
        image = draft.add_image(path, size)
        for one in trace_objects(numbers):
            draft.add_object(image, 0, one.polygons, (pairs[path], f"object {one.number}"), area=len(one.pixels))


def read_numbers(path: Path, size: tuple[int, int]) -> Integers:
    """Read a PNG's stored numbers, int64 `[H W]`: palette places or 8 or 16 bits of grey, as they are in the file.

    Raises ImageError if it is not such a PNG, or not of the picture's height, width `size`.
    """
    try:
        with path.open("rb") as stream, PngImagePlugin.PngImageFile(stream, "") as image:
            if image.width * image.height > MAX_PIXELS or image.size != size[::-1]:
                found = f"{image.width} x {image.height}"
                raise ImageError(f"{path}: {found} pixels; expected its picture's {size[1]} x {size[0]}")
            if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
                raise ImageError(
                    f"{path}: pixels are colours ({image.mode}); expected object numbers: grey of 8 or 16 bits, or a palette"
                )
            return np.asarray(image).astype(np.int64)
    except ImageError:
        raise
    except Exception as error:  # on damaged bytes Pillow raises whatever its code runs into
        raise ImageError(f"{path}: cannot be read as PNG: {str(error) or type(error).__name__}") from error


def trace_objects(numbers: NDArray[Any], ignored: Sequence[int] = ()) -> Iterator[NumberedObject]:
    """Give the object of each number in `[H W]` but 0 and the `ignored`, in rising order."""
    flat = numbers.ravel()
    order = np.argsort(flat, kind="stable")
    found, first = np.unique(flat[order], return_index=True)
    for number, pixels in zip(found.tolist(), np.split(order, first[1:]), strict=True):
        if number == 0 or number in ignored:
            continue
        y, x = np.divmod(pixels, numbers.shape[1])
        top, left = int(y.min()), int(x.min())
        crop = np.zeros((int(y.max()) + 1 - top, int(x.max()) + 1 - left), np.uint8)
        crop[y - top, x - left] = 1
        polygons = [polygon + np.tile([left, top], len(polygon) // 2) for polygon in trace(crop)]
        yield NumberedObject(number, polygons, pixels)
