"""What became of a file's rows in its cleaned copy: saved, changed, dropped, left with an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maskzoo.dataset_checks.codes import CODES
from maskzoo.datasets.coco_reader import find_first, sift
from maskzoo.faults import Fault

__all__ = ["Tally", "count_rows"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of a table there were, could not be used and can now (`saved`), differ, are gone, still have an error."""

    before: int
    saved: int
    changed: int
    dropped: int
    left: int

    def to_dict(self) -> dict[str, int]:
        """Return it as JSON values."""
        return asdict(self)


def count_rows(
    before: Mapping[str, Any],
    problems: Iterable[Fault],
    after: Mapping[str, Any],
    left: Iterable[Fault],
    origins: Mapping[str, Sequence[int]],
    split: str,
) -> dict[str, Tally]:
    """Count what became of the images and objects of a split; `origins` say where each row stood before."""
    sound, usable = _find_sound(before, problems, split), _find_sound(after, left, split)
    tallies = {}
    for table in ("images", "annotations"):
        old, new, origin = before[table], after[table], origins[table]
        tallies[table] = Tally(
            before=len(old),
            saved=len({origin[place] for place in usable[table]} - sound[table]),
            changed=sum(row != old[place] for place, row in zip(origin, new, strict=True)),
            dropped=len(old) - len(new),
            left=len(new) - len(usable[table]),
        )
    return tallies


def _find_sound(content: Mapping[str, Any], faults: Iterable[Fault], split: str) -> dict[str, set[int]]:
    """Return the places of images and objects that can be used: without an error of their own, or of what they name."""
    errors = [fault for fault in faults if fault.split == split and CODES[fault.code].severity == "error"]
    bad = {table: {fault.place for fault in errors if fault.table == table} for table in ("images", "annotations")}
    sifted = sift(content, "", split)
    first = find_first(sifted.tables["images"])
    images = set(sifted.image_places.tolist()) - bad["images"]
    rows = sifted.tables["annotations"]
    objects = set(sifted.annotation_places.tolist()) - bad["annotations"]
    return {"images": images, "annotations": {place for place in objects if first[rows[place]["image_id"]] in images}}
