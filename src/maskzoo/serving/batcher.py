"""Photos of one canvas that arrive together are computed together; a lone one never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import Photo, Predictor
from maskzoo.serving.limits import Limits

__all__ = ["Batcher"]

Result = Prediction | Exception


@dataclass(slots=True, eq=False)
class _Waiting:
    photo: Photo
    result: asyncio.Future[Prediction]
    since: float


class Batcher:
    """One model's queue. Batches never change a result: only photos that fill the same canvas share one.

    It computes in `thread`. `on_batch` is called with the size of each batch and the seconds that it took.
    """

    def __init__(self, predictor: Predictor, limits: Limits, thread: Executor, on_batch: Callable[[int, float], None]) -> None:
        self.predictor, self._limits, self._thread, self._on_batch = predictor, limits, thread, on_batch
        self._queue: list[_Waiting] = []
        self._coming = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take photos."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; nobody may be waiting any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def expect(self) -> Iterator[None]:
        """Announce a photo that is being decoded: others wait for it a little, and for nobody if none is announced."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._changed.set()

    async def predict(self, photo: Photo) -> Prediction:
        """Return the prediction of one photo. Raises whatever the network raises for it."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(photo, loop.create_future(), loop.time())
        self._queue.append(waiting)
        self._changed.set()
        try:
            return await waiting.result
        finally:
            if waiting in self._queue:  # its request was cancelled
                self._queue.remove(waiting)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            group = await self._gather()
            if not group:  # whoever waited has left
                continue
            start = loop.time()
            results = await loop.run_in_executor(self._thread, self._compute, group)
            self._on_batch(len(group), loop.time() - start)
            for one, result in zip(group, results, strict=True):
                if one.result.done():  # its request was cancelled
                    continue
                if isinstance(result, Exception):
                    one.result.set_exception(result)
                else:
                    one.result.set_result(result)

    async def _gather(self) -> list[_Waiting]:
        """Take the first photo and those of its canvas, after a short wait for what is being decoded."""
        first = self._queue[0]
        end = first.since + self._limits.max_wait_ms / 1000
        while True:
            alike = [one for one in self._queue if one.photo.canvas == first.photo.canvas]
            left = end - asyncio.get_running_loop().time()
            if len(alike) >= self._limits.max_batch or not self._coming or left <= 0:
                break
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        group = alike[: self._limits.max_batch]
        self._queue = [one for one in self._queue if one not in group]
        return group

    def _compute(self, group: Sequence[_Waiting]) -> list[Result]:
        try:
            return list(self.predictor.predict_prepared([one.photo for one in group]))
        except Exception as error:
            if len(group) == 1:
                return [error]
            # One that fails, fails alone; whose request was cancelled meanwhile is not computed again.
            return [error if one.result.done() else self._compute([one])[0] for one in group]
