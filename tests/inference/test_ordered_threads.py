import threading
import time

import pytest
import torch

from maskzoo.errors import ArgumentError, ImageError
from maskzoo.inference.backends import Eager
from maskzoo.inference.ordered_threads import AHEAD, map_in_order
from maskzoo.inference.predictor import Predictor
from networks import FPN, make_photo, small_config, small_network, small_predictor


def test_results_come_in_the_order_of_the_items_though_later_ones_are_ready_first():
    def work(number):
        time.sleep(0.02 * (number % 3 == 0))
        return number

    assert list(map_in_order(work, range(12), 3)) == list(range(12))


def test_items_are_taken_only_a_little_ahead_of_their_results():
    taken = []
    results = map_in_order(lambda item: item, (taken.append(number) or number for number in range(1000)), 2)
    for number in range(50):
        assert next(results) == number
        assert len(taken) <= number + 1 + AHEAD * 2
    results.close()
    assert len(taken) < 60


def test_an_error_in_a_worker_reaches_the_caller_in_its_place_and_ends_the_rest():
    begun = []

    def work(number):
        begun.append(number)
        if number == 3:
            raise OSError("the disk is full")
        return number

    results = map_in_order(work, range(1000), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is full"):
        next(results)
    assert len(begun) < 20


def test_two_workers_are_at_work_at_once_and_share_the_threads():
    meeting, threads = threading.Barrier(2, timeout=30), set()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)

        def work(_):
            meeting.wait()
            threads.add(torch.get_num_threads())

        list(map_in_order(work, range(2), 2))
        assert threads == {1} and torch.get_num_threads() == 2
        assert small_predictor().backend.choose_workers() == 2
    finally:
        torch.set_num_threads(before)


def test_workers_below_one_are_refused():
    with pytest.raises(ArgumentError, match="workers is 0"):
        list(map_in_order(abs, [1], 0))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_predictions_of_many_workers_are_bit_for_bit_those_of_one(batch_size, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    sources = [make_photo(60 + number % 2, 90, number) for number in range(8)]
    sources.insert(5, bad)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [result for _, result in small_predictor().predict_each(sources, batch_size=batch_size, score=0)]
        # A new network: its first calls, which order the weights, happen in several threads at once.
        config = small_config(FPN)
        fresh = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
        together = list(fresh.predict_each(sources, batch_size=batch_size, workers=4, score=0))
    finally:
        torch.set_num_threads(before)
    assert all(first is second for first, (second, _) in zip(sources, together, strict=True))
    assert isinstance(together[5][1], ImageError)
    assert sum(len(result) for result in alone if not isinstance(result, ImageError)) > 0
    for first, (_, second) in zip(alone, together, strict=True):
        if not isinstance(first, ImageError):
            assert first.boxes.tobytes() == second.boxes.tobytes()
            assert first.scores.tobytes() == second.scores.tobytes()
            assert first.to_coco(1) == second.to_coco(1)
