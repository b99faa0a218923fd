"""Training twice, with any number of workers, gives the same bits; a batch gives what each of its photos gives alone."""

import os
import random
import sys

import pytest

from networks import make_photo, small_predictor
from ready_processes import start_verb, wait
from small_runs import assert_equal_runs, describe_run, write_data, write_model

COUNT = int(os.environ.get("MASKZOO_BATCHES", "500"))
SEED = 26
linux = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked")


@pytest.mark.reliability
@linux
@pytest.mark.parametrize("settings", [(), ("precision=bfloat16", "ema=0.9", "jitter=[0.5, 2.0]", "copy_paste=0.5")])
def test_the_same_training_twice_and_with_other_numbers_of_workers_is_bit_equal(tmp_path, settings):
    inputs = write_model(tmp_path), write_data(tmp_path / "data", train=8, val=2)
    runs = []
    for number, workers in enumerate((0, 0, 2, 4)):
        out = tmp_path / str(number)
        options = [part for text in (*settings, f"workers={workers}") for part in ("--set", f"run.{text}")]
        process = start_verb(tmp_path / "log", "train", *inputs, "--from", "none", "--out", out, *options)
        assert wait([process], 300) and process.exitcode == 0, (tmp_path / "log").read_text()
        runs.append(describe_run(out))
    for other in runs[1:]:
        assert_equal_runs(other, runs[0])


def predict_in_batches(count):
    """Predict photos of drawn sizes alone and in batches of drawn sizes; return the largest distance of a box, in pixels."""
    predictor, draw, farthest, objects = small_predictor(), random.Random(SEED), 0.0, 0
    for _ in range(count):
        photos = [
            make_photo(draw.randint(20, 90), draw.randint(20, 120), draw.randrange(99)) for _ in range(draw.randint(2, 5))
        ]
        together = predictor.predict(photos, batch_size=len(photos), score=0)
        for photo, found in zip(photos, together, strict=True):
            alone = predictor.predict(photo, score=0)
            assert found.names == alone.names
            if len(alone):
                farthest, objects = max(farthest, float(abs(found.boxes - alone.boxes).max())), objects + len(alone)
            for ours, other in zip(found.masks.rle(), alone.masks.rle(), strict=True):
                assert ours == other
    assert objects
    return farthest


def test_a_batch_gives_what_each_photo_gives_alone():
    assert predict_in_batches(1) <= 1e-4


@pytest.mark.reliability
def test_hundreds_of_batches():
    farthest = predict_in_batches(COUNT)
    print(f"{COUNT} batches: the farthest box is {farthest:.2g} pixels away")
    assert farthest <= 1e-4
