"""Photos that break what reads or computes them, each in a batch with seven others: these have their answers."""

import os
import random

import numpy as np
import pytest
import torch

from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from networks import THIN, make_photo, small_config, sure_network
from servers import encode, running, some_photo

ROUNDS = int(os.environ.get("MASKZOO_POISONED_BATCHES", "1000"))
SEED = 26
WHITE = encode(np.full((64, 64, 3), 255, np.uint8))  # the network is made to break at it
POISON = {
    "breaks the network": (WHITE, 500),
    "is damaged": (some_photo(64, 64, 9)[:-60], 422),
    "is none": (b"junk" * 20, 422),
    "is empty": (b"", 422),
    "is too large": (encode(np.zeros((3000, 3000), np.uint8)), 422),
    "claims more than it has": (encode(make_photo(64, 64, 9), "JPEG")[:400], 422),
}


def poison_batches(rounds):
    """Send so many batches of eight, one of which is poisoned, and compare the other seven with what each is alone."""
    config = small_config("mask_rcnn_r50_fpn_1x_coco", *THIN)
    predictor = Predictor(Eager(sure_network(config), torch.device("cpu"), torch.float32), config)
    predict = predictor.predict_prepared

    def choke(photos):
        if any((photo.pixels == 255).all() for photo in photos):
            raise RuntimeError("white")
        return predict(photos)

    draw, photos = random.Random(SEED), [some_photo(64, 64, seed) for seed in range(20)]
    alone = [predictor.predict(photo, score=0) for photo in photos]
    predictor.predict_prepared = choke
    with running({"small": predictor}, max_pixels=1_000_000) as server, server.http() as http:
        for _ in range(rounds):
            kind, place, chosen = draw.choice(sorted(POISON)), draw.randrange(8), draw.sample(range(len(photos)), 7)
            content, status = POISON[kind]
            files = [photos[number] for number in chosen]
            files.insert(place, content)
            answer = http.post("/v1/predict/batch?score=0", files=[("image", one) for one in files])
            assert answer.status_code == 200, answer.text
            results = answer.json()["results"]
            assert results.pop(place)["status"] == status, kind
            for number, result in zip(chosen, results, strict=True):
                rows, right = result["detections"], alone[number]
                assert len(rows) == len(right) > 0, kind
                assert [row["name"] for row in rows] == list(right.names)
                assert np.allclose([row["box"] for row in rows], right.boxes, atol=1e-3)
                assert np.allclose([row["score"] for row in rows], right.scores, atol=1e-4)
                assert np.allclose([row["area"] for row in rows], right.masks.area(), atol=2)


def test_seven_neighbours_of_a_poisoned_photo_are_answered():
    poison_batches(6)


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_seven_neighbours_of_many_poisoned_photos_are_answered():
    poison_batches(ROUNDS)
