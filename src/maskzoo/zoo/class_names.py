"""What the classes of another library's weights are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskzoo.errors import ConfigError, list_some
from maskzoo.weights.foreign import ForeignFile
from maskzoo.weights.recognition import Recognised
from maskzoo.zoo.choices import Draft
from maskzoo.zoo.mmdetection_config import find_classes
from maskzoo.zoo.rows import read_row

__all__ = ["find_class_names", "set_class_names", "set_classes"]

COCO_ROW = "mask_rcnn_r50_fpn_1x_coco"  # whose classes are COCO's 80


def set_class_names(draft: Draft, found: Recognised, given: str | Path | Sequence[str]) -> None:
    """Put given class names into a draft. Raises ConfigError if there are more or fewer than the weights have."""
    from maskzoo.datasets.importers.class_lists import is_background
    from maskzoo.datasets.importers.class_names import read_class_names

    named = read_class_names(given)
    if len(named) == found.classes + 1 and is_background(named[0]):
        named = named[1:]
        draft.notes.append("the first class name is the background's and was left out")
    set_classes(draft, found, named, "--classes")


def set_classes(draft: Draft, found: Recognised, named: Sequence[str], source: str) -> None:
    """Put class names into a draft: COCO's under COCO's ids, others from 1. Raises ConfigError for a wrong number of them."""
    if len(named) != found.classes:
        raise ConfigError(
            f"{source} has {len(named)} class names ({list_some(named, 5)}), and the weights have {found.classes} classes; "
            "expected one name each, in the order of training, without the background: give them with --classes"
        )
    coco = read_row(COCO_ROW).classes
    ids = list(coco) if list(named) == list(coco.values()) else range(1, len(named) + 1)
    draft.set("classes", dict(zip(ids, named, strict=True)), source)


def find_class_names(
    draft: Draft, found: Recognised, file: ForeignFile, values: Mapping[str, Any] | None, published: str | None
) -> tuple[list[str], str]:
    """Return the class names of a file or its config, else those that are assumed, and where they are from."""
    known = list(draft.get("classes").values())
    meta = file.said.get("meta")
    if found.library == "mmdetection" and isinstance(meta, Mapping):
        inner = meta.get("dataset_meta")
        for where, table in (("meta.dataset_meta", inner), ("meta", meta)):
            for key in ("classes", "CLASSES"):
                names = table.get(key) if isinstance(table, Mapping) else None
                names = [names] if isinstance(names, str) else names
                if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
                    return names, f"file: {where}.{key}"
    told = find_classes(values) if values is not None and found.library == "mmdetection" else None
    if told is not None:
        return told[0], f"config: {told[1]}"
    if published and len(known) == found.classes:
        return known, draft.base
    if len(known) == found.classes:
        draft.notes.append(
            f"{found.classes} classes, as many as the published models have: COCO's names were taken, for the file has none; "
            "give others with --classes"
        )
        return known, f"assumed: {found.classes} classes are COCO's"
    draft.notes.append(
        f"the file has no class names: they are called class 1 to class {found.classes}; name them in the order of training "
        "with --classes names.txt (a name a line) or --classes cat,dog"
    )
    return [f"class {number}" for number in range(1, found.classes + 1)], "no names in the file"
