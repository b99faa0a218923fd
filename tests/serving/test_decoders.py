import asyncio
import os
import signal
import time

import numpy as np
import pytest

from maskzoo.errors import ImageError
from maskzoo.serving.decoders import Decoders
from maskzoo.serving.limits import Limits
from networks import make_photo
from servers import encode


def run(work, number=1, **limits):
    """Run a coroutine with decoders, and end them."""

    async def all_of_it():
        decoders = Decoders(number, Limits(**limits))
        await decoders.start()
        try:
            return await work(decoders)
        finally:
            decoders.close()

    return asyncio.run(all_of_it())


def test_pictures_are_decoded_in_other_processes_as_they_are_here():
    photos = [make_photo(30 + seed, 40, seed) for seed in range(5)]

    async def work(decoders):
        return await asyncio.gather(*(decoders.decode(encode(photo)) for photo in photos))

    for found, photo in zip(run(work, 2), photos, strict=True):
        assert np.array_equal(found, photo) and found.dtype == np.uint8


def test_what_is_no_picture_is_an_image_error_and_the_next_one_is_read():
    async def work(decoders):
        for wrong in (b"", b"junk", encode(make_photo(30, 40))[:99]):
            with pytest.raises(ImageError, match=f"image of {len(wrong)} bytes"):
                await decoders.decode(wrong)
        return await decoders.decode(encode(make_photo(30, 40)))

    assert run(work).shape == (30, 40, 3)


def test_the_limit_of_pixels_is_checked_before_decoding():
    async def work(decoders):
        with pytest.raises(ImageError, match="1,200 pixels; expected at most 1,000"):
            await decoders.decode(encode(make_photo(30, 40)))

    run(work, max_pixels=1000)


def test_a_picture_that_ends_its_process_fails_alone():
    async def work(decoders):
        loop = asyncio.get_running_loop()
        process = decoders._all[0]._process
        os.kill(process.pid, signal.SIGSTOP)
        waiting = loop.create_task(decoders.decode(encode(make_photo(30, 40))))
        await asyncio.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ImageError, match="ended the process"):
            await waiting
        return await decoders.decode(encode(make_photo(30, 40)))

    assert run(work).shape == (30, 40, 3)


def test_a_picture_that_nobody_waits_for_any_more_ends_no_process_and_is_nobody_elses():
    async def work(decoders):
        process = decoders._all[0]._process
        os.kill(process.pid, signal.SIGSTOP)
        left = asyncio.ensure_future(decoders.decode(encode(make_photo(20, 20))))
        await asyncio.sleep(0.1)
        left.cancel()
        next_one = asyncio.ensure_future(decoders.decode(encode(make_photo(30, 40))))
        await asyncio.sleep(0.1)
        os.kill(process.pid, signal.SIGCONT)
        assert (await next_one).shape == (30, 40, 3) and left.cancelled()
        assert decoders._all[0]._process is process

    run(work)


def test_a_picture_that_takes_too_long_is_given_up():
    async def work(decoders):
        os.kill(decoders._all[0]._process.pid, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(ImageError, match=r"more than 0\.3 seconds"):
            await decoders.decode(encode(make_photo(30, 40)))
        assert time.monotonic() - start < 5
        return decoders._all[0]._process

    assert run(work, decode_seconds=0.3) is None


def test_a_picture_that_takes_too_much_memory_is_given_up(monkeypatch):
    monkeypatch.setattr("maskzoo.serving.decoders.SPARE", 20_000_000)
    monkeypatch.setattr("maskzoo.serving.decoders.BYTES_PER_PIXEL", 0)

    async def work(decoders):
        with pytest.raises(ImageError, match="too much memory"):
            await decoders.decode(encode(np.zeros((6000, 6000), np.uint8)))
        return await decoders.decode(encode(make_photo(30, 40)))

    assert run(work, max_bytes=1000).shape == (30, 40, 3)
