"""From photos to predictions: the only way out of the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, ImageError
from maskzoo.images.batch import batch_resized, canvas_size
from maskzoo.images.held import Order, is_tensor, read_open_file
from maskzoo.images.read import ImageSource, read_image
from maskzoo.images.resize import ResizedImage, resize_photo
from maskzoo.inference.backends import Backend, Eager, PhotoBackend
from maskzoo.inference.choice import SCORE, Choice
from maskzoo.inference.frames import predict_frames
from maskzoo.inference.ordered_threads import check_threads, map_in_order
from maskzoo.inference.prediction import Prediction, make_prediction
from maskzoo.inference.tiles import OVERLAP, TileSide, Tiling, predict_tiled
from maskzoo.structures import Detections
from maskzoo.video.reader import VideoReader
from maskzoo.video.source import VideoSource

__all__ = ["Photo", "PhotoPredictor", "Predictor", "Source", "split_windows"]

Source = ImageSource
Item = TypeVar("Item")
Held = str | Path | bytes | NDArray[np.uint8] | ImageError  # a source that its owner cannot change any more
WINDOW = 4  # batches read ahead, so that images of one canvas size can share a batch


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo on its way into the network: decoded `pixels`, the `resized` ones, height and width of its `canvas`."""

    source: Held
    pixels: NDArray[np.uint8]
    resized: ResizedImage
    canvas: tuple[int, int]


