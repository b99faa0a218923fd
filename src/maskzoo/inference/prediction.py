"""What a prediction is for its user: numpy arrays in pixels of the original photo, COCO rows, a picture.

Masks stay small probability maps until someone asks; what they become is run lengths or crops, not full images.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maskzoo.config import PasteRule
from maskzoo.datasets.polygons import Polygon, find_polygons
from maskzoo.datasets.rle import compress
from maskzoo.drawing.colours import pick_color
from maskzoo.drawing.fonts import explain_unwritten
from maskzoo.drawing.objects import draw_objects
from maskzoo.errors import ArgumentError, ConfigError, ImageError, MaskzooError
from maskzoo.images.read import read_image
from maskzoo.inference.showing import show_picture, shrink_for_notebook
from maskzoo.integrations.supervision import to_detections
from maskzoo.ops.masks import find_runs, to_counts, to_crop, to_whole_pixels

__all__ = ["Index", "Masks", "Prediction", "check_size", "choose_places", "draw_prediction", "make_prediction", "to_coco_row"]

Index = int | slice | Sequence[int] | Sequence[bool] | NDArray[np.integer[Any]] | NDArray[np.bool_]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Masks:
    """The masks of N objects on one photo: `probabilities` float32 `[N M M]` inside their `boxes` float32 `[N 4]`.

    `size` is the photo's height, width. A pixel belongs to the object where the sampled map reaches the `threshold`.
    Raises ConfigError if the threshold is not above 0 and at most 1: at 0 every pixel of the photo would belong.
    """

    def __init__(self, probabilities: Floats, boxes: Floats, size: tuple[int, int], threshold: float = 0.5) -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(
                f"the mask threshold is {threshold}, expected above 0 and at most 1; "
                "set limits.detections.mask_threshold (the published models have 0.5)"
            )
        self.probabilities, self.boxes, self.size, self.threshold = probabilities, boxes, size, threshold
        self._runs: list[Tensor] | None = None
        self._rle: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    def __repr__(self) -> str:
        return f"Masks({len(self)} on {self.size[1]} x {self.size[0]} pixels)"

    def __getitem__(self, index: Index) -> Masks:
        """Return some of the masks; a whole number gives one. What is encoded already is not encoded again."""
        chosen = choose_places(index, len(self))
        some = Masks(self.probabilities[chosen], self.boxes[chosen], self.size, self.threshold)
        some._runs = None if self._runs is None else [self._runs[i] for i in chosen]
        some._rle = None if self._rle is None else [self._rle[i] for i in chosen]
        return some

    def rle(self) -> list[dict[str, Any]]:
        """Return COCO's compressed run lengths, `{"size": [H, W], "counts": text}` each."""
        if self._rle is None:
            texts = (compress(to_counts(runs, self.size)).decode("ascii") for runs in self._find_runs())
            self._rle = [{"size": list(self.size), "counts": text} for text in texts]
        return [{"size": list(row["size"]), "counts": row["counts"]} for row in self._rle]

    def crop(self, index: int) -> tuple[Bools, tuple[int, int]]:
        """Return the smallest bool array `[h w]` that holds mask `index`, and the x, y of its first pixel."""
        mask, offset = to_crop(self._find_runs()[index], self.size)
        return mask.numpy(), offset

    def dense(self) -> Bools:
        """Return all masks as bool `[N H W]`: N times the photo's pixels in bytes."""
        full = np.zeros((len(self), *self.size), dtype=np.bool_)
        for i in range(len(self)):
            mask, (x, y) = self.crop(i)
            full[i, y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        return full

    def area(self) -> Integers:
        """Return how many pixels each mask has, int64 `[N]`."""
        return np.array([int((runs[:, 1] - runs[:, 0]).sum()) for runs in self._find_runs()], dtype=np.int64)

    def runs(self) -> list[Integers]:
        """Return the runs of pixels of each mask, first and end, int64 `[R 2]`; pixel x, y has the number x * H + y."""
        return [runs.numpy() for runs in self._find_runs()]

    def _find_runs(self) -> list[Tensor]:
        if self._runs is None:
            maps = torch.tensor(self.probabilities)
            self._runs = list(find_runs(maps, torch.tensor(self.boxes), self.size, self.threshold))
        return self._runs


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The objects found on one photo.

    `boxes` float32 `[N 4]`: x1 y1 x2 y2 in pixels of the original photo. `scores` float32 `[N]`. `labels` int64 `[N]`,
    0 to C-1; `category_ids` int64 `[N]`, the data set's numbers of them; `names`, one for each object. `size`: height,
    width of the photo. `scale`: the network's size by the photo's, down and across. `source`: the file, if there was
    one. `image`: RGB uint8 `[H W 3]`, the prediction's own, where there is no file to read again for `draw`. Of a video also
    `frame`, its number from 0, `time` in seconds, and where it is tracked, `identities` int64 `[N]`: the same object's number.
    """

    boxes: Floats
    scores: Floats
    labels: Integers
    names: tuple[str, ...]
    category_ids: Integers
    masks: Masks
    size: tuple[int, int]
    scale: tuple[float, float]
    source: str | None = None
    image: NDArray[np.uint8] | None = None
    frame: int | None = None
    time: float | None = None
    identities: Integers | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        found = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names[:5], self.scores[:5], strict=True))
        more = f" and {len(self) - 5} more" if len(self) > 5 else ""
        return f"Prediction({found or 'nothing found'}{more})"

    def __getitem__(self, index: Index) -> Prediction:
        """Return the prediction with some of its objects: a bool or whole-number array, a slice, or one number."""
        chosen = choose_places(index, len(self))
        return replace(
            self,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            names=tuple(self.names[i] for i in chosen),
            category_ids=self.category_ids[chosen],
            masks=self.masks[chosen],
            identities=None if self.identities is None else self.identities[chosen],
        )

    def to_coco(self, image_id: int, *, placeholder: int | None = None) -> list[dict[str, Any]]:
        """Return COCO result rows: image_id, category_id, bbox (x, y, width, height), score and segmentation.

        COCO's `loadRes` reads them for boxes and for masks. If a row has a bbox, it takes the box for the area that
        tells small from large objects: drop `bbox` from the rows where mask AP by size is to be the published one.
        `placeholder`: the category id of label 0, to get PaddleDetection's row where nothing was found.
        """
        # DIFFERS: PaddleDetection always writes a row of score 0 for a photo without detections. AP is the same.
        if len(self) == 0:
            return [] if placeholder is None else [self._make_placeholder(image_id, placeholder)]
        return [to_coco_row(image_id, detection) for detection in self.to_dict()["detections"]]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values that `json.dumps` takes; boxes are x1 y1 x2 y2."""
        fields = zip(
            self.labels.tolist(),
            self.names,
            self.category_ids.tolist(),
            self.scores.tolist(),
            self.boxes.tolist(),
            self.masks.area().tolist(),
            self.masks.rle(),
            strict=True,
        )
        keys = ("label", "name", "category_id", "score", "box", "area", "segmentation")
        rows = [dict(zip(keys, values, strict=True)) for values in fields]
        if self.identities is not None:
            rows = [row | {"identity": identity} for row, identity in zip(rows, self.identities.tolist(), strict=True)]
        moment = {} if self.frame is None else {"frame": self.frame, "time": self.time}
        return {"source": self.source, **moment, "height": self.size[0], "width": self.size[1], "detections": rows}

    def to_polygons(self, tolerance: float = 0.5) -> list[list[Polygon]]:
        """Return each object's outline: the parts of its mask, with their holes, in pixels of the photo.

        Args:
            tolerance: How far, in pixels, a line may leave the smoothed outline; 0 gives exactly the mask's pixel edges. Their
                IoU with the mask is 0.99 at least: where few points do not reach it, there are more.

        Returns:
            A list for each object; an object without a pixel has no part.
        """
        if not tolerance >= 0:
            raise ArgumentError(f"tolerance: found {tolerance}; expected pixels, from 0 on")
        return [find_polygons(*self.masks.crop(i), tolerance) for i in range(len(self))]

    def to_supervision(self) -> Any:
        """Return supervision's `Detections`, with masks and names. Raises MissingPackageError without supervision."""
        return to_detections(self)

    def draw(
        self,
        image: NDArray[np.uint8] | None = None,
        *,
        masks: bool = True,
        boxes: bool = True,
        labels: bool = True,
        scores: bool = True,
        alpha: float = 0.4,
        width: int | None = None,
        font_size: int | None = None,
        font: str | Path | None = None,
    ) -> Image.Image:
        """Draw the objects on the RGB `image` uint8 `[H W 3]`, else on the kept one, else on the file it came from.

        See `draw_objects` for the rest. Warns where no font has the letters of a name. Raises ImageError without a photo, or
        if it is not uint8 of this `size`.
        """
        if labels and (note := explain_unwritten(self.names, font)):
            warnings.warn(note, stacklevel=2)
        return draw_prediction(
            self,
            image,
            masks=masks,
            boxes=boxes,
            labels=labels,
            scores=scores,
            alpha=alpha,
            width=width,
            font_size=font_size,
            font=font,
        )

    def show(self, image: NDArray[np.uint8] | None = None, **options: Any) -> None:
        """Draw the objects, and show the picture: in a notebook below the cell, elsewhere in this machine's own program.

        Takes what `draw` takes. Raises MaskzooError where no program shows pictures.
        """
        show_picture(self.draw(image, **options))

    def _repr_png_(self) -> bytes | None:
        """Return the picture that a notebook shows, its longer side at most 1,024 pixels; None if the photo is gone."""
        try:
            picture = self.draw()
        except ImageError:
            return None  # the notebook then shows the text
        stream = io.BytesIO()
        shrink_for_notebook(picture).save(stream, "PNG")
        return stream.getvalue()

    def _make_placeholder(self, image_id: int, category_id: int) -> dict[str, Any]:
        height, width = self.size
        return {
            "image_id": image_id,
            "category_id": category_id,
            "bbox": [0.0, 0.0, *(float(np.float32(1) / np.float32(factor)) for factor in reversed(self.scale))],
            "score": 0.0,
            "segmentation": {"size": [height, width], "counts": compress([height * width]).decode("ascii")},
        }


def draw_prediction(prediction: Prediction, image: NDArray[np.uint8] | None = None, **options: Any) -> Image.Image:
    """Draw as `Prediction.draw` does, without its warning: for callers that tell once what cannot be written."""
    image = prediction.image if image is None else image
    if image is None and prediction.source is None:
        raise ImageError("the prediction keeps neither photo nor file name; pass the photo: draw(image)")
    if image is None:
        image = read_image(str(prediction.source))
    if image.shape != (*prediction.size, 3) or image.dtype != np.uint8:
        raise ImageError(
            f"{prediction.source or 'the photo'}: an array of {image.dtype} {list(image.shape)}, but the prediction was "
            f"made on uint8 {[*prediction.size, 3]} (height, width, RGB); pass the photo that was predicted"
        )
    if prediction.identities is not None:
        numbers = prediction.identities.tolist()
        names = tuple(f"#{number} {name}" for name, number in zip(prediction.names, numbers, strict=True))
        prediction = replace(prediction, names=names)
        options.setdefault("colors", [pick_color(number) for number in numbers])
    return draw_objects(image, prediction, **options)


def make_prediction(
    boxes: Floats,
    scores: Floats,
    labels: Integers,
    masks: Floats,
    *,
    size: tuple[int, int],
    scale: tuple[float, float],
    classes: Mapping[int, str],
    threshold: float = 0.5,
    paste: PasteRule = "sampled",
    order: Literal["label", "score"] = "label",
    image: NDArray[np.uint8] | None = None,
    source: str | None = None,
) -> Prediction:
    """Bring one image's detections back to the original photo.

    `boxes` `[K 4]` in pixels of the network's input, `scores` `[K]`, `labels` `[K]`, `masks` `[K M M]`
    probabilities. `size`: the photo's height, width; `scale`: the network's size by it, down and across. `classes`: the
    data set's category id to its name, in label order. Boxes are rescaled and clipped in float32; one that is left
    without width or height is dropped, as in the published post-processing. `order` label keeps the order of the slots.
    """
    down, across = np.float32(scale[0]), np.float32(scale[1])
    original = boxes.astype(np.float32) / np.array([across, down] * 2)
    original = np.clip(original, np.float32(0), np.array(size[::-1] * 2, np.float32))
    chosen = (original[:, 2:] - original[:, :2] > 0).all(axis=1).nonzero()[0]
    # DIFFERS: mmdetection returns boxes without area too.
    if order == "score":
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    original, found = original[chosen], labels[chosen].astype(np.int64)
    frames = to_whole_pixels(torch.from_numpy(original), masks.shape[-1]).numpy() if paste == "whole_pixels" else original
    ids, names = np.array(list(classes), dtype=np.int64), list(classes.values())
    return Prediction(
        boxes=original,
        scores=scores[chosen].astype(np.float32),
        labels=found,
        names=tuple(names[label] for label in found),
        category_ids=ids[found],
        masks=Masks(masks[chosen].astype(np.float32), frames, size, threshold),
        size=size,
        scale=(float(down), float(across)),
        source=source,
        image=image,
    )


def to_coco_row(image_id: int, detection: Mapping[str, Any]) -> dict[str, Any]:
    """Return COCO's result row of one detection of `Prediction.to_dict`."""
    x1, y1, x2, y2 = detection["box"]
    return {
        "image_id": image_id,
        "category_id": detection["category_id"],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": detection["score"],
        "segmentation": detection["segmentation"],
    }


def choose_places(index: Index, length: int) -> Integers:
    """Return the places that an index means, so that arrays and lists are indexed alike."""
    if isinstance(index, slice):
        return np.arange(length)[index]
    places = np.atleast_1d(np.asarray(index))
    chosen: Integers = np.arange(length)[places if places.size else places.astype(np.int64)]
    return chosen


def check_size(found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raise MaskzooError if a photo has another height and width than the data set says."""
    if tuple(found) != tuple(expected):
        raise MaskzooError(
            f"found a photo of {found[1]} x {found[0]} pixels (turned as its EXIF says); expected {expected[1]} x "
            f"{expected[0]} as the annotations say; correct the annotations or the photo"
        )
