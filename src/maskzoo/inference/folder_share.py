"""One process's share of a folder of images: read, predict, draw, and a line of the part file for each."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskzoo.drawing.picture_file import encode_picture
from maskzoo.errors import ImageError, MaskzooError
from maskzoo.inference.journal import Journal, JournalFile, hash_values
from maskzoo.inference.prediction_plan import PlannedImage
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.files import explained, write_file
from maskzoo.system.memory import KeptMemory

if TYPE_CHECKING:
    from maskzoo.inference.prediction import Prediction
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.tiles import Tiling
    from maskzoo.system.processes import Processes

__all__ = ["Work", "predict_share"]

TILES = ".predict.tiles-{}"  # beside the part files: the folder of the tiles of one image that are done


@dataclass(frozen=True)
class Work:
    """What becomes of every image: objects from `score` on, of the named `classes` (None: all), saved as `kinds` say.

    `categories`: the id that is written for each of the model's; None: the same. `font` is the file of the font of
    pictures, None for one of this machine's. `tiling`: how each image is divided; None: it is predicted as a whole.
    """

    predictor: Predictor
    kinds: frozenset[str]
    score: float
    batch: int
    classes: tuple[str, ...] | None = None
    categories: Mapping[int, int] | None = None
    font: str | None = None
    tiling: Tiling | None = None

    def make_manifest(self, plan: Sequence[PlannedImage]) -> str:
        """Return the hash of all that the results depend on: network, weights, options, the images' names and all ids."""
        from maskzoo.model_file import dump_config

        backend = self.predictor.backend
        names = hashlib.sha256()
        for image in plan:
            content = hashlib.sha256(image.source).hexdigest() if isinstance(image.source, bytes) else str(image.source)
            names.update(hash_values(image.name, image.image_id, image.picture.name, image.size, content).encode())
        categories = None if self.categories is None else list(self.categories.items())
        network = (
            dump_config(self.predictor.config),
            backend.hash_weights(),
            backend.name,
            backend.dtype,
            self.predictor.describe_views(),
        )
        tiling = None if self.tiling is None else (self.tiling.side, self.tiling.overlap)
        options = (sorted(self.kinds), self.score, self.classes, self.batch, categories, self.font, tiling)
        return hash_values(*network, *options, names.hexdigest())

    def predict(self, images: Sequence[PlannedImage]) -> list[tuple[int, dict[str, Any]]]:
        """Return number and record of each image, after its picture is written."""
        contents: list[Path | bytes] = []
        records: dict[int, dict[str, Any]] = {}
        readable: list[PlannedImage] = []
        for image in images:
            try:
                contents.append(image.source if isinstance(image.source, Path | bytes) else image.source.read())
                readable.append(image)
            except ImageError as error:
                records[image.number] = {"error": str(error)}
        found = self.predictor.predict_each(contents, score=self.score, classes=self.classes, batch_size=self.batch)
        for image, (source, result) in zip(readable, found, strict=True):
            records[image.number] = self._record(image, source, result)
        return [(image.number, records[image.number]) for image in images]

    def predict_tiles(
        self, image: PlannedImage, tiling: Tiling, folder: Path, manifest: str, workers: int, on_progress: OnProgress
    ) -> list[tuple[int, dict[str, Any]]]:
        """Do as `predict` for one large image; what is done of it is in a folder of its own in `folder`."""
        from maskzoo.inference.choice import Choice
        from maskzoo.inference.tiles import predict_tiled

        def tell(event: ProgressEvent) -> None:
            on_progress(replace(event, stage=f"Predicting tiles of {Path(image.name).name}"))

        choice = Choice.make(self.score, self.classes, self.predictor.config)
        source: Path | bytes = b""
        try:
            source = image.source if isinstance(image.source, Path | bytes) else image.source.read()
            result: Prediction | ImageError = predict_tiled(
                self.predictor,
                source,
                tiling,
                choice,
                batch_size=self.batch,
                workers=workers,
                folder=folder / TILES.format(image.number),
                manifest=manifest,
                on_progress=tell,
            )
        except ImageError as error:
            result = error
        return [(image.number, self._record(image, source, result))]

    def _record(self, image: PlannedImage, source: Any, result: Prediction | ImageError) -> dict[str, Any]:
        from maskzoo.inference.prediction import check_size, draw_prediction
        from maskzoo.inference.tiles import TiledPrediction

        if isinstance(result, ImageError):
            return {"error": str(result) if isinstance(source, Path) else f"{image.name}: {result}"}
        try:
            if image.size is not None:
                check_size(result.size, image.size)
        except MaskzooError as error:
            return {"error": f"{source}: {error}"}
        if "image" in self.kinds:
            drawn = result.shrink() if isinstance(result, TiledPrediction) else result
            write_file(image.picture, encode_picture(draw_prediction(drawn, font=self.font)))
        rows = result.to_dict()["detections"]
        if self.categories is not None:
            rows = [row | {"category_id": self.categories[row["category_id"]]} for row in rows]
        return {"height": result.size[0], "width": result.size[1], "detections": rows}


def predict_share(
    work: Work, plan: Sequence[PlannedImage], folder: Path, workers: int, processes: Processes, on_progress: OnProgress
) -> Journal | None:
    """Predict this process's share of what no part file in `folder` holds yet; the first gets what all of them hold.

    The others get None. `on_progress` is told of this process's share. Raises SourceError if the part files there
    belong to another run.
    """
    from maskzoo.inference.ordered_threads import map_in_order
    from maskzoo.inference.predictor import split_windows

    manifest = work.make_manifest(plan)
    done = Journal(folder, len(plan), manifest)
    if len(done):
        note = f"Going on after {len(done)} of {len(plan)} images that {folder} holds"
        on_progress(ProgressEvent("Predicting", note=note))
    processes.barrier()  # all have looked before one begins to write
    share = [image for image in plan if image.number % processes.count == processes.rank and image.number not in done]
    stage = "Predicting" if processes.count == 1 else f"Predicting, share 1 of {processes.count}"
    kept = KeptMemory(workers)
    with JournalFile(folder, processes.rank, manifest) as part:
        began = last = time.perf_counter()
        if work.tiling is None:
            windows = map_in_order(work.predict, split_windows(share, work.batch), workers)
        else:  # one image after the other, several tiles at once
            options = (work.tiling, folder, manifest, workers, on_progress)
            windows = (work.predict_tiles(image, *options) for image in share)
        for done_here, (number, record) in enumerate((row for window in windows for row in window), 1):
            now = time.perf_counter()
            part.append(number, record | {"seconds": now - last})
            on_progress(ProgressEvent(stage, done_here, len(share), rate=processes.count * done_here / (now - began)))
            kept.bound()
            last = now
    if processes.gather(processes.rank) is None:
        return None
    for tiles in folder.glob(TILES.format("*")):
        with explained(tiles):
            shutil.rmtree(tiles)
    return Journal(folder, len(plan), manifest)
