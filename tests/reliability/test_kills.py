"""A writer of snapshots that is killed at a random moment: a sound one is left, and nothing stale after tidying."""

import os
import random
import signal
import time

import pytest
import torch

from maskzoo.training.snapshot import MANIFEST, read_newest_snapshot, tidy_snapshots, write_snapshot

COUNT = int(os.environ.get("MASKZOO_KILLS", "200"))
MEGABYTES = int(os.environ.get("MASKZOO_KILLS_MB", "20"))
SEED = 26


def write_forever(folder, megabytes, first):
    for iteration in range(first, first + 10_000):
        write_snapshot(folder, iteration, {"w": torch.full((megabytes * 250_000,), float(iteration))}, {"at": iteration})


def kill_often(folder, count, megabytes):
    """Kill a writer so many times, and read what is left each time; return how many kills left half a file behind."""
    draw, last, half = random.Random(SEED), 1, 0
    write_snapshot(folder, last, {"w": torch.full((megabytes * 250_000,), float(last))}, {"at": last})
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                write_forever(folder, megabytes, last + 1)
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0, 0.2 + 0.02 * megabytes))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        half += any("part" in path.name for path in folder.iterdir())
        tidy_snapshots(folder)
        snapshot = read_newest_snapshot(folder)
        assert snapshot.state["at"] >= last and snapshot.notes == ()
        assert (snapshot.tensors["w"] == float(snapshot.state["at"])).all()
        last = snapshot.state["at"]
        left = [path.name for path in folder.iterdir()]
        assert all(name == MANIFEST or name.startswith("snapshot-") or name.endswith(".lock") for name in left), left
        assert sum(name.startswith("snapshot-") for name in left) <= 2
    return half


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the writer")
def test_a_kill_leaves_a_sound_snapshot_and_nothing_stale(tmp_path):
    kill_often(tmp_path, 10, 2)


@pytest.mark.reliability
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the writer")
def test_hundreds_of_kills_some_in_the_middle_of_a_file(tmp_path):
    half = kill_often(tmp_path, COUNT, MEGABYTES)
    print(f"{half} of {COUNT} kills were in the middle of a file")
    assert half > COUNT / 20
