"""A check's report as one HTML page that needs nothing else: a summary, and pictures of the worst problems.

Names and values in a data set are untrusted: control characters are made visible here, the frame escapes all text.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from maskzoo.dataset_checks.check import DatasetReport
from maskzoo.dataset_checks.problems import KINDS, SEVERITIES, Problem, choose_worst, make_printable
from maskzoo.dataset_checks.sound_rows import Rows
from maskzoo.datasets.coco_reader import is_number
from maskzoo.datasets.mask_outlines import decode_runs, trace
from maskzoo.datasets.rle import compress, find_bad_runs, measure_runs
from maskzoo.errors import MaskzooError
from maskzoo.html import page_frame
from maskzoo.images.read import MAX_PIXELS, read_image

__all__ = ["MARK", "render_page"]

MARK = '<meta name="generator" content="maskzoo data check">'  # stands in every page: only such a file is overwritten
SHOWN, EACH = 40, 6  # problems with a picture, and of one kind
SIDE = 420  # pixels of a picture's longer side
MOST_POINTS = 4000  # of an outline that is drawn
Row = dict[str, Any]


def render_page(report: DatasetReport) -> str:
    """Return the page's text."""
    worst = choose_worst((p for p in report.problems if p.severity != "notice"), SHOWN, EACH)
    first = {problem.kind: problem for problem in reversed(report.problems)}
    severities = Counter(problem.severity for problem in report.problems)
    pictures = _Pictures(report)
    return page_frame.render_page(
        "dataset_checks/check.html",
        title=_describe(severities),
        errors=severities["error"],
        total=len(report.problems),
        each=EACH,
        splits=[
            _clean(
                {
                    "name": name,
                    "file": str(facts.file),
                    "folder": None if facts.folder is None else str(facts.folder),
                    **{key: getattr(facts, key) for key in ("images", "objects", "categories")},
                }
            )
            for name, facts in report.splits.items()
        ],
        kinds=[
            _clean(
                {
                    "severity": KINDS[kind].severity,
                    "title": KINDS[kind].title,
                    "advice": KINDS[kind].advice,
                    "count": count,
                    "first": _place(first[kind]),
                }
            )
            for kind, count in report.count().items()
        ],
        cards=[
            {
                "severity": KINDS[problem.kind].severity,
                "title": KINDS[problem.kind].title,
                "facts": [(name, make_printable(value)) for name, value in _list_facts(problem)],
                "views": list(pictures.draw(problem)),
            }
            for problem in worst
        ],
    )


def _describe(severities: Counter[Any]) -> str:
    parts = [f"{severities[name]:,} {name}{'' if severities[name] == 1 else 's'}" for name in SEVERITIES if severities[name]]
    return ", ".join(parts) if parts else "Nothing to complain about"


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    return {name: make_printable(value) if isinstance(value, str) else value for name, value in values.items()}


def _place(problem: Problem) -> str:
    return ", ".join(part for part in (problem.split, problem.row, problem.field) if part)


def _list_facts(problem: Problem) -> list[tuple[str, str]]:
    advice = KINDS[problem.kind].advice
    return [("where", _place(problem)), ("found", problem.found), ("expected", problem.expected), ("to do", advice)]


class _Pictures:
    """Draws a problem's object over its image, with what can be drawn of it."""

    def __init__(self, report: DatasetReport) -> None:
        self.report = report
        self.rows = {split: Rows(facts.content) for split, facts in report.splits.items()}

    def draw(self, problem: Problem) -> Iterator[dict[str, Any]]:
        """Yield a view of each image that a problem is about and that can be read."""
        pairs = [(problem.split, problem.image_id), *([problem.like] if problem.like else [])]
        for place, (split, number) in enumerate(pairs):
            row = None
            if place == 0 and problem.table == "annotations" and split in self.rows:
                row = self.rows[split].tables["annotations"][problem.place]
            view = self._draw_image(split, number, row if isinstance(row, dict) else {})
            if view is not None:
                yield view

    def _draw_image(self, split: str, number: int | None, row: Row) -> dict[str, Any] | None:
        facts = self.report.splits.get(split)
        if facts is None or facts.folder is None or number is None:
            return None
        rows = self.rows[split]
        name = rows.value("images", rows.places["images"].get(number, -1), "file_name")
        try:
            pixels = read_image(facts.folder / name) if isinstance(name, str) and name else None
        except (MaskzooError, UnicodeError):
            return None
        if pixels is None:
            return None
        height, width = pixels.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=80)
        view = {"name": make_printable(str(name)), "jpeg": stream.getvalue(), "width": width, "height": height}
        return view | _outline_object(row, width, height)


def _outline_object(row: Row, width: int, height: int) -> dict[str, Any]:
    """Return the object's outline and box in SVG's numbers, and the view: the image, and what of the box is near it."""
    polygons = [" ".join(f"{value:.2f}" for value in points) for points in _read_polygons(row.get("segmentation"))]
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    bbox, rectangle = row.get("bbox"), None
    if isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox)):
        x1, y1, x2, y2 = bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]
        (x1, x2), (y1, y2) = sorted((x1, x2)), sorted((y1, y2))
        left, top = min(left, max(x1, -width / 2)), min(top, max(y1, -height / 2))
        right, bottom = max(right, min(x2, 1.5 * width)), max(bottom, min(y2, 1.5 * height))
        rectangle = [f"{value:.2f}" for value in (x1, y1, x2 - x1, y2 - y1)]
    box = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
    return {"polygons": polygons, "rectangle": rectangle, "box": box}


def _read_polygons(outline: Any) -> list[Sequence[float]]:
    """Return what can be drawn of an outline, each as x y x y ..."""
    if isinstance(outline, dict):
        return [polygon.tolist() for polygon in _trace_runs(outline) if polygon.size <= MOST_POINTS]
    polygons = outline if isinstance(outline, list) else []
    return [
        polygon[: len(polygon) // 2 * 2]
        for polygon in polygons
        if isinstance(polygon, list) and 4 <= len(polygon) <= MOST_POINTS and all(map(is_number, polygon))
    ]


def _trace_runs(runs: Row) -> list[Any]:
    size, counts = runs.get("size"), runs.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        return []
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        return []
    if isinstance(counts, list) and counts and find_bad_runs(counts, pixels) is None:
        text = compress(counts)
    elif isinstance(counts, str) and counts.isascii() and measure_runs([counts.encode("ascii")], [pixels])[1][0]:
        text = counts.encode("ascii")
    else:
        return []
    return trace(decode_runs(text, (size[0], size[1])))
