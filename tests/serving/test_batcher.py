import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from maskzoo.serving.batcher import Batcher
from maskzoo.serving.limits import Limits
from networks import make_photo, small_predictor

THREAD = ThreadPoolExecutor(1)


class Recorder:
    """A predictor that writes down its batches, and cannot bear white photos."""

    def __init__(self):
        self.predictor, self.batches = small_predictor(), []

    def prepare(self, source):
        return self.predictor.prepare(source)

    def predict_prepared(self, photos):
        self.batches.append([photo.canvas for photo in photos])
        if any((photo.pixels == 255).all() for photo in photos):
            raise RuntimeError("white")
        return self.predictor.predict_prepared(photos)


def run(photos, *, expected=0, **limits):
    """Predict all at once; `expected` photos are announced and never come."""
    recorder, sizes = Recorder(), []

    async def all_of_it():
        batcher = Batcher(recorder, Limits(**limits), THREAD, lambda size, seconds: sizes.append(size))
        batcher.start()
        batcher._coming += expected
        tasks = [batcher.predict(recorder.prepare(photo)) for photo in photos]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return results

    start = time.monotonic()
    return asyncio.run(all_of_it()), recorder.batches, sizes, time.monotonic() - start


def test_photos_of_one_canvas_are_computed_together_and_no_others():
    photos = [make_photo(64, 96, 1), make_photo(96, 64, 2), make_photo(64, 96, 3), make_photo(96, 64, 4), make_photo(64, 96, 5)]
    results, batches, sizes, _ = run(photos, max_batch=2)
    assert sorted(sizes) == [1, 2, 2] and all(len(set(batch)) == 1 for batch in batches)
    for photo, result in zip(photos, results, strict=True):
        expected = small_predictor().predict_prepared([small_predictor().prepare(photo)])[0]
        assert result.size == photo.shape[:2] and result.names == expected.names
        assert np.allclose(result.boxes, expected.boxes, atol=1e-3)


def test_a_lone_photo_does_not_wait_and_equals_the_predictors_bit_for_bit():
    photo = make_photo(64, 96)
    (result,), _, _, seconds = run([photo], max_wait_ms=60_000.0)
    expected = small_predictor().predict_prepared([small_predictor().prepare(photo)])[0]
    assert seconds < 30
    assert np.array_equal(result.boxes, expected.boxes) and np.array_equal(result.scores, expected.scores)
    assert np.array_equal(result.masks.probabilities, expected.masks.probabilities)


def test_a_photo_waits_for_others_that_are_announced_but_not_for_long():
    *_, seconds = run([make_photo(64, 96)], expected=1, max_wait_ms=600.0)
    assert seconds >= 0.6


def test_a_photo_that_breaks_the_network_fails_alone():
    white = np.full((64, 96, 3), 255, np.uint8)
    results, batches, *_ = run([make_photo(64, 96, 1), white, make_photo(64, 96, 2)], max_batch=3)
    assert [len(batch) for batch in batches] == [3, 1, 1, 1]
    assert isinstance(results[1], RuntimeError) and len(results[0]) and len(results[2])


def test_an_announcement_ends_with_its_block():
    async def work():
        batcher = Batcher(small_predictor(), Limits(), THREAD, lambda size, seconds: None)
        with pytest.raises(ZeroDivisionError), batcher.expect():
            assert batcher._coming == 1
            raise ZeroDivisionError
        return batcher._coming

    assert asyncio.run(work()) == 0


def test_a_photo_whose_request_was_cancelled_is_not_computed_again():
    """The batch fails while it is computed; of its photos only those that somebody still waits for are tried alone."""
    recorder, started, go_on = Recorder(), threading.Event(), threading.Event()

    def predict(photos):
        if len(photos) > 1:
            started.set()
            assert go_on.wait(30)
        return Recorder.predict_prepared(recorder, photos)

    async def leave_one():
        batcher = Batcher(SimpleNamespace(predict_prepared=predict), Limits(max_batch=3), THREAD, lambda size, seconds: None)
        batcher.start()
        white = np.full((64, 96, 3), 255, np.uint8)
        photos = [recorder.prepare(one) for one in (white, make_photo(64, 96, 1), make_photo(64, 96, 2))]
        tasks = [asyncio.ensure_future(batcher.predict(one)) for one in photos]
        await asyncio.to_thread(started.wait, 30)
        tasks[1].cancel()
        await asyncio.sleep(0)
        go_on.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return results

    white, left, other = asyncio.run(leave_one())
    assert isinstance(white, RuntimeError) and isinstance(left, asyncio.CancelledError) and len(other)
    assert [len(batch) for batch in recorder.batches] == [3, 1, 1]
