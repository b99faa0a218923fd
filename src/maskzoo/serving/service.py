"""From the bytes of a request to predictions: decoding, batching and encoding, each in its own place."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from maskzoo.errors import ArgumentError, ImageError, RequestError, list_some, suggest
from maskzoo.inference.choice import Choice
from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.serving.batcher import Batcher
from maskzoo.serving.decoders import Decoders
from maskzoo.serving.limits import Limits, Slots
from maskzoo.serving.metrics import Metrics, write_log
from maskzoo.serving.schema import ModelFacts, ModelList
from maskzoo.serving.uploads import Content
from maskzoo.system.waiting import release_team

__all__ = ["FAILED", "Service", "fail_alone"]

Made = TypeVar("Made")

WARM = (480, 640, 3)  # what most cameras make: oneDNN orders the weights for the first canvas, and is slower with others
FAILED = "the server failed; its log has the reason under this id"


async def fail_alone(work: Awaitable[Made], request_id: str) -> Made | RequestError:
    """Return what the work on one of several photos gives, or why it gives nothing: the others go on."""
    try:
        return await work
    except RequestError as error:
        return error
    except ImageError as error:
        return RequestError(str(error), 422)
    except Exception as error:
        write_log("failed", logging.ERROR, error=error, id=request_id)
        return RequestError(FAILED, 500)


class Service:
    """Models by name, the first being the default, and what they share: limits, decoding processes, threads, counters."""

    def __init__(self, models: Mapping[str, Predictor], limits: Limits, decoders: int) -> None:
        self.limits, self.metrics, self.slots = limits, Metrics(), Slots(limits)
        self.models = dict(models)
        self.ready = self.draining = False
        # One thread has all of torch's for itself, whichever model is asked; the others share out the photos instead.
        self._torch_threads = torch.get_num_threads()
        self._network = ThreadPoolExecutor(1, "network", torch.set_num_threads, (self._torch_threads,))
        self._threads = ThreadPoolExecutor(decoders + 1, "encode", torch.set_num_threads, (1,))
        self._batchers = {name: Batcher(one, limits, self._network, self._count_batches(name)) for name, one in models.items()}
        self._decoders = Decoders(decoders, limits)
        self._room = asyncio.Semaphore(2 * limits.max_batch)  # decoded photos are large
        self.metrics.under_way.set_function(lambda: self.slots.taken)

    def _count_batches(self, name: str) -> Callable[[int, float], None]:
        def count(size: int, seconds: float) -> None:
            self.metrics.batch_size.labels(name).observe(size)
            self.metrics.batch_seconds.labels(name).observe(seconds)

        return count

    async def start(self) -> None:
        """Start the processes, and run each network once: the first photo takes longer than any other."""
        await self._decoders.start()
        for batcher in self._batchers.values():
            batcher.start()
            await batcher.predict(batcher.predictor.prepare(np.full(WARM, 128, np.uint8)))
        release_team()
        self.ready = True

    async def close(self) -> None:
        """End what `start` has started."""
        self.ready = False
        for batcher in self._batchers.values():
            await batcher.close()
        self._decoders.close()
        self._threads.shutdown()
        self._network.shutdown()
        torch.set_num_threads(self._torch_threads)  # a pool's number became the default of later threads

    async def run(self, work: Callable[..., Made], *arguments: Any) -> Made:
        """Run `work` in a thread for encoding."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def choose(self, name: str | None) -> str:
        """Return the name of a model, the default's for None. Raises RequestError (404) if there is none of this name."""
        if name is None:
            return next(iter(self.models))
        if name not in self.models:
            known = f"expected one of {list_some(self.models)}"
            raise RequestError(f"no model is called {name[:80]!r}; {suggest(name[:80], self.models) or known}", 404)
        return name

    def choose_objects(self, name: str, score: float, classes: Sequence[str]) -> Choice:
        """Return which objects are wanted, all classes if none is named. Raises RequestError (422) for an unknown one."""
        try:
            return Choice.make(score, [one[:80] for one in classes] or None, self.models[name].config)
        except ArgumentError as error:
            raise RequestError(str(error), 422) from None

    async def predict(self, name: str, content: Content, choice: Choice) -> Prediction:
        """Return what is on one photo. Raises ImageError if it cannot be read within the limits."""
        batcher = self._batchers[name]
        async with self._room:
            with self.measure(name, "decode"), batcher.expect():
                pixels = await self._decoders.decode(content)
                photo = await self.run(batcher.predictor.prepare, pixels)
            with self.measure(name, "predict"):
                prediction = await batcher.predict(photo)
        self.metrics.objects.labels(name).inc(len(prediction))
        return choice.apply(prediction)

    @contextmanager
    def measure(self, name: str, stage: str) -> Iterator[None]:
        """Count the seconds of a stage."""
        start = time.perf_counter()
        yield
        self.metrics.stages.labels(name, stage).observe(time.perf_counter() - start)

    def list_models(self) -> ModelList:
        """Return what there is to choose from."""
        return ModelList(models=[_tell(name, one, place == 0) for place, (name, one) in enumerate(self.models.items())])

    @staticmethod
    def to_json(value: Any) -> bytes:
        """Return JSON text; a number that is not finite would be none and raises ValueError."""
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _tell(name: str, predictor: Predictor, default: bool) -> ModelFacts:
    config = predictor.config
    return ModelFacts(
        name=name,
        default=default,
        row=config.name,
        backend=predictor.backend.name,
        dtype=predictor.backend.dtype,
        classes={str(number): text for number, text in config.classes.items()},
        short_side=config.input.short_side,
        long_side=config.input.long_side,
    )
