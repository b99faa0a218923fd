"""Batches of annotated images to train on: the same ones whatever reads them, and from wherever a run goes on.

Everything random about an image hangs on (seed, epoch, position in the epoch), never on a worker or on what came before.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.data.annotations import AnnotationSet
from maskzoo.data.augment import Sample, flip, jitter, paste, resize
from maskzoo.data.batching import make_batch
from maskzoo.data.images import read_image
from maskzoo.data.outlines import decode_runs, trace
from maskzoo.errors import ConfigError, ImageError, MaskzooError
from maskzoo.structures import GroundTruth, ImageBatch

__all__ = ["Replaced", "TrainingBatch", "TrainingLoader", "read_sample"]

SEED_BITS = (1 << 63) - 1  # a torch generator takes 64 bits, a signed number keeps 63
ORDER, IMAGE, REPLACEMENT = range(3)  # what a random stream is for


@dataclass(frozen=True, slots=True)
class Replaced:
    """A damaged image, and the one that trained in its place; `position` counts the images of the epoch."""

    position: int
    image_id: int
    error: str
    replacement_id: int

    def __str__(self) -> str:
        return f"image {self.image_id} was replaced by image {self.replacement_id}: {self.error}"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """What one forward pass takes: `images`, `truth` in pixels of the resized images, `image_ids` of the data set.

    `seeds` has a 63-bit number for each image, by which its samples are drawn; `replaced` names damaged images.
    """

    images: ImageBatch
    truth: GroundTruth
    image_ids: tuple[int, ...]
    seeds: tuple[int, ...]
    replaced: tuple[Replaced, ...]


class TrainingLoader:
    """Reads a data set as the recipe of `config` trains on it, in `settings.workers` processes.

    `annotations` are as `select_for_training` gives them, their images lie in `folder`. Of several `processes` each
    takes its part: batch `b` of process `rank` is the one after batch `b` of the process before it.
    """

    def __init__(
        self,
        annotations: AnnotationSet,
        folder: Path,
        config: ModelConfig,
        settings: RunSettings,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.annotations, self.folder, self.config, self.settings = annotations, folder, config, settings
        self.rank, self.processes = rank, processes
        total = settings.batch * processes * settings.accumulate
        if len(annotations) < total:
            raise ConfigError(
                f"{annotations.source}: {len(annotations)} images to train on, and a step takes {total} (batch "
                f"{settings.batch} x accumulate {settings.accumulate} x processes {processes}); take fewer, or add images"
            )

    @property
    def batches_per_epoch(self) -> int:
        """Batches of this process in an epoch; images that do not fill a whole step are left out of the epoch."""
        step = self.settings.batch * self.processes * self.settings.accumulate
        return len(self.annotations) // step * self.settings.accumulate

    def epoch(self, epoch: int, start: int = 0) -> Generator[TrainingBatch]:
        """Yield this process's batches of an epoch from batch `start` on. Closing the iterator ends its workers.

        Raises ImageError for a damaged image if the settings say stop.
        """
        workers = self.settings.workers
        reader = DataLoader(
            _Batches(self, epoch),
            batch_size=None,
            sampler=range(start, self.batches_per_epoch),
            num_workers=workers,
            collate_fn=_pass_on,
            worker_init_fn=_begin_worker if workers else None,
            # Forked workers share the packed annotations; elsewhere each gets a copy.
            multiprocessing_context=multiprocessing.get_context("fork") if workers and sys.platform == "linux" else None,
        )
        for read in reader:
            if isinstance(read, MaskzooError):
                raise read
            yield self._join(read)

    def _join(self, read: list[_Read]) -> TrainingBatch:
        samples = [one.sample for one in read]
        return TrainingBatch(
            make_batch([sample.pixels for sample in samples], self.config.input),
            make_truth(samples),
            tuple(one.image_id for one in read),
            tuple(one.seed for one in read),
            tuple(one.replaced for one in read if one.replaced is not None),
        )

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the place in the data set of each position of an epoch, int64 `[I]`: all images, shuffled."""
        random = self._draw(epoch, 0, ORDER)
        order = random.permutation(len(self.annotations))
        if not self.settings.group_by_aspect:
            return order
        tall = (self.annotations.sizes[:, 0] > self.annotations.sizes[:, 1])[order]
        size = self.settings.batch
        groups, rest = [], []
        for part in (order[tall], order[~tall]):
            whole = len(part) // size * size
            groups += list(part[:whole].reshape(-1, size))
            rest.append(part[whole:])
        mixed = [groups[place] for place in random.permutation(len(groups))]
        return np.concatenate([*mixed, *rest])

    def read_batch(self, order: NDArray[np.int64], epoch: int, batch: int) -> list[_Read]:
        """Read this process's batch of an epoch whose `order` is given."""
        first = (batch * self.processes + self.rank) * self.settings.batch
        return [self._read(order, epoch, position) for position in range(first, first + self.settings.batch)]

    def _read(self, order: NDArray[np.int64], epoch: int, position: int) -> _Read:
        place = int(order[position])
        random = self._draw(epoch, position, IMAGE)
        seed = int(random.integers(SEED_BITS))
        replaced = None
        try:
            sample = self._read_sound(place)
        except ImageError as error:
            if self.settings.damaged_images == "stop":
                raise
            wanted, (place, sample) = place, self._replace(epoch, position, place, error)
            ids = self.annotations.image_ids
            replaced = Replaced(position, int(ids[wanted]), str(error), int(ids[place]))
        sample = self._augment(sample, random)
        if self.settings.copy_paste and random.random() < self.settings.copy_paste:
            sample = self._paste(sample, random)
        return _Read(sample, int(self.annotations.image_ids[place]), seed, replaced)

    def _read_sound(self, place: int) -> Sample:
        return read_sample(self.annotations, self.folder, place)

    def _replace(self, epoch: int, position: int, place: int, error: ImageError) -> tuple[int, Sample]:
        """Find a sound image, the same for any number of workers."""
        for other in self._draw(epoch, position, REPLACEMENT).permutation(len(self.annotations)).tolist():
            if other != place:
                try:
                    return other, self._read_sound(other)
                except ImageError:
                    continue
        raise ImageError(f"{self.folder}: none of {len(self.annotations)} images can be read; one of them: {error}")

    def _augment(self, sample: Sample, random: np.random.Generator) -> Sample:
        recipe, settings = self.config.training, self.settings
        if settings.jitter is None:
            sample = resize(sample, int(random.choice(recipe.short_sides)), recipe.long_side)
        else:
            factor, down, across = random.uniform(*settings.jitter), random.random(), random.random()
            sample = jitter(sample, factor, (down, across), max(recipe.short_sides), recipe.long_side)
        return flip(sample) if random.random() < recipe.flip else sample

    def _paste(self, sample: Sample, random: np.random.Generator) -> Sample:
        """Paste some objects of another image; where that one is damaged nothing is pasted."""
        try:
            other = self._augment(self._read_sound(int(random.integers(len(self.annotations)))), random)
        except ImageError:
            return sample
        chosen = np.flatnonzero(random.random(len(other.boxes)) < 0.5)  # a random subset, as published
        return paste(sample, other.take(chosen))

    def _draw(self, epoch: int, position: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, epoch, position, purpose])


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    sample: Sample
    image_id: int
    seed: int
    replaced: Replaced | None


