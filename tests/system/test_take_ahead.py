"""A step in a thread of its own: order, errors, how far ahead, and that it ends."""

import threading
import time
from contextlib import closing

import pytest

from maskzoo.system.take_ahead import take_ahead


def wait_until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def test_items_come_in_their_order_and_are_taken_by_another_thread():
    threads = set()

    def count():
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    assert list(take_ahead(count(), 3)) == list(range(50))
    assert threads and threading.get_ident() not in threads
    assert list(take_ahead([], 3)) == []


def test_no_more_than_so_many_items_are_taken_before_they_are_needed():
    taken = []
    with closing(take_ahead(map(taken.append, range(100)), 3)) as items:
        next(items)
        wait_until(lambda: len(taken) >= 5)  # the first, three that wait, and one that finds no room
        time.sleep(0.1)
        assert len(taken) == 5


def test_an_error_leaves_in_its_place():
    def fail():
        yield 1
        yield 2
        raise ValueError("at the third")

    seen = []
    with pytest.raises(ValueError, match="at the third"):
        for item in take_ahead(fail(), 8):
            seen.append(item)
    assert seen == [1, 2]


def test_a_caller_that_stops_leaves_no_thread_behind():
    taken = []
    with closing(take_ahead(map(taken.append, range(10_000)), 2)) as items:
        next(items)
    count = len(taken)
    assert count < 10 and not [thread for thread in threading.enumerate() if thread.name == "maskzoo-ahead"]


def test_the_newest_items_are_kept_where_nobody_waits_for_the_caller():
    done = threading.Event()

    def hurry():
        yield from range(1000)
        done.set()

    items = take_ahead(hurry(), 3, newest=True)
    first = next(items)
    assert done.wait(5)  # it went on to the end, though nobody took anything
    rest = list(items)
    assert rest == sorted(rest) and first not in rest and rest[-1] == 999 and len(rest) <= 3
