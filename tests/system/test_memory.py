import os
import platform
import subprocess
import sys

import pytest

from maskzoo.system.memory import MOST_SETUPS, SETUPS, SWITCH, bound_setups, find_allocator, keep_freed_memory
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, THIN, small_config, small_network

GLIBC = platform.libc_ver()[0] == "glibc"

# Grows by 256 MB, frees it, and prints how much of the process is in memory before and after, in pages.
PROGRAM = """
import sys
from maskzoo.system.memory import keep_freed_memory

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


# Calls a thin network on canvases of many sizes, and prints the resident memory in MB after the first half and at the end.
CALLS = """
import random, sys
from pathlib import Path
import torch
import maskzoo
from maskzoo.structures import ImageBatch

model, backend, calls, side = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
maskzoo.keep_freed_memory()
network = maskzoo.load(model, backend=backend, device="cpu").backend
draw = random.Random(0)

def call(height, width):
    pixels = torch.zeros(1, 3, height, width).to(memory_format=torch.channels_last)
    pixels[:, :, ::3] = draw.random()
    network.detect(ImageBatch(pixels, torch.tensor([[height, width]], dtype=torch.float32)))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

call(32 * side, 32 * side)
for number in range(calls):
    call(32 * draw.randint(2, side), 32 * draw.randint(2, side))
    if number == calls // 2:
        warm = resident()
print(warm, resident())
"""


def measure_growth(folder, backend, calls, side):
    config = small_config(FPN, *THIN)
    model = folder / "thin.safetensors"
    write_checkpoint(model, small_network(config).state_dict(), config, {"source": "random"})
    command = [sys.executable, "-c", CALLS, str(model), backend, str(calls), str(side)]
    environment = os.environ | {"MASKZOO_HOME": str(folder / "home")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    warm, end = map(float, done.stdout.split())
    print(f"{backend}: {warm:.0f} MB after {calls // 2} calls, {end:.0f} MB after {calls}")
    return warm, end


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in /proc")
def test_photos_of_changing_sizes_do_not_grow_the_process(tmp_path):
    warm, end = measure_growth(tmp_path, "eager", calls=600, side=10)
    assert end <= warm + 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in /proc")
@pytest.mark.parametrize("backend", ["eager", "openvino"])
def test_two_thousand_calls_do_not_grow_the_process(tmp_path, backend):
    if backend != "eager":
        pytest.importorskip(backend)
    warm, end = measure_growth(tmp_path, backend, calls=2000, side=20)
    assert end <= warm + 20


def test_the_bound_on_setups_is_set_once_and_a_value_of_the_users_stands(monkeypatch):
    monkeypatch.setenv(SETUPS, "7")
    assert bound_setups() == 7
    monkeypatch.delenv(SETUPS)
    monkeypatch.setenv(SWITCH, "0")
    assert bound_setups() is None and SETUPS not in os.environ
    monkeypatch.delenv(SWITCH)
    assert bound_setups() == bound_setups() == MOST_SETUPS == int(os.environ[SETUPS])


# Twelve images. Each takes 12 MB and leaves a hole that the next one's does not fit into: what pins it is in no memory.
HOLES = """
import ctypes, sys
from maskzoo.system.memory import KeptMemory, _measure_resident, keep_freed_memory

reserve = ctypes.CDLL(None).malloc
reserve.argtypes, reserve.restype = [ctypes.c_size_t], ctypes.c_void_p

def fill(kilobytes):
    block = bytearray(kilobytes << 10)
    block[::4096] = bytes(len(block[::4096]))
    return block

if sys.argv[1] != "leave":
    keep_freed_memory()
kept, pins, given, before = KeptMemory(), [], 0, _measure_resident()
for image in range(12):
    block, hole = fill(12 << 10), fill(4000 + 100 * image)
    pins.append(reserve(15 << 20))
    del block, hole
    given += sys.argv[1] != "grow" and kept.bound()
after = _measure_resident()
large = fill(100 << 10)
del large
print(given, before, after, _measure_resident())
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc can be asked")
def test_kept_memory_that_grows_from_image_to_image_is_given_back():
    def run_images(how):
        done = subprocess.run([sys.executable, "-c", HOLES, how], capture_output=True, text=True, check=True)
        given, before, after, end = map(int, done.stdout.split())
        assert end - after < 9 << 20  # of a hundred: the largest blocks are not kept
        return given, (after - before) >> 20

    given, grown = run_images("bound")
    most = run_images("grow")[1]
    assert 1 < given <= 7 and grown < 0.6 * most  # after the first image, and at most after every second one
    assert run_images("leave")[0] == 0
