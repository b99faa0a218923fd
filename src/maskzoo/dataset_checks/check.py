"""`maskzoo.check_dataset`: all that is wrong with a data set, a page about it, and cleaned annotation files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from maskzoo.dataset_checks.fix import fix_splits
from maskzoo.dataset_checks.page import MARK, render_page
from maskzoo.dataset_checks.report import DatasetReport
from maskzoo.dataset_checks.split_checks import check_splits
from maskzoo.datasets.class_edits import GivenClasses, read_class_edits
from maskzoo.datasets.layout import find_splits
from maskzoo.errors import ArgumentError
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import check_folder, explained, is_taken, write_file

__all__ = ["check_dataset"]


def check_dataset(
    data: str | Path,
    *,
    images: str | Path | None = None,
    classes: GivenClasses | None = None,
    duplicates: bool = True,
    fix: str | Path | None = None,
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
            repaired, the rest dropped.
        page: an HTML file to write, with pictures of the worst problems; a page of an earlier check is overwritten.
        on_progress: is told how far the check is.

    Returns:
        What was checked and found; a fault of the data is a problem of the report. With `fix`, also what was changed
        in each cleaned file, and which errors are left to a person.

    Raises:
        SourceError: there is no data set.
        AnnotationsError: no split's file can be read as COCO instances.
        ConfigError: `images` is not a folder, or the class map does not fit the data.
        ArgumentError: `fix` or `page` would overwrite something, or has no name of a file of its kind.
        MaskzooError: a file cannot be written, or nothing would be left in a cleaned one.
    """
    splits = find_splits(data)
    targets = _plan_files(None if fix is None else Path(fix), splits)
    page = None if page is None else _check_page(Path(page))
    images = None if images is None else Path(images)
    edits = None if classes is None else read_class_edits(classes)
    report, contents = check_splits(splits, images=images, edits=edits, duplicates=duplicates, on_progress=on_progress)
    if page is not None:
        write_file(page, render_page(report, contents).encode("utf-8"))
    fixed = fix_splits(report, contents, targets) if targets else {}
    return replace(report, data=Path(data), fixed=fixed, page=page)


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
