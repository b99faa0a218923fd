"""Many requests of photos of changing sizes: a server holds no more memory at their end than when it was warm."""

import gc
import os
import random

import httpx
import pytest

from servers import post, running, some_photo, started, write_small_model
from watched import is_alone

COUNT = int(os.environ.get("MASKZOO_SERVER_REQUESTS", "20000"))
WARM = 0.2  # of the requests: until each size of what the network holds was there
SEED = 26


def draw_photos(number):
    draw = random.Random(SEED)
    return [some_photo(draw.randrange(16, 200), draw.randrange(16, 200), seed) for seed in range(number)]


def test_a_request_leaves_no_object_behind(request):
    if not is_alone(request):  # others' threads make objects too
        return
    photos, counts = draw_photos(3), []
    with running() as server, server.http() as http:
        for _ in range(3):
            for photo in photos:
                for masks in ("rle", "png"):
                    assert post(http, photo, score=0, masks=masks).status_code == 200
                assert http.post("/v1/predict", files={"image": photo[:99]}).status_code == 422
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert counts[2] - counts[1] < 9  # requests


@pytest.mark.reliability
@pytest.mark.timeout(7200)
def test_memory_is_level_over_many_requests(tmp_path):
    draw, photos, held = random.Random(SEED), draw_photos(500), []
    with (
        started(write_small_model(tmp_path)) as server,
        httpx.Client(base_url=server.address, trust_env=False, timeout=60) as http,
    ):
        for done in range(COUNT + 1):
            if done % (COUNT // 20) == 0:
                held.append(server.memory())
            masks = draw.choice(("rle", "polygon", "png", "none"))
            assert post(http, draw.choice(photos), score=0, masks=masks).status_code == 200
    print(f"{COUNT} requests; MB: {[round(one, 1) for one in held]}")
    assert max(held[-4:]) - held[int(20 * WARM)] < 20