class Predictor:
    """A network ready for photos. `maskzoo.load` makes one; `backend` is what runs it, and `why` the reason for this choice."""

    def __init__(self, backend: Backend, config: ModelConfig, why: str = "") -> None:
        self.backend, self.config, self.why = backend, config, why

    def __repr__(self) -> str:
        return f"Predictor({self.config.name}, {self.describe_backend()})"

    def describe_backend(self) -> str:
        """Return what runs the network, in which type, and why it was chosen, unless the caller chose."""
        return f"{self.backend.name}, {self.backend.dtype}" + (f", {self.why}" if self.why else "")

    def describe_views(self) -> str:
        """Return in which other ways each photo is looked at as well; nothing unless `augment` made the predictor."""
        return ""

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text and a file are iterable too, and the first form takes them
        self,
        source: Source,
        *,
        score: float = SCORE,
        classes: str | Sequence[str] | None = None,
        batch_size: int = 1,
        order: Order = "RGB",
        tile: TileSide | None = None,
        overlap: float = OVERLAP,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        source: Iterable[Source],
        *,
        score: float = SCORE,
        classes: str | Sequence[str] | None = None,
        batch_size: int = 1,
        order: Order = "RGB",
        tile: TileSide | None = None,
        overlap: float = OVERLAP,
    ) -> list[Prediction]: ...
    def predict(
        self,
        source: Source | Iterable[Source],
        *,
        score: float = SCORE,
        classes: str | Sequence[str] | None = None,
        batch_size: int = 1,
        order: Order = "RGB",
        tile: TileSide | None = None,
        overlap: float = OVERLAP,
    ) -> Prediction | list[Prediction]:
        """Predict one photo, or each of a list or another iterable; the objects with the highest score come first.

        Args:
            source: A path, an open file or the bytes of one, a PIL image, or an RGB array `[H W 3]` uint8 or tensor: what
                `maskzoo.read_image` takes.
            score: Objects from this score on, 0 to 1; 0 gives all that the model file's own threshold lets through.
            classes: The names of those that are wanted, in a list or with commas; all if left out.
            batch_size: Photos computed together, or tiles; it alters no result.
            order: "BGR" for arrays as OpenCV reads them.
            tile: Pixels of a tile's side, for a large image: it is read and predicted tile by tile, and objects that tiles cut
                are put together. "auto" fits the model's input; None predicts the photo as a whole.
            overlap: What neighbouring tiles share, as a part of their side.

        Raises:
            ArgumentError: An argument is out of range, or the model has no such class.
            ImageError: A photo cannot be read; see `predict_each` to go on with the others.
        """
        options: dict[str, Any] = {"score": score, "classes": classes, "batch_size": batch_size, "order": order}
        given: Any = source
        if tile is not None:
            return self._predict_tiled(given, Tiling(tile, overlap), **options)
        if _is_single(source):
            return _checked(next(self.predict_each([given], **options))[1])
        return [_checked(result) for _, result in self.predict_each(given, **options)]

    def _predict_tiled(
        self, given: Any, tiling: Tiling, score: float, classes: str | Sequence[str] | None, batch_size: int, order: Order
    ) -> Prediction | list[Prediction]:
        choice = Choice.make(score, classes, self.config)
        options: dict[str, Any] = {"batch_size": batch_size, "order": order}
        if _is_single(given):
            return predict_tiled(self, given, tiling, choice, **options)
        return [predict_tiled(self, source, tiling, choice, **options) for source in given]

    def predict_each(
        self,
        sources: Iterable[Source],
        *,
        score: float = SCORE,
        classes: str | Sequence[str] | None = None,
        batch_size: int = 1,
        workers: int = 1,
        order: Order = "RGB",
    ) -> Iterator[tuple[Source, Prediction | ImageError]]:
        """Yield every source with its prediction, or with the ImageError of one that cannot be read, in order.

        Sources, `score`, `classes` and `order` are those of `predict`, and so are the objects' order and the errors.

        Only images that fill the same canvas share a batch: padding an image further would change its numbers a
        little, so the batch size never alters a result. `workers` batches are read and computed at once, in threads
        that share torch's; sources are then taken a little ahead. `backend.choose_workers()` says how many are worth it. An
        array or PIL image is copied when it is taken: its owner may overwrite it. Raises MaskzooError in a process that was
        forked from one that had loaded a network (see `check_threads`).
        """
        if batch_size < 1:
            raise ArgumentError(f"batch_size is {batch_size}; expected 1 or more")

        if order not in ("RGB", "BGR"):
            raise ArgumentError(f"order is {order!r}; expected RGB, or BGR for what OpenCV has read")
        choice = Choice.make(score, classes, self.config)

        def work(window: list[tuple[Source, Held]]) -> list[tuple[Source, Prediction | ImageError]]:
            given, held = zip(*window, strict=True)
            results = self._predict_window(held, batch_size)
            chosen = [result if isinstance(result, ImageError) else choice.apply(result) for result in results]
            return list(zip(given, chosen, strict=True))

        check_threads(torch_alone=isinstance(self.backend, Eager))
        taken = ((source, _hold(source, order)) for source in sources)
        for results in map_in_order(work, split_windows(taken, batch_size), workers):
            yield from results

    def stream(
        self,
        source: str | Path,
        *,
        score: float = SCORE,
        classes: str | Sequence[str] | None = None,
        batch_size: int = 1,
        workers: int = 1,
        every: int = 1,
        track: bool = False,
    ) -> Iterator[Prediction]:
        """Yield the prediction of each frame of a video, with its number and time; frames are read as they are needed.

        What waits, and thus the memory, does not grow with the video. Of a camera or a live stream the frames that come
        while the network is busy are left out.

        Args:
            source: A file, a camera's number ("0") or device, or the address of a stream.
            score, classes, batch_size, workers: Those of `predict_each`.
            every: Predict every N-th frame only.
            track: Give objects `identities`; those that have none yet are left out.

        Raises:
            ArgumentError: An argument is out of range, or the model has no such class.
            ImageError: It is no video, holds no pictures, or, after its last frame, a part of it could not be read.
            SourceError: It is not there, or cannot be reached.
            MaskzooError: The packages of `maskzoo[video]` are missing.
        """
        with VideoReader(VideoSource.parse(source), every) as video:
            options: dict[str, Any] = {"classes": classes, "batch_size": batch_size, "workers": workers}
            yield from predict_frames(self.predict_each, video, score=score, track=track, **options)
            if video.fault:
                raise ImageError(video.fault)

    def _predict_window(self, sources: Sequence[Held], batch_size: int) -> list[Prediction | ImageError]:
        results: list[Prediction | ImageError | None] = [None] * len(sources)
        by_canvas: dict[tuple[int, int], list[tuple[int, Photo]]] = {}
        for place, source in enumerate(sources):
            try:
                photo = self.prepare(source)
            except ImageError as error:
                results[place] = error
            else:
                by_canvas.setdefault(photo.canvas, []).append((place, photo))
        for group in by_canvas.values():
            for start in range(0, len(group), batch_size):
                places, photos = zip(*group[start : start + batch_size], strict=True)
                for place, prediction in zip(places, self.predict_prepared(photos), strict=True):
                    results[place] = prediction
        return [result for result in results if result is not None]

    def prepare(self, source: Held) -> Photo:
        """Read and resize one photo, for `predict_prepared`. Raises ImageError if it cannot be read."""
        if isinstance(source, ImageError):
            raise source
        settings = self.config.input
        pixels = source if isinstance(source, np.ndarray) else read_image(source)
        resized = resize_photo(pixels, settings)
        height, width = resized.pixels.shape[:2]
        return Photo(source, pixels, resized, canvas_size(height, width, settings.canvas_multiple))

    def predict_prepared(self, photos: Sequence[Photo]) -> list[Prediction]:
        """Predict photos of one canvas as one batch, for callers that form batches themselves (`maskzoo serve`)."""
        batch = batch_resized([photo.resized for photo in photos], self.config.input)
        detections = self.backend.detect(batch)
        return [self._to_prediction(photo, detections, slot) for slot, photo in enumerate(photos)]

    def _to_prediction(self, photo: Photo, detections: Detections, slot: int) -> Prediction:
        valid = detections.valid[slot]
        masks: Any = detections.masks
        is_path, limits = isinstance(photo.source, str | Path), self.config.limits.detections
        return make_prediction(
            detections.boxes[slot][valid].numpy(),
            detections.scores[slot][valid].numpy(),
            detections.labels[slot][valid].numpy(),
            masks[slot][valid].numpy(),
            size=(photo.pixels.shape[0], photo.pixels.shape[1]),
            scale=photo.resized.scale,
            classes=self.config.classes,
            threshold=limits.mask_threshold,
            paste=limits.paste,
            order=limits.order,
            # A file is read again when it is drawn: a thousand predictions must not hold a thousand photos.
            image=None if is_path else photo.pixels,
            source=str(photo.source) if is_path else None,
        )


