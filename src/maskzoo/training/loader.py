"""Batches to train on: the same ones in the same order, however many workers make them and wherever a run goes on."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.errors import ConfigError, MaskzooError, TrainingError
from maskzoo.images.batch import make_batch
from maskzoo.structures import GroundTruth, ImageBatch
from maskzoo.system.take_ahead import take_ahead
from maskzoo.training.augment import AnnotatedImage
from maskzoo.training.samples import Replaced, Sample, SampleMaker, count_positions, order_images

__all__ = ["Replaced", "TrainingBatch", "TrainingLoader", "make_truth"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """A batch of one process: `images`, their `truth`, the data set's ids of the images that are really in it.

    `seeds` has 63 bits for each image, made from the run's seed, the epoch and the position: what else is drawn for the
    image is drawn by them. `replaced` names the images that could not be read; `lost` objects left their picture, or were
    covered, while it was augmented.
    """

    images: ImageBatch
    truth: GroundTruth
    image_ids: tuple[int, ...]
    seeds: tuple[int, ...]
    replaced: tuple[Replaced, ...]
    lost: int = 0


class TrainingLoader:
    """Reads, transforms and batches a data set for process `rank` of `processes`, in `settings.workers` workers.

    `annotations` are what `select_for_training` left, their files are in `folder`. Batch b of rank r has the positions
    from (b * processes + r) * batch on of an epoch's order, so that all processes together see what one with a batch as
    large as theirs together sees. Raises ConfigError if the data set does not fill one step.
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
        self._annotations, self._input, self._settings = annotations, config.input, settings
        self._rank, self._processes = rank, processes
        self._maker = SampleMaker(annotations, folder, config, settings)
        step = settings.batch * processes * settings.accumulate
        positions = count_positions(annotations, settings)
        if positions < step:
            raise ConfigError(
                f"{annotations.source}: {positions} images to train on do not fill one step, which takes {step} "
                f"(run.batch {settings.batch} x {processes} processes x run.accumulate {settings.accumulate}); "
                "make these smaller"
            )
        self._steps = positions // step

    @property
    def batches_per_epoch(self) -> int:
        """How many batches each process gets in an epoch; images that do not fill the last step are left out of it."""
        return self._steps * self._settings.accumulate

    def epoch(self, epoch: int, start: int = 0) -> Generator[TrainingBatch, None, None]:
        """Yield an epoch's batches from batch `start` on: the same ones as an epoch from the beginning has there.

        Close the generator to end its workers early. Raises ImageError if an image cannot be read and the settings say
        stop, or if none can; TrainingError if a worker was killed.
        """
        block = self._settings.batch * self._processes
        order = order_images(self._annotations, self._settings, epoch, block)
        own = order[: self.batches_per_epoch * block].reshape(-1, self._processes, self._settings.batch)[:, self._rank]
        batches = _Batches(self._maker, epoch, own, self._rank, self._processes)
        with contextlib.closing(self._make_all(batches, start)) as made:
            for samples in made:
                yield self._collate(samples)

    def _make_all(self, batches: _Batches, start: int) -> Generator[list[Sample], None, None]:
        places = range(start, len(batches))
        workers = min(self._settings.workers, len(places))
        made = _make_in_workers(batches, places, workers) if workers else (batches[place] for place in places)
        with contextlib.closing(made):
            for samples in made:
                if isinstance(samples, MaskzooError):
                    raise samples
                yield samples

    def _collate(self, samples: list[Sample]) -> TrainingBatch:
        images = [sample.image for sample in samples]
        return TrainingBatch(
            images=make_batch(
                [image.pixels for image in images], self._input, [image.extent or image.size for image in images]
            ),
            truth=make_truth(images),
            image_ids=tuple(sample.image_id for sample in samples),
            seeds=tuple(sample.seed for sample in samples),
            replaced=tuple(one for sample in samples for one in sample.replaced),
            lost=sum(image.lost for image in images),
        )


