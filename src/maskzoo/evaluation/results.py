"""Detections as COCO result rows, kept in columns: from predictions as they come, from a file, and to one."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.rle import measure_runs, read_runs
from maskzoo.datasets.sifted import LARGEST_NUMBER, is_number
from maskzoo.errors import AnnotationsError
from maskzoo.evaluation.judgement import Provenance, tell_provenance
from maskzoo.evaluation.numbering import Numbering, number_by_ids, number_by_names
from maskzoo.evaluation.sound_rows import SoundRows, read_sound_rows
from maskzoo.faults import Fault, Words
from maskzoo.inference.outputs import INDEX
from maskzoo.inference.prediction import Prediction, check_size

__all__ = ["Results", "check_results", "join_results", "read_results"]

Integers = NDArray[np.int64]
BOX = "x, y, width and height, finite, the last two not below 0"


class Results:
    """Detections on a data set, K rows in the order they came: tens of bytes each, and the mask's run lengths.

    `images` (place in the data set) and `labels` (the data set's) int64 `[K]`, `scores` float64 `[K]`; `boxes` float64
    `[K 4]`, x y width height; `runs`, compressed run lengths, and their `areas` in pixels, int64 `[K]`. `has_boxes` and
    `has_masks` say which of the two the rows have. `provenance` says how a file's rows were matched with the images; `left_out`
    counts detections of classes that the data set does not have.
    """

    def __init__(self, *, has_boxes: bool = True, has_masks: bool = True) -> None:
        self.has_boxes, self.has_masks = has_boxes, has_masks
        self.provenance: Provenance | None = None
        self.left_out, self.runs = 0, list[bytes]()
        self._images, self._labels, self._areas = array("q"), array("q"), array("q")
        self._scores, self._boxes = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._images)

    @property
    def images(self) -> Integers:
        return np.array(self._images, dtype=np.int64)

    @property
    def labels(self) -> Integers:
        return np.array(self._labels, dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float64]:
        return np.array(self._scores, dtype=np.float64)

    @property
    def boxes(self) -> NDArray[np.float64]:
        return np.array(self._boxes, dtype=np.float64).reshape(-1, 4)

    @property
    def areas(self) -> Integers:
        return np.array(self._areas, dtype=np.int64)

    def add_prediction(self, image: int, prediction: Prediction, size: tuple[int, int], labels: Integers) -> None:
        """Add what was found on image `image`, of height and width `size` in the data set.

        `labels` has the data set's label of each of the model's, or -1: such detections are only counted. The masks are
        encoded here, so that the prediction can go. Raises MaskzooError if the photo has another size than said.
        """
        check_size(prediction.size, size)
        known = labels[prediction.labels] >= 0
        self.left_out += int((~known).sum())
        prediction = prediction if known.all() else prediction[known]
        corners = prediction.boxes.astype(np.float64)
        self.add(
            image=image,
            labels=labels[prediction.labels],
            scores=prediction.scores.astype(np.float64),
            boxes=np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1),
            runs=[row["counts"].encode("ascii") for row in prediction.masks.rle()],
            areas=prediction.masks.area(),
        )

    def add(
        self,
        image: int,
        labels: Integers,
        scores: NDArray[np.float64],
        boxes: NDArray[np.float64],
        runs: Sequence[bytes],
        areas: Integers,
    ) -> None:
        """Add rows of one image, checked already; what these results do not have is given empty."""
        self._images.extend([image] * len(labels))
        self._labels.extend(labels.tolist())
        self._scores.extend(scores.tolist())
        self._boxes.extend(boxes.ravel().tolist())
        self._areas.extend(areas.tolist())
        self.runs.extend(runs)

    def fill(self, rows: SoundRows) -> None:
        """Take the rows of a file for all there are."""
        self._images, self._labels = array("q", rows.images.tobytes()), array("q", rows.labels.tobytes())
        self._scores = array("d", rows.scores.tobytes())
        if rows.boxes is not None:
            self._boxes = array("d", rows.boxes.tobytes())
        if rows.runs is not None:
            self.runs, self._areas = rows.runs, array("q", rows.areas.tobytes())

    def bound(self, annotations: AnnotationSet) -> NDArray[np.float64]:
        """Return the boxes, float64 `[K 4]`, x y width height; of rows without them those of their masks."""
        if self.has_boxes:
            return self.boxes
        sizes = annotations.sizes.tolist()
        masks = zip(self._images, self.runs, strict=True)
        found = [hotcoco.mask.to_bbox({"size": sizes[image], "counts": runs}) for image, runs in masks]
        return np.array(found, dtype=np.float64).reshape(-1, 4)

    def take_images(self, keep: NDArray[np.bool_]) -> Results:
        """Return the rows of the images in `keep`, bool `[I]`; these are numbered anew, in order."""
        some = self.take(np.flatnonzero(keep[self.images]))
        some._images = array("q", (np.cumsum(keep) - 1)[some.images].tobytes())
        return some

    def take(self, rows: Integers) -> Results:
        """Return some rows, in that order."""
        some = Results(has_boxes=self.has_boxes, has_masks=self.has_masks)
        some.provenance, some.left_out = self.provenance, self.left_out
        some._images, some._labels = (array("q", column[rows].tobytes()) for column in (self.images, self.labels))
        some._scores = array("d", self.scores[rows].tobytes())
        if self.has_boxes:
            some._boxes = array("d", self.boxes[rows].tobytes())
        if self.has_masks:
            some._areas = array("q", self.areas[rows].tobytes())
            some.runs = [self.runs[row] for row in rows.tolist()]
        return some

    def relabel(self, labels: Integers) -> Results:
        """Return the rows with other labels: `labels` `[C]` has the new one of each; those of -1 are only counted."""
        some = self.take(np.flatnonzero(labels[self.labels] >= 0))
        some.left_out += len(self) - len(some)
        some._labels = array("q", labels[some.labels].astype(np.int64).tobytes())
        return some

    def to_json(self, annotations: AnnotationSet) -> bytes:
        """Return the rows as a COCO result file, with the data set's image and category ids."""
        return b"[" + b",\n".join(json.dumps(row).encode("ascii") for row in self.to_rows(annotations)) + b"]\n"

    def to_rows(self, annotations: AnnotationSet) -> Iterator[dict[str, Any]]:
        """Yield each row as COCO's JSON has it."""
        sizes, image_ids, class_ids = annotations.sizes.tolist(), annotations.image_ids.tolist(), annotations.classes.ids
        for row, (image, label, score) in enumerate(zip(self._images, self._labels, self._scores, strict=True)):
            line: dict[str, Any] = {"image_id": image_ids[image], "category_id": class_ids[label]}
            if self.has_boxes:
                line["bbox"] = self._boxes[4 * row : 4 * row + 4].tolist()
            line["score"] = score
            if self.has_masks:
                line["segmentation"] = {"size": sizes[image], "counts": self.runs[row].decode("ascii")}
            yield line


def join_results(parts: Sequence[Results]) -> Results:
    """Return the rows of several results of the same kind by image; an image's rows keep their order."""
    whole = Results(has_boxes=parts[0].has_boxes, has_masks=parts[0].has_masks)
    for part in parts:
        whole.runs += part.runs
        whole.left_out += part.left_out
        for name in ("_images", "_labels", "_areas", "_scores", "_boxes"):
            getattr(whole, name).extend(getattr(part, name))
    return whole.take(np.argsort(whole.images, kind="stable"))


def read_results(path: str | Path, annotations: AnnotationSet, keep: NDArray[np.bool_] | None = None) -> Results:
    """Read a COCO result file, match its rows with the images of the data set, and check every row against it.

    Beside results of `maskzoo predict` lies an images.json, which names their images and classes: they are matched by
    these names, by `number_by_names`. Without it the ids have to be the data set's. Either way `judge_results` looks at
    where the boxes lie, and `provenance` of what is returned says what it found.

    Args:
        path: rows with a bbox, a segmentation (run lengths) or both, all of them alike.
        annotations: the data set.
        keep: bool `[I]`, the images whose rows are returned, numbered anew in order, as by `take_images`; all if None.

    Raises AnnotationsError with every fault of the rows or the index, or if the rows cannot belong to these images, and
    ConfigError if the index names other classes than the data set.
    """
    index = Path(path).with_name(INDEX)
    numbering = number_by_names(index, annotations) if index.exists() else number_by_ids(annotations)
    rows = read_sound_rows(Path(path), annotations, numbering)
    if rows is None:
        results = check_results(read_json(path), annotations, str(path), numbering)
    else:
        results = Results(has_boxes=rows.boxes is not None, has_masks=rows.runs is not None)
        results.fill(rows)
    results.provenance = tell_provenance(annotations, results, numbering, keep)
    if (nonsense := results.provenance.judgement.nonsense) is not None:
        expected = Words("rows of the images that {} means by their ids", Words(numbering.source))
        fault = Fault("unknown-image", str(path), "image_id", Words(nonsense), expected)
        raise AnnotationsError([fault], _advise(annotations))
    return results if keep is None else results.take_images(keep)


def check_results(rows: Any, annotations: AnnotationSet, source: str, numbering: Numbering | None = None) -> Results:
    """Check the content of a result file against the data set; `source` names it in faults. Raises AnnotationsError.

    Ids mean what `numbering` says; without it they are the data set's.
    """
    numbering = number_by_ids(annotations) if numbering is None else numbering
    reader = _Reader(source, annotations, numbering)
    results = reader.read(rows)
    if reader.faults:
        foreign = any(fault.field in ("image_id", "category_id", "segmentation.size") for fault in reader.faults)
        raise AnnotationsError(reader.faults, _advise(annotations) if foreign else "")
    if min(numbering.labels.values(), default=0) < 0:
        results = results.relabel(np.append(np.arange(len(annotations.classes)), -1))  # the label -1 is the last of these
    return results


def _advise(annotations: AnnotationSet) -> str:
    return (
        f"are these results of another data set, or numbered by another tool? Keep the {INDEX} of `maskzoo predict` beside "
        f"its results, or have the ids of the data set written: `maskzoo predict MODEL {annotations.source} --score 0`"
    )


class _Reader:
    """Checks rows one by one and notes faults; the run lengths of all rows are checked together at the end."""

    def __init__(self, source: str, annotations: AnnotationSet, numbering: Numbering) -> None:
        self.source, self.annotations, self.known = source, annotations, Words(numbering.source)
        self.faults: list[Fault] = []
        self.place, self.label = numbering.images, numbering.labels
        self.sizes: list[list[int]] = annotations.sizes.tolist()

    def _add(self, code: str, row: int | None, field: str, found: Any, expected: str | Words) -> None:
        table = "" if row is None else "results"
        self.faults.append(Fault(code, self.source, field, found, expected, table, row, row))

    def read(self, rows: Any) -> Results:
        if not isinstance(rows, list):
            self._add("unreadable-file", None, "file", rows, "a list of COCO result rows")
            return Results()
        first = rows[0] if rows and isinstance(rows[0], dict) else {}
        has_boxes, has_masks = "bbox" in first, "segmentation" in first
        if rows and not (has_boxes or has_masks):
            self._add("bad-row", 0, "row", rows[0], "an object with a bbox, a segmentation or both")
            return Results()
        results = Results(has_boxes=has_boxes or not rows, has_masks=has_masks or not rows)
        numbers = [number for number, row in enumerate(rows) if self._read_row(number, row, results)]
        self._check_numbers(results, numbers)
        return results

    def _check_numbers(self, results: Results, numbers: list[int]) -> None:
        """Check all that was read at once; `numbers` are the rows' places in the file."""
        for place in np.flatnonzero(~(np.abs(results.scores) < LARGEST_NUMBER)).tolist():
            self._add("bad-score", numbers[place], "score", results._scores[place], "a finite number")
        if results.has_boxes:
            boxes = results.boxes
            near = (np.abs(boxes) < LARGEST_NUMBER).all(axis=1)
            for place in np.flatnonzero(~(near & (boxes[:, 2:] >= 0).all(axis=1))).tolist():
                self._add("bad-box", numbers[place], "bbox", boxes[place].tolist(), BOX)
        if results.has_masks:
            pixels = self.annotations.sizes.astype(np.int64).prod(axis=1)[results.images]
            areas, sound = measure_runs(results.runs, pixels)
            for place in np.flatnonzero(~sound).tolist():
                text, expected = results.runs[place].decode("ascii"), f"compressed run lengths that sum to {pixels[place]}"
                self._add("bad-runs", numbers[place], "segmentation.counts", text, expected)
            results._areas.extend(areas.tolist())

    def _read_row(self, number: int, row: Any, results: Results) -> bool:
        """Add one row; whether there was no fault. Numbers are looked at later, all at once: here only their types."""
        before = len(self.faults)
        if not isinstance(row, dict):
            self._add("bad-row", number, "row", row, "an object")
            return False
        if ("bbox" in row) is not results.has_boxes or ("segmentation" in row) is not results.has_masks:
            self._add("bad-row", number, "row", Words("other fields than in row 0"), "bbox and segmentation as in row 0")
            return False
        image, category, score, bbox = row.get("image_id"), row.get("category_id"), row.get("score"), row.get("bbox")
        if type(image) is not int or image not in self.place:
            self._add("unknown-image", number, "image_id", image, Words("the id of an image of {}", self.known))
        if type(category) is not int or category not in self.label:
            self._add("unknown-category", number, "category_id", category, Words("the id of a category of {}", self.known))
        if type(score) is not float and not is_number(score):
            self._add("bad-score", number, "score", score, "a finite number")
        if results.has_boxes and not (type(bbox) is list and len(bbox) == 4 and _are_numbers(bbox)):
            self._add("bad-box", number, "bbox", bbox, BOX)
        if len(self.faults) > before:
            return False
        place = self.place[image]  # type: ignore[index]
        if results.has_masks:
            runs = read_runs(row["segmentation"], self.sizes[place])
            if not isinstance(runs, bytes):
                self._add("bad-runs", number, *runs)
                return False
            results.runs.append(runs)
        results._images.append(place)
        results._labels.append(self.label[category])  # type: ignore[index]
        results._scores.append(score)  # type: ignore[arg-type]
        if results.has_boxes:
            results._boxes.extend(bbox)  # type: ignore[arg-type]
        return True


def _are_numbers(values: list[Any]) -> bool:
    return set(map(type, values)) == {float} or all(map(is_number, values))