class PhotoPredictor(Predictor):
    """A predictor of an exported file that takes whole photos: it resizes, normalises and pads them itself."""

    backend: PhotoBackend

    def predict_prepared(self, photos: Sequence[Photo]) -> list[Prediction]:
        whole = [replace(photo, resized=replace(photo.resized, scale=(1.0, 1.0))) for photo in photos]
        return [self._to_prediction(photo, self.backend.detect_photo(photo.pixels), 0) for photo in whole]


def split_windows(items: Iterable[Item], batch_size: int) -> Iterator[list[Item]]:
    """Yield the items in lists that are predicted together: of several batches, so that equal canvases meet."""
    remaining = iter(items)
    while window := list(islice(remaining, 1 if batch_size == 1 else batch_size * WINDOW)):
        yield window


def _is_single(source: object) -> bool:
    """Whether it is one photo, or what is refused as one. Arrays, texts and files are iterable too."""
    held = isinstance(source, str | Path | bytes | bytearray | memoryview | np.ndarray | Image) or is_tensor(source)
    return held or hasattr(source, "read") or not isinstance(source, Iterable)


def _hold(source: Source, order: Order) -> Held:
    """Return pixels or bytes of our own of what its owner may change, or why there are none; paths and bytes as they are."""
    if isinstance(source, str | Path | bytes):
        return source
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    try:
        if hasattr(source, "read"):
            return read_open_file(source)
        pixels = read_image(source, order=order)
    except ImageError as error:
        return error
    shared = is_tensor(source) or (isinstance(source, np.ndarray) and np.may_share_memory(pixels, source))
    return pixels.copy() if shared else pixels


def _checked(result: Prediction | ImageError) -> Prediction:
    if isinstance(result, ImageError):
        raise result
    return result
