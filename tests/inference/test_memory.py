import os
import platform
import subprocess
import sys

import pytest

from maskzoo.inference.memory import find_allocator, keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"

# Grows by 256 MB, frees it, and prints how much of the process is in memory before and after, in pages.
PROGRAM = """
import sys
from maskzoo.inference.memory import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

agreed = keep_freed_memory() if sys.argv[1] == "keep" else False
before = resident()
block = bytearray(256 << 20)
block[::4096] = bytes(len(block) // 4096)
full = resident()
del block
print(agreed, full - before, resident() - before)
"""


def run(how, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    agreed, grown, left = done.stdout.split()
    return agreed == "True", int(grown), int(left)


@pytest.mark.skipif(not GLIBC, reason="only glibc can be asked")
def test_freed_memory_stays_with_the_process_only_if_it_is_asked_for():
    """In a process of its own: it holds for the whole process."""
    agreed, grown, left = run("keep")
    assert agreed and grown > 60_000
    assert left >= 0.95 * grown
    agreed, grown, left = run("leave")
    assert not agreed and grown > 60_000
    assert left < 0.05 * grown


@pytest.mark.skipif(GLIBC, reason="glibc agrees")
def test_another_c_library_is_not_asked():
    assert keep_freed_memory() is False


@pytest.mark.skipif(not GLIBC, reason="only glibc can be asked")
def test_the_environment_turns_it_off():
    agreed, grown, left = run("keep", MASKZOO_KEEP_MEMORY="0")
    assert not agreed and grown > 60_000
    assert left < 0.05 * grown
    assert run("keep", MASKZOO_KEEP_MEMORY="1")[0]


def test_a_preloaded_allocator_is_named_and_not_asked(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")
    assert find_allocator() == "jemalloc"
    assert keep_freed_memory() is False
    monkeypatch.delenv("LD_PRELOAD")
    assert (find_allocator() == "glibc") == GLIBC
