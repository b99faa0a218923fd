"""`maskzoo.check_dataset`: all that is wrong with a data set, a page about it, and cleaned annotation files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.fix import fix_splits
from maskzoo.dataset_checks.image_checks import Looks
from maskzoo.dataset_checks.page import MARK, render_page
from maskzoo.dataset_checks.report import DatasetReport
from maskzoo.dataset_checks.split_checks import check_splits
from maskzoo.datasets.class_edits import GivenClasses, list_categories, read_class_edits
from maskzoo.datasets.layout import find_splits
from maskzoo.drawing.fonts import explain_unwritten
from maskzoo.errors import ArgumentError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_folder, explained, is_taken, write_file

__all__ = ["check_dataset"]


def check_dataset(
    data: str | Path,
    *,
    images: str | Path | None = None,
    classes: GivenClasses | None = None,
    duplicates: bool = True,
    fix: str | Path | None = None,
    crowds_as_objects: bool = False,
    page: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> DatasetReport:
    """Find everything that is wrong with a data set: the annotations of all its splits, and every image.

    Args:
        data: a COCO instances file (JSON), or a data set's folder. Its files are never changed.
        images: the images' folder, or one with a folder for each split; searched for near the annotations unless given.
        classes: a class map (.yml, or a mapping): the classes renamed, merged, left out, in another order. What is checked
            and written is what it makes of the annotations.
        duplicates: whether to look for images that are the same, or nearly so, in two splits, or twice in one.
        fix: a new file, or a folder for several splits, for cleaned annotations: what leaves nothing to guess is
            repaired, the rest dropped. A split of which nothing would be left is not written.
        crowds_as_objects: whether crowds become objects in the cleaned annotations, as in sets drawn with a brush.
        page: an HTML file to write, with pictures of the worst problems; a page of an earlier check is overwritten.
        on_progress: is told how far the check is.

    Returns:
        What was checked and found; a fault of the data is a problem of the report. With `fix`, also what was changed
        in each cleaned file, which errors are left to a person, and what a check of the cleaned files found.

    Raises:
        SourceError: there is no data set.
        AnnotationsError: no split's file can be read as COCO instances.
        ConfigError: `images` is not a folder, or the class map does not fit the data.
        ArgumentError: `fix` or `page` would overwrite something, or has no name of a file of its kind; or crowds are to
            become objects without `fix`.
        MaskzooError: a file cannot be written.
    """
    if crowds_as_objects and fix is None:
        raise ArgumentError("--crowds-as-objects: it changes what --fix OUT writes; give --fix OUT too")
    splits = find_splits(data)
    targets = _plan_files(None if fix is None else Path(fix), splits)
    page = None if page is None else _check_page(Path(page))
    images = None if images is None else Path(images)
    edits = None if classes is None else read_class_edits(classes)
    looks: Looks = {}
    options: dict[str, Any] = {"duplicates": duplicates, "looks": looks, "on_progress": on_progress}
    report, contents = check_splits(splits, images=images, edits=edits, **options)
    report = replace(report, data=Path(data), page=page)
    if targets:
        fixed, after = fix_splits(report, contents, targets, crowds=crowds_as_objects, **options)
        report = replace(report, fixed=fixed, after=after)
    if page is not None:
        if note := explain_unwritten(name for content in contents.values() for _, name in list_categories(content)):
            on_progress(ProgressEvent("Drawing", note=note))
        write_file(page, render_page(report, contents).encode("utf-8"))
    return report


def _plan_files(out: Path | None, splits: Mapping[str, Path]) -> dict[str, Path]:
    """Return the file that each split's cleaned annotations go to. Raises ArgumentError if one is there already."""
    if out is None:
        return {}
    with explained(out, ArgumentError):
        file = out.suffix.lower() == ".json" and not out.is_dir()
    if file and len(splits) > 1:
        raise ArgumentError(f"{out}: there are {len(splits)} splits, {', '.join(splits)}; expected a folder for --fix")
    targets = {split: out if file else out / f"{split}.json" for split in splits}
    for target in targets.values():
        check_folder(target.parent)
        if os.path.lexists(target):
            raise ArgumentError(f"{target}: exists already; expected a new file, none is overwritten; choose another --fix")
    return targets


def _check_page(page: Path) -> Path:
    """Refuse to overwrite anything but a page of an earlier check."""
    if page.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"{page}: expected a name that ends in .html for --page")
    check_folder(page.parent)
    if is_taken(page, MARK.encode()):
        raise ArgumentError(f"{page}: exists already and is not the page of an earlier check; choose another --page")
    return page
