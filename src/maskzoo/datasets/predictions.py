"""Results of a model, as `maskzoo predict --out` and other tools write them, made into the content of a COCO file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.layout import INDEX, RESULTS
from maskzoo.datasets.sifted import is_number
from maskzoo.errors import ArgumentError, SourceError
from maskzoo.system.files import open_regular

__all__ = ["INDEX", "RESULTS", "is_predictions", "read_predictions", "to_annotation"]

LOOKED_AT = 1 << 20  # bytes of a file that say whether it has results


def is_predictions(source: Path) -> bool:
    """Say whether a folder is one of `maskzoo predict --out`, or a file a list of COCO result rows."""
    if source.is_dir():
        return (source / RESULTS).is_file() and (source / INDEX).is_file()
    if source.suffix.lower() != ".json" or not source.is_file():
        return False
    with open_regular(source) as stream:
        head = stream.read(LOOKED_AT)
    return head.lstrip().startswith(b"[") and all(key in head for key in (b'"image_id"', b'"category_id"', b'"score"'))


def read_predictions(source: Path, data: Path | None, least: float) -> tuple[dict[str, Any], int]:
    """Return results as the content of a COCO file, rows with their `score`, and how many were below the `least` one.

    The ids of a folder's rows are those of the images.json in it, and so are those of a file that lies beside one. Of
    other results `data` has them, the COCO file that was predicted. Boxes and areas are left at 0: the outlines say more.

    Raises:
        ArgumentError: `data` is given although an images.json has the ids.
        SourceError: nothing has the ids, or a row is no result with an outline and a score.
        AnnotationsError: a file is no JSON.
    """
    results, index = (source / RESULTS, source / INDEX) if source.is_dir() else (source, source.with_name(INDEX))
    if data is not None and index.is_file():
        raise ArgumentError(f"{index} says what the ids of {results} mean; leave out --data, or move one of the two away")
    if data is None and not index.is_file():
        raise SourceError(f"{results}: nothing says what its ids mean; give the COCO file that was predicted: --data FILE")
    content, rows = read_json(data or index), read_json(results)
    if not isinstance(content, Mapping) or not isinstance(rows, list):
        raise SourceError(f"{results}: expected a list of COCO result rows, and in {data or index} a COCO instances file")
    found = [_read_row(place, row, results) for place, row in enumerate(rows)]
    kept = [row for row in found if row["score"] >= least]
    return {**content, "annotations": kept}, len(found) - len(kept)


def _read_row(place: int, row: Any, results: Path) -> dict[str, Any]:
    if not isinstance(row, dict) or not is_number(row.get("score")):
        raise SourceError(f"{results}: row {place} is {row!r:.80}; expected an object with image_id, category_id and score")
    if "segmentation" not in row:
        raise SourceError(f"{results}: row {place} has no segmentation; expected outlines: results with boxes alone have none")
    return to_annotation(place, row)


def to_annotation(place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result row at a `place` as a row of a COCO file's annotations, with its score; box and area are 0."""
    kept = {key: row.get(key) for key in ("image_id", "category_id", "segmentation", "score")}
    return {"id": place + 1, "bbox": [0, 0, 0, 0], "area": 0, "iscrowd": 0} | kept
