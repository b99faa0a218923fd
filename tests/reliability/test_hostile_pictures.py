"""Pictures that are cut, spoilt, spliced, overloaded or of absurd size: each is read or refused by name, at once."""

import collections
import os
import random
import time

import numpy as np
import pytest

from encoded_pictures import ENCODED, MORE_ENCODED
from hostile_pictures import declare, make_hostile
from maskzoo.errors import ImageError
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.georeference import read_georeference
from maskzoo.images.read import UNTRUSTED_PIXELS, check_untrusted, read_image, read_stored
from maskzoo.images.windows import open_windows
from watched import is_alone, needs_fork, watch, within

COUNT = int(os.environ.get("MASKZOO_PICTURES", "20000"))
SEED = 26
SLOW = 2.0  # seconds of a core that reading a picture may take
SUFFIXES = [*sorted(IMAGE_SUFFIXES), ".txt", ".json", ""]
BOMBS = [(65535, 65535), (60000, 40000), (1 << 31, 1 << 31), ((1 << 32) - 1, 7), (16384, 16384), (30000, 8000)]


def read_in_every_way(folder, number):
    """Read a hostile file as the server, a command, `data check` and the readers of masks and large images do."""
    content, draw = make_hostile(number, SEED), random.Random(number)
    path = folder / f"hostile{draw.choice(SUFFIXES)}"
    path.write_bytes(content)
    ways = {
        "bytes": lambda: read_image(content, max_pixels=UNTRUSTED_PIXELS),
        "path": lambda: read_image(path, max_pixels=UNTRUSTED_PIXELS),
        "stored": lambda: np.asarray(read_stored(path, max_pixels=UNTRUSTED_PIXELS)),
        "header": lambda: check_untrusted(content, str(path)),
        "map": lambda: read_georeference(path),
        "windows": lambda: _read_windows(path),
    }
    all_ways = draw.random() < 0.1
    answers = {}
    for name in ways if all_ways else ["bytes", draw.choice(["path", "stored", "header", "map", "windows"])]:
        try:
            answers[name] = within(SLOW, ways[name])
        except ImageError as error:
            answers[name] = str(error)
            assert (path.name in str(error)) is (name != "bytes") and "\n" not in str(error), (name, str(error))
    pixels = answers["bytes"]
    if isinstance(pixels, str):
        return "refused"
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.flags.c_contiguous
    assert 0 < pixels.shape[0] * pixels.shape[1] <= UNTRUSTED_PIXELS
    if "path" in answers:
        assert np.array_equal(pixels, answers["path"])
    return "read"


def _read_windows(path):
    try:
        check_untrusted(path.read_bytes(), str(path))
        with open_windows(path) as windows:
            height, width = windows.size
            if height * width <= UNTRUSTED_PIXELS:
                return windows.read(max(0, width - 50), max(0, height - 50), width, height)
    except ImageError:
        raise
    return None


def try_pictures(folder, first, count):
    """Return how many were read and refused, once none crashed, hung or raised another error."""
    return collections.Counter(watch(lambda number: read_in_every_way(folder, number), count, folder, first))


@needs_fork
def test_hostile_pictures_are_read_or_refused(request, tmp_path):
    if not is_alone(request):
        return
    found = try_pictures(tmp_path, 0, 200)
    assert min(found["read"], found["refused"]) > 25


@needs_fork
@pytest.mark.reliability
def test_many_thousands_of_hostile_pictures(tmp_path):
    print(f"{COUNT} pictures: {dict(try_pictures(tmp_path, 0, COUNT))}")


def list_bombs():
    for name, content in (ENCODED | MORE_ENCODED).items():
        for width, height in BOMBS:
            if (bomb := declare(content, width, height)) != content:
                yield name, bomb


def test_bombs_are_refused_from_the_header(request):
    if not is_alone(request):  # where freed memory is kept, libwebp's canvas is filled with zeros as soon as a file is opened
        return
    slow, refused = {}, 0
    for name, bomb in list_bombs():
        seconds = []
        for _ in range(3):  # the machine may be busy with something else
            began = time.process_time()
            with pytest.raises(ImageError) as caught:
                read_image(bomb, max_pixels=10**8)
            seconds.append(time.process_time() - began)
        refused += "pixels; expected at most" in str(caught.value)
        if min(seconds) > 0.02:
            slow[name] = seconds
    assert slow == {} and refused > 100
