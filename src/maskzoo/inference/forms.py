"""Results of a folder run in the forms of labelling tools, GIS programs and spreadsheets: what `data convert` writes too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_reader import is_text, sift_sound
from maskzoo.datasets.converted import ConvertedDataset
from maskzoo.datasets.exporters.export import Exportable, ExportOptions, check_options, export
from maskzoo.errors import MaskzooError, SourceError
from maskzoo.images.read import LARGEST
from maskzoo.inference.journal import count_lines
from maskzoo.progress import OnProgress

__all__ = ["check_forms", "check_names", "write_forms"]


def check_forms(out: Path, forms: Iterable[str]) -> None:
    """Raise MaskzooError if the folder of a form has files that are not of an unfinished run: somebody may have edited them."""
    for form in forms:
        folder = out / form
        if folder.is_dir() and any(folder.iterdir()) and not count_lines(out):
            raise MaskzooError(
                f"{folder}: is not empty; labels there may have been corrected, so they stay; expected a new folder; "
                "delete it, or choose another --out"
            )


def check_names(names: Iterable[str]) -> None:
    """Raise SourceError if a photo's name is no UTF-8."""
    for name in names:
        if not is_text(name):
            raise SourceError(
                f"{name!a}: no form of results can hold this name; expected UTF-8; rename the file, or save image, json"
            )


def write_forms(
    out: Path,
    forms: Collection[str],
    content: Mapping[str, Any],
    files: Mapping[str, Path],
    model: str,
    on_progress: OnProgress,
) -> tuple[ConvertedDataset, ...]:
    """Write each of the `forms` to the folder of its name in `out`, and return what was written and lost.

    Args:
        out: The folder of the results.
        forms: Names of EXPORTERS.
        content: Images and categories of a COCO file, and result rows as its annotations.
        files: Where the images of these names are; others, such as those of a .tar file, are named only.
        model: Named in formats that tell who made predictions.
        on_progress: Is called for each image.

    Raises MaskzooError if something cannot be written.
    """
    source = Exportable({"train": (sift_sound(content, "the results", LARGEST), files.get)}, model)
    made = []
    for form in sorted(forms):
        options = ExportOptions(form, force=True, on_progress=on_progress)
        written = export(source, model, check_options(out / form, Path(), options), options)
        lost = {what: count for what, count in written.lost.items() if what != "object_ids"}  # results have none
        made.append(replace(written, lost=lost))
    return tuple(made)