class _Batches(Dataset[Any]):
    """The batches of one process and epoch, by number; errors are handed over as values."""

    def __init__(self, loader: TrainingLoader, epoch: int) -> None:
        self.loader, self.epoch, self.order = loader, epoch, loader.order(epoch)

    def __getitem__(self, batch: int) -> list[_Read] | MaskzooError:
        try:
            return self.loader.read_batch(self.order, self.epoch, batch)
        except MaskzooError as error:
            return error


def read_sample(annotations: AnnotationSet, folder: Path, place: int) -> Sample:
    """Read image `place` of a data set with its objects; outlines given as run lengths become polygons.

    Raises ImageError if the image is missing or damaged, or if its size is not the data set's.
    """
    file = folder / annotations.file_name(place)
    pixels = read_image(file)
    height, width = annotations.sizes[place].tolist()
    if pixels.shape[:2] != (height, width):
        raise ImageError(
            f"{file}: is {pixels.shape[1]} x {pixels.shape[0]} pixels, {annotations.source} says {width} x {height}; "
            "expected the same, else its outlines lie elsewhere; see maskzoo data check"
        )
    rows = range(*annotations.first[place : place + 2].tolist())
    outlines = []
    for row in rows:
        outline = annotations.outline(row)
        polygons = trace(decode_runs(outline, (height, width))) if isinstance(outline, bytes) else outline
        outlines.append([polygon.astype(np.float32) for polygon in polygons])
    chosen = slice(rows.start, rows.stop)
    labels = annotations.labels[chosen].astype(np.int64)
    return Sample(pixels, annotations.boxes[chosen].copy(), labels, outlines)


def make_truth(samples: Sequence[Sample]) -> GroundTruth:
    """Put the objects of images into slots."""
    most = max(len(sample.labels) for sample in samples)
    boxes = torch.zeros(len(samples), most, 4)
    labels = torch.zeros(len(samples), most, dtype=torch.int64)
    valid = torch.zeros(len(samples), most, dtype=torch.bool)
    for image, sample in enumerate(samples):
        count = len(sample.labels)
        boxes[image, :count] = torch.from_numpy(sample.boxes)
        labels[image, :count] = torch.from_numpy(sample.labels)
        valid[image, :count] = True
    outlines: Any = [sample.outlines for sample in samples]
    return GroundTruth(boxes, labels, torch.zeros_like(valid), valid, outlines)


def _pass_on(read: Any) -> Any:
    return read


def _begin_worker(number: int) -> None:
    """One thread each, and no part in what the main process does on a signal."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process ends its workers
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
