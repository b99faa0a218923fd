"""A large image predicted tile by tile, and the objects that tiles cut put together from their masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from maskzoo.config import Input, ModelConfig
from maskzoo.datasets.rle import read_placed
from maskzoo.errors import ArgumentError, ImageError
from maskzoo.images.held import Order
from maskzoo.images.read import ImageSource
from maskzoo.images.resize import find_factors
from maskzoo.images.windows import DecodedImage, open_windows, shrink_image
from maskzoo.inference.choice import Choice
from maskzoo.inference.journal import Journal, JournalFile, hash_values
from maskzoo.inference.mask_runs import RunMasks, join_runs
from maskzoo.inference.merging import Piece, Rectangle, group_pieces
from maskzoo.inference.prediction import Prediction, draw_prediction
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import make_folder

__all__ = ["OVERLAP", "TileSide", "TiledPrediction", "Tiling", "predict_tiled"]

TileSide = int | Literal["auto"]
OVERLAP = 0.2  # of a tile's side
PIECE_SCORE = 0.5  # of the wanted score: from there on a piece counts, if another view is sure of the object
BORDER = 0.02  # of a view's side: an object that ends so near to the border of a tile is cut by it
PICTURE_SIDE = 4096  # pixels at most of a drawn picture
ENOUGH = 0.5  # an image that the network sees at this scale or larger needs no tiles, says "auto"


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of `side` pixels (auto: as large as the network's input is high), of which neighbours share `overlap` sides."""

    side: TileSide
    overlap: float = OVERLAP

    def __post_init__(self) -> None:
        if self.side != "auto" and (not isinstance(self.side, int) or self.side < 32):
            raise ArgumentError(f"tile (--tile): found {self.side!r}; expected pixels, 32 or more, or auto")
        if not 0 <= self.overlap <= 0.8:
            raise ArgumentError(f"overlap (--overlap): found {self.overlap}; expected 0 to 0.8 of a tile's side")

    def lay_out(self, size: tuple[int, int], settings: Input) -> list[Rectangle]:
        """Return the tiles of an image of height, width `size`, row by row, evenly spread: neighbours share as much or more."""
        if self.side == "auto":
            factors = find_factors(*size, settings.short_side, settings.long_side, settings.resize)
            side = max(size) if min(factors) >= ENOUGH else settings.short_side
        else:
            side = self.side
        down, across = (_spread(length, side, self.overlap) for length in size)
        return [(x, y, min(x + side, size[1]), min(y + side, size[0])) for y in down for x in across]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TiledPrediction(Prediction):
    """The objects found on one large image: a `Prediction` whose masks are run lengths; its picture is limited in size."""

    def draw(self, image: Any = None, **options: Any) -> Image.Image:
        """Draw as `Prediction.draw` does, on the image shrunk by a whole number so that no side is above 4,096 pixels."""
        return self.shrink().draw(image, **options) if image is None else draw_prediction(self, image, **options)

    def shrink(self, side: int = PICTURE_SIDE) -> Prediction:
        """Return the same objects on the image shrunk by a whole number, so that no side is above `side` pixels.

        The image is read again by windows where it came from a file. Raises ImageError if it is gone.
        """
        factor = math.ceil(max(self.size) / side)
        if self.image is None and self.source is None:
            raise ImageError("the prediction keeps neither photo nor file name; pass the photo: draw(image)")
        with open_windows(self.image if self.image is not None else str(self.source)) as windows:
            pixels = shrink_image(windows, factor)
        return Prediction(
            self.boxes / np.float32(factor),
            self.scores,
            self.labels,
            self.names,
            self.category_ids,
            self.masks.shrink(factor) if isinstance(self.masks, RunMasks) else self.masks,
            (pixels.shape[0], pixels.shape[1]),
            (self.scale[0] * factor, self.scale[1] * factor),
            self.source,
            pixels,
        )


class _Predictor(Protocol):
    config: ModelConfig

    @property
    def predict_each(self) -> Callable[..., Iterator[tuple[Any, Prediction | ImageError]]]: ...


