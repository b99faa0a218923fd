"""Whether the rows of a result file lie on the images that their ids say: from where the boxes are, without the pictures.

Ids say nothing about themselves. Rows that were numbered by another tool, or belong to another data set, score near
nothing and look like a poor model. What tells them apart is that they fit other images better than their own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet, find_trainable
from maskzoo.datasets.classes import ClassMatch
from maskzoo.evaluation.numbering import Numbering
from maskzoo.inference.outputs import INDEX

if TYPE_CHECKING:
    from maskzoo.evaluation.results import Results

__all__ = ["Judgement", "Provenance", "judge_results", "tell_provenance"]

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
IMAGES = 200  # whose rows are compared with their own objects
SEARCHED = 60  # where that does not fit, whose rows are compared with the objects of all images
MEETS, FITS = 0.5, 0.75  # IoU
ROWS = 30  # of an image, by score
MANY_OUTSIDE = 0.1
CERTAIN, LIKELY = 4.0, 2.0  # standard deviations of a fair coin
FEW = 16  # images, below which chance decides nothing


@dataclass(frozen=True, slots=True)
class Judgement:
    """How results lie on the objects of the images that their ids say.

    Of `judged` images that have both (at most 200, evenly spread), in `meeting` one of the best rows, as many as there
    are objects, meets an object at IoU 0.5, in `agreeing` one of the same class, and in `by_chance` one of the next
    image. `outside` counts the `rows` whose boxes lie by more than half outside of their image. Of the images where none
    is met (at most 60), `elsewhere` counts those whose rows fit another image of the data set better than they fit a
    mirrored one, and `nowhere` the opposite.
    """

    rows: int
    judged: int
    meeting: int
    agreeing: int
    by_chance: int
    outside: int
    elsewhere: int
    nowhere: int

    @property
    def exchanged(self) -> str | None:
        """Say that rows fit other images better than chance can do, or None.

        They fit them tightly, in class and at least half of their objects, more often than mirrored ones by four standard
        deviations of a fair coin: 1 in 30,000, and possible from 16 images on. Rows of a model that finds nothing fit
        both alike. Of rows made from the annotations of 133 images of val2017, with exchanged ids, 22 of 22 were decided so.
        """
        decided = self.elsewhere + self.nowhere
        if decided and self.elsewhere - self.nowhere >= CERTAIN * decided**0.5:
            return f"rows of {self.elsewhere} of {decided} images looked at fit another image of the data set"
        return None

    @property
    def nonsense(self) -> str | None:
        """Say what cannot be with right ids, or None.

        One box in ten by more than half outside (of 20 rows and more): detectors cut boxes off at the border, or leave
        those of cut-off objects a little outside, and the centre of such a box is rarely beyond it. Or: rows fit other
        images, and no object of their own is met in more than half of the images.
        """
        if self.rows >= 20 and self.outside > MANY_OUTSIDE * self.rows:
            return f"{self.outside} of {self.rows} boxes that lie by more than half outside of their image"
        if self.exchanged and 2 * self.meeting < self.judged:
            return f"{self.exchanged}, {self}"
        return None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Say what is unlikely with right ids, but may be a poor model or poor annotations.

        No object is met in more than half of the images: those rows, with right ids and a box AP of 0.26, met one in 115
        of 132.
        Or, of 16 images and more, not clearly more are met than by chance, by two standard deviations: where every image
        has one object in its middle, rows of any image meet half of them. Or the classes agree in less than half of the
        images where the places do. Or rows fit other images. Or any box lies outside by half.
        """
        doubts = [self.exchanged] if self.exchanged else []
        usual = self.meeting - self.by_chance < LIKELY * (self.meeting + self.by_chance) ** 0.5
        if 2 * self.meeting < self.judged or (self.judged >= FEW and usual):
            doubts.append("the ids may be those of other images, or the model finds little")
        elif 2 * self.agreeing < self.meeting:
            doubts.append(f"the class agrees in {self.agreeing} of these: category ids may be numbered otherwise")
        if self.outside:
            doubts.append(f"{self.outside} of {self.rows} boxes lie by more than half outside of their image")
        return tuple(doubts)

    def __str__(self) -> str:
        return f"in {self.meeting} of {self.judged} images the best detections meet an object"


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the rows of a file were matched with the images: by `index`, a file that names them, or by id if it is None.

    `judgement` says how they lie on the objects, `doubts` all in words that is unlikely if the match is right. `match`
    says how the classes of the index are the data set's.
    """

    index: str | None
    judgement: Judgement
    doubts: tuple[str, ...]
    match: ClassMatch | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        return (
            {"matched_by": "name" if self.index else "id", "index": self.index}
            | asdict(self.judgement)
            | {"doubts": list(self.doubts)}
        )

    def __str__(self) -> str:
        by = f"by name, as {self.index} says" if self.index else f"by id alone, there is no {INDEX} beside the file"
        return "; ".join([f"rows were matched with images {by}: {self.judgement}", *self.doubts])


def tell_provenance(annotations: AnnotationSet, results: Results, numbering: Numbering, keep: Bools | None) -> Provenance:
    """Judge results that were matched by `numbering`; of the images in `keep`, or all, say which were not predicted."""
    judgement = judge_results(annotations, results)
    there = np.bincount(annotations.image_index[find_trainable(annotations)], minlength=len(annotations)) > 0
    if keep is not None:
        there &= keep
    lacking = ~numbering.named if numbering.named is not None else np.bincount(results.images, minlength=len(there)) == 0
    gaps, total = int((there & lacking).sum()), int(there.sum())
    doubts = [*numbering.notes, *judgement.doubts]
    if 2 * gaps > total or (gaps and numbering.named is not None):  # by id alone, no row may as well mean nothing found
        doubts.append(f"{gaps} of {total} images with objects are not among the results and count as without detections")
    index = None if numbering.named is None else numbering.source
    return Provenance(index, judgement, tuple(doubts), numbering.match)


def judge_results(annotations: AnnotationSet, results: Results) -> Judgement:
    """Compare rows with the annotated objects of their images; results without boxes by the boxes of their masks."""
    objects = np.flatnonzero(find_trainable(annotations))
    owner = annotations.image_index[objects].astype(np.int64)
    counts = np.bincount(owner, minlength=len(annotations))
    plain, kinds = annotations.bbox[objects], annotations.labels[objects]
    found = _choose_rows(annotations, results, counts)
    agreeing, by_chance, unmet = 0, 0, []
    for place, (image, boxes, labels) in enumerate(found):
        own, other = (_find_objects(owner, found[near % len(found)][0]) for near in (place, place + 1))
        met = _overlap(boxes[: len(own)], plain[own]) >= MEETS
        unmet += [] if met.any() else [(image, boxes, labels)]
        agreeing += bool((met & (labels[: len(own), None] == kinds[own])).any())
        by_chance += bool((_overlap(boxes[: len(other)], plain[other]) >= MEETS).any())
    wins = [0, 0]
    mirrored = plain.copy()  # as usual as before, but no longer where the rows were made from: what fits, fits by chance
    mirrored[:, 0] = annotations.sizes[owner][:, 1] - plain[:, 0] - plain[:, 2]
    for image, boxes, labels in (unmet[place] for place in _spread(np.arange(len(unmet)), SEARCHED)):
        counted = labels[:, None] == kinds
        counted &= np.arange(len(boxes))[:, None] < counts[owner]
        right, wrong = (_search(_overlap(boxes, there) >= FITS, counted, owner, counts, image) for there in (plain, mirrored))
        wins = [wins[0] + (right > wrong), wins[1] + (right < wrong)]
    outside = _count_outside(annotations, results)
    return Judgement(len(results), len(found), len(found) - len(unmet), agreeing, by_chance, outside, *wins)


def _find_objects(owner: Integers, image: int) -> Integers:
    first, end = np.searchsorted(owner, [image, image + 1])
    return np.arange(first, end)


def _choose_rows(
    annotations: AnnotationSet, results: Results, counts: Integers
) -> list[tuple[int, NDArray[np.float64], Integers]]:
    """Return place, boxes and labels of the best rows of some images that have rows and objects, by falling score."""
    images = results.images
    order = np.lexsort((-results.scores, images))
    first = np.searchsorted(images[order], np.arange(len(annotations) + 1))
    chosen = _spread(np.flatnonzero((np.diff(first) > 0) & (counts > 0)), IMAGES).tolist()
    rows = [order[first[image] : first[image + 1]][:ROWS] for image in chosen]
    if not rows:
        return []
    best = results.take(np.concatenate(rows))
    ends = np.cumsum([len(some) for some in rows])[:-1]
    return list(zip(chosen, np.split(best.bound(annotations), ends), np.split(best.labels, ends), strict=True))


def _search(fits: Bools, counted: Bools, owner: Integers, counts: Integers, image: int) -> int:
    """Return how many objects of one image the rows of another `image` fit at most, where that is half of its objects.

    `fits` bool `[R N]`: row and object, `counted`: of the same class, and the row among the n best for the n objects
    of that image.
    """
    found = np.bincount(owner[(fits & counted).any(axis=0)], minlength=len(counts))
    found[image] = 0
    return int(found[2 * found >= counts].max(initial=0))


def _count_outside(annotations: AnnotationSet, results: Results) -> int:
    if not results.has_boxes:
        return 0  # a mask cannot leave its image
    boxes, limit = results.boxes, annotations.sizes[results.images][:, ::-1]
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], limit)
    inside = (end - np.maximum(boxes[:, :2], 0)).clip(min=0).prod(axis=1)
    return int((2 * inside < boxes[:, 2:].prod(axis=1)).sum())


def _overlap(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(hotcoco.mask.bbox_iou(boxes, others, [False] * len(others)))


def _spread(places: Integers, count: int) -> Integers:
    """Return `count` of the places, evenly spread, or all if there are fewer."""
    return places[np.arange(count) * len(places) // count] if len(places) > count else places
