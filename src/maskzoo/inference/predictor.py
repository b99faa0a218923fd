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
from maskzoo.images.read import read_image
from maskzoo.images.resize import ResizedImage, resize_photo
from maskzoo.inference.backends import Backend, Eager, PhotoBackend
from maskzoo.inference.ordered_threads import check_threads, map_in_order
from maskzoo.inference.prediction import Prediction, make_prediction
from maskzoo.structures import Detections

__all__ = ["Photo", "PhotoPredictor", "Predictor", "Source", "split_windows"]

Source = str | Path | bytes | Image | NDArray[np.uint8]
Item = TypeVar("Item")
Sources = list[Source] | tuple[Source, ...]
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

    @overload
    def predict(self, source: Source, *, batch_size: int = 1) -> Prediction: ...
    @overload
    def predict(self, source: Sources, *, batch_size: int = 1) -> list[Prediction]: ...
    def predict(self, source: Source | Sources, *, batch_size: int = 1) -> Prediction | list[Prediction]:
        """Predict one photo (path, bytes, PIL image, RGB array `[H W 3]` uint8), or each of a list.

        Raises ImageError for a photo that cannot be read; see `predict_each` to go on with the others.
        """
        if isinstance(source, list | tuple):
            return [_checked(result) for _, result in self.predict_each(source, batch_size=batch_size)]
        return _checked(next(self.predict_each([source]))[1])

    def predict_each(
        self, sources: Iterable[Source], *, batch_size: int = 1, workers: int = 1
    ) -> Iterator[tuple[Source, Prediction | ImageError]]:
        """Yield every source with its prediction, or with the ImageError of one that cannot be read, in order.

        Only images that fill the same canvas share a batch: padding an image further would change its numbers a
        little, so the batch size never alters a result. `workers` batches are read and computed at once, in threads
        that share torch's; sources are then taken a little ahead. `backend.choose_workers()` says how many are worth it. An
        array or PIL image is copied when it is taken: its owner may overwrite it. Raises MaskzooError in a process that was
        forked from one that had loaded a network (see `check_threads`).
        """
        if batch_size < 1:
            raise ArgumentError(f"batch_size is {batch_size}; expected 1 or more")

        def work(window: list[tuple[Source, Held]]) -> list[tuple[Source, Prediction | ImageError]]:
            given, held = zip(*window, strict=True)
            return list(zip(given, self._predict_window(held, batch_size), strict=True))

        check_threads(torch_alone=isinstance(self.backend, Eager))
        taken = ((source, _hold(source)) for source in sources)
        for results in map_in_order(work, split_windows(taken, batch_size), workers):
            yield from results

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


def _hold(source: Source) -> Held:
    """Return pixels of our own of an array or PIL image, or why there are none; paths and bytes as they are."""
    if isinstance(source, str | Path | bytes):
        return source
    try:
        pixels = read_image(source)
    except ImageError as error:
        return error
    return pixels.copy() if isinstance(source, np.ndarray) and np.may_share_memory(pixels, source) else pixels


def _checked(result: Prediction | ImageError) -> Prediction:
    if isinstance(result, ImageError):
        raise result
    return result