def predict_tiled(
    predictor: _Predictor,
    source: ImageSource,
    tiling: Tiling,
    choice: Choice,
    *,
    batch_size: int = 1,
    workers: int = 1,
    order: Order = "RGB",
    folder: Path | None = None,
    manifest: str = "",
    on_progress: OnProgress = say_nothing,
) -> TiledPrediction:
    """Predict a large image by tiles; no more of it is in memory than `open_windows` says, and no mask as an array.

    An object that several tiles see is found once: `group_pieces` decides by masks. Its mask is what any of them
    has of it, its score the best one. Pieces count from half the wanted score on.

    Args:
        predictor: what predicts a tile.
        source: what `read_image` takes.
        tiling: how the image is divided.
        choice: the objects that are wanted.
        batch_size, workers: tiles computed together, and at once.
        order: "BGR" for arrays as OpenCV reads them.
        folder: where each finished tile is written down, so that a killed call goes on; None: nowhere.
        manifest: what the tiles there depend on.
        on_progress: is told of each tile.

    Raises:
        ImageError: the image cannot be read.
        SourceError: `folder` has tiles of another call.
    """
    options = {"score": PIECE_SCORE * choice.score, "batch_size": batch_size, "workers": workers}
    with open_windows(source, order) as windows:
        size = windows.size
        views = tiling.lay_out(size, predictor.config.input)
        rows = _Rows(folder, len(views), hash_values(manifest, size, views))
        todo = [number for number in range(len(views)) if number not in rows.done]
        _tell_resumed(len(views) - len(todo), len(views), on_progress)
        tiles = (windows.read(*views[number]) for number in todo)
        with rows:
            for number, (_, result) in zip(todo, predictor.predict_each(tiles, **options), strict=True):
                if isinstance(result, ImageError):
                    raise result
                rows.add(number, result.to_dict()["detections"])
                on_progress(ProgressEvent("Predicting", len(rows.done), len(views), "tiles"))
        image = windows.pixels if isinstance(windows, DecodedImage) and not isinstance(source, str | Path) else None
    pieces = [_place(row, number, views[number], size) for number in range(len(views)) for row in rows.done[number]]
    merged = _merge(pieces, views, size, predictor.config, str(source) if image is None else None, image)
    return choice.apply(merged)  # type: ignore[return-value]  # some objects of the same kind of prediction


class _Rows:
    """The objects of each tile that is done, as plain values; in a `folder` too, where there is one."""

    def __init__(self, folder: Path | None, count: int, manifest: str) -> None:
        self.done: dict[int, list[dict[str, Any]]] = {}
        self._file: JournalFile | None = None
        if folder is not None:
            make_folder(folder)
            journal = Journal(folder, count, manifest)
            self.done = {number: record["detections"] for number, record in journal.read()}
            self._file = JournalFile(folder, 0, manifest)

    def add(self, number: int, rows: list[dict[str, Any]]) -> None:
        self.done[number] = rows
        if self._file is not None:
            self._file.append(number, {"detections": rows})

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *reason: Any) -> None:
        if self._file is not None:
            self._file.__exit__(*reason)


def _tell_resumed(done: int, count: int, on_progress: OnProgress) -> None:
    if done:
        on_progress(ProgressEvent("Predicting", done, count, "tiles", note=f"Going on after {done} of {count} tiles"))


def _spread(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis."""
    if length <= side:
        return [0]
    shared = min(side - 1, round(overlap * side))
    count = -(-(length - shared) // (side - shared))
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


def _place(row: dict[str, Any], number: int, view: Rectangle, size: tuple[int, int]) -> Piece:
    """Put what a view sees of an object into the image."""
    x1, y1, x2, y2 = view
    box = np.array(row["box"], np.float32)
    margin = (BORDER * (x2 - x1), BORDER * (y2 - y1))
    cut = (
        (x1 > 0 and box[0] <= margin[0])
        or (y1 > 0 and box[1] <= margin[1])
        or (x2 < size[1] and box[2] >= x2 - x1 - margin[0])
        or (y2 < size[0] and box[3] >= y2 - y1 - margin[1])
    )
    segmentation = row["segmentation"]
    runs = read_placed(segmentation["counts"], segmentation["size"], (x1, y1), size[0])
    return Piece(number, row["label"], row["score"], box + np.array([x1, y1, x1, y1], np.float32), runs, bool(cut))


def _merge(
    pieces: Sequence[Piece],
    views: Sequence[Rectangle],
    size: tuple[int, int],
    config: ModelConfig,
    source: str | None,
    image: Any,
) -> TiledPrediction:
    groups = [[pieces[place] for place in group] for group in group_pieces(pieces, views, size[0])]
    ids, names = list(config.classes), list(config.classes.values())
    labels = np.array([group[0].label for group in groups], np.int64)
    boxes = [[piece.box for piece in group] for group in groups]
    corners = [np.concatenate([np.min(some, axis=0)[:2], np.max(some, axis=0)[2:]]) for some in boxes]
    x1, y1, x2, y2 = views[0]
    settings = config.input
    scale = find_factors(y2 - y1, x2 - x1, settings.short_side, settings.long_side, settings.resize)
    return TiledPrediction(
        boxes=np.array(corners, np.float32).reshape(-1, 4),
        scores=np.array([group[0].score for group in groups], np.float32),
        labels=labels,
        names=tuple(names[label] for label in labels),
        category_ids=np.array(ids, np.int64)[labels],
        masks=RunMasks([join_runs([piece.runs for piece in group]) for group in groups], size),
        size=size,
        scale=(float(np.float32(scale[0])), float(np.float32(scale[1]))),
        source=source,
        image=image,
    )