class _Batches:
    """The batches of one process in an epoch, by their number: `order` int64 `[batches batch]` has their images.

    An error of ours is returned, because one that is raised in a worker would end it.
    """

    def __init__(self, maker: SampleMaker, epoch: int, order: NDArray[np.int64], rank: int, processes: int) -> None:
        self.maker, self.epoch, self.order, self.rank, self.processes = maker, epoch, order, rank, processes

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> list[Sample] | MaskzooError:
        images = self.order[place].tolist()
        first = (place * self.processes + self.rank) * len(images)
        try:
            return [self.maker.make(self.epoch, first + number, image) for number, image in enumerate(images)]
        except MaskzooError as error:
            return error.with_traceback(None)


def _make_in_workers(
    batches: _Batches, places: Sequence[int], workers: int
) -> Generator[list[Sample] | MaskzooError, None, None]:
    """Yield the batches of `places`, made in turn by so many processes, which end with the generator.

    They share the packed annotations where processes can fork. Each has a pipe of its own, whose end tells at once that its
    process has ended: of a common queue (torch's DataLoader has one) one that is killed while it writes leaves half a batch,
    for whose rest the reader waits as long as any other may write it. Samples travel as uint8 pixels: a quarter of the
    normalised batch, and no shared memory, of which containers often have 64 MB only.
    """
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with contextlib.ExitStack() as ended:
        started = []
        try:
            for number in range(workers):
                reader, writer = context.Pipe(duplex=False)
                ended.callback(reader.close)
                with writer, warnings.catch_warnings():
                    # Python 3.12 warns of locks that other threads may hold at the fork; the workers take none but the
                    # allocator's, which survives it: they run numpy, Pillow, OpenCV and hotcoco, each on one thread.
                    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning)
                    process = context.Process(target=_work, args=(batches, places[number::workers], writer), daemon=True)
                    process.start()
                ended.callback(_end, process)
                started.append((process, reader))
        except OSError as error:
            raise TrainingError(
                f"{workers} processes that read images cannot be started ({error.strerror or error}); expected leave to start "
                "processes and to open pipes; allow more of both, or let the run read its images itself (run.workers=0)"
            ) from error
        for _, (process, reader) in zip(places, itertools.cycle(started), strict=False):
            try:
                samples = reader.recv()
            except (EOFError, OSError) as error:
                raise TrainingError(_describe_end(process)) from error
            yield samples


def _work(batches: _Batches, places: Sequence[int], writer: Connection) -> None:
    """Make batches and send them: one is in the pipe, one waits, one is being made."""
    _prepare_worker()
    with contextlib.closing(take_ahead((batches[place] for place in places), 1)) as made:
        for samples in made:
            writer.send(samples)


def _end(process: BaseProcess) -> None:
    process.kill()  # it holds nothing, and may be waiting for room in its pipe
    process.join()


def _describe_end(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    how = f"was ended from outside by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return (
        f"process {process.pid}, which reads images, {how}; expected it to live as long as the run; if memory ran short, use "
        "fewer of them (run.workers=1); what it said itself stands above; --resume goes on from the newest snapshot"
    )


def _prepare_worker() -> None:
    """Make a process that was just started a quiet one: one thread for each library, deaf to Ctrl-C, gone with its parent."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.set_wakeup_fd(-1)  # it is the parent's: signals of this process must not reach it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends its workers
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)  # a plain exit would wait until somebody has read what was made

        threading.Thread(target=follow, name="parent's end", daemon=True).start()


def make_truth(images: Sequence[AnnotatedImage]) -> GroundTruth:
    """Put the objects of annotated images into slots, as many as the image with most has; none is a crowd."""
    slots = max(len(image.labels) for image in images)
    boxes = torch.zeros(len(images), slots, 4)
    labels = torch.zeros(len(images), slots, dtype=torch.int64)
    valid = torch.zeros(len(images), slots, dtype=torch.bool)
    for row, image in enumerate(images):
        count = len(image.labels)
        boxes[row, :count], labels[row, :count] = torch.from_numpy(image.boxes), torch.from_numpy(image.labels)
        valid[row, :count] = True
    outlines = [[[polygon.tolist() for polygon in outline] for outline in image.outlines] for image in images]
    return GroundTruth(boxes, labels, torch.zeros_like(valid), valid, outlines)
