"""The readers of files that are not trusted, on bytes changed by chance: nothing but the errors that they name.

`tools/fuzz.py` does the same guided by coverage.
"""

import os
import random

import pytest

from fuzzed import TARGETS
from watched import is_alone, needs_fork, watch, within

COUNT = int(os.environ.get("MASKZOO_FUZZ", "20000"))  # of each reader
SEED = 26
AT_ONCE = 50  # of which one answer tells
WORDS = [
    *(
        b"[" * 60,
        b"{",
        b"}",
        b"]",
        b"9" * 400,
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"~",
        b"!!int x",
        b"&a",
        b"*a",
        b"<<: ",
        b"'",
        b'"',
    ),
    *(b"\0", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80", b"\r\n", b"\\ud800", b"../", b"/", b"~x/", b": ", b"- ", b"="),
]


def change(content, draw, seeds):
    """Return a file of which some pieces are changed, lost, doubled, replaced or from another one."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4])):
        place, kind = draw.randrange(len(changed) + 1), draw.randrange(7)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[place : place + draw.choice([1, 2, 8, 100])]
        elif kind == 2:
            changed[place:place] = draw.choice(WORDS)
        elif kind == 3:
            changed[place : place + draw.choice([1, 4])] = draw.choice(WORDS)[:8]
        elif kind == 4:
            changed[place:place] = changed[place : place + draw.choice([5, 60])] * draw.choice([1, 2, 20])
        elif kind == 5:
            other = draw.choice(seeds)
            changed[place:] = other[draw.randrange(len(other)) :]
        else:
            changed[place : place + 1] = draw.randbytes(1)
    return bytes(changed)


def try_target(name, folder, count):
    """Return how many of so many files were read."""
    target = TARGETS[name]

    def try_some(number):
        draw, read = random.Random(f"{SEED} {name} {number}"), 0
        for _ in range(AT_ONCE):
            content = change(draw.choice(target.seeds), draw, target.seeds)
            read += within(2.0, lambda content=content: target.try_one(content, folder))
        return read

    return sum(watch(try_some, count // AT_ONCE, folder))


@needs_fork
@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_refuses_by_its_own_errors(request, tmp_path, name):
    if not is_alone(request):
        return
    try_target(name, tmp_path, 50)


@needs_fork
@pytest.mark.reliability
@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_refuses_by_its_own_errors_for_long(request, tmp_path, name):
    if not is_alone(request):
        return
    print(f"{name}: {try_target(name, tmp_path, COUNT)} of {COUNT} read")
