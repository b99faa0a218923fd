"""A check's report as one HTML page that needs nothing else: a summary, and pictures of the worst problems.

Names and values in a data set are untrusted: control characters are made visible here, the frame escapes all text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from maskzoo.dataset_checks.codes import CODES, choose_worst
from maskzoo.dataset_checks.judgement import LOOKS
from maskzoo.dataset_checks.report import DatasetReport
from maskzoo.dataset_checks.split_checks import Contents
from maskzoo.datasets.coco_reader import find_first
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import decode_runs, measure_runs, read_runs
from maskzoo.datasets.sifted import is_number
from maskzoo.errors import MaskzooError, count_words
from maskzoo.faults import Fault, make_printable
from maskzoo.html import page_frame
from maskzoo.images.read import MAX_PIXELS, read_image

__all__ = ["MARK", "render_page"]

MARK = '<meta name="generator" content="maskzoo data check">'  # stands in every page: only such a file is overwritten
SHOWN, EACH = 40, 6  # problems with a picture, and of one kind
SIDE = 420  # pixels of a picture's longer side
MOST_POINTS = 4000  # of an outline that is drawn
Row = dict[str, Any]


def render_page(report: DatasetReport, contents: Contents) -> str:
    """Return the page's text; `contents` is what each split's file holds."""
    severities = report.count_severities()
    worst = choose_worst((fault for fault in report.list_unexplained() if CODES[fault.code].severity != "notice"), SHOWN, EACH)
    pictures = _Pictures(report, contents)
    return page_frame.render_page(
        "dataset_checks/check.html",
        title=", ".join(count_words(number, name) for name, number in severities.items()) or "Nothing to complain about",
        report=report,
        codes=CODES,
        looks=LOOKS,
        judged=[(one, [view for fault in one.examples for view in pictures.draw(fault)]) for one in report.judgements],
        first={fault.code: fault for fault in reversed(report.problems)},
        cards=[(fault, list(pictures.draw(fault))) for fault in worst],
        each=EACH,
        place=lambda fault: ", ".join(filter(None, (fault.split, fault.name_row(), fault.name_field()))),
        printable=make_printable,
    )


class _Pictures:
    """Draws a fault's object over its image, with what can be drawn of it."""

    def __init__(self, report: DatasetReport, contents: Contents) -> None:
        self.report, self.contents = report, contents
        self.first = {
            split: find_first(content["images"]) if isinstance(content.get("images"), list) else {}
            for split, content in contents.items()
        }

    def draw(self, fault: Fault) -> Iterator[dict[str, Any]]:
        """Yield a view of each image that a fault is about and that can be read."""
        row = self.contents[fault.split]["annotations"][fault.place] if fault.table == "annotations" else {}
        pairs = [(fault.split, fault.image, row), *([(*fault.like, {})] if fault.like else [])]
        for split, number, one in pairs:
            view = self._draw_image(split, number, one if isinstance(one, dict) else {})
            if view is not None:
                yield view

    def _draw_image(self, split: str, number: int | None, row: Row) -> dict[str, Any] | None:
        facts = self.report.splits.get(split)
        if facts is None or facts.places is None or number is None or number not in self.first[split]:
            return None
        name = self.contents[split]["images"][self.first[split][number]].get("file_name")
        try:
            path = facts.places.path(name) if isinstance(name, str) and name else None
            pixels = None if path is None else read_image(path)
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
    size = runs.get("size")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        return []
    pixels = size[0] * size[1]
    text = read_runs(runs, size) if pixels <= MAX_PIXELS else None
    return trace(decode_runs(text, size)) if isinstance(text, bytes) and measure_runs([text], [pixels])[1][0] else []
