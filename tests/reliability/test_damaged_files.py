"""Cut, flipped and spliced snapshots and weights: the sound snapshot before is used; weights are refused or the same."""

import os
import random

import numpy as np
import pytest
import torch

from maskzoo.errors import MaskzooError, SnapshotError
from maskzoo.training.snapshot import read_newest_snapshot, write_snapshot
from maskzoo.weights.checkpoint import read_checkpoint, write_checkpoint
from networks import FPN, small_config

COUNT = int(os.environ.get("MASKZOO_MUTATIONS", "2000"))
SEED = 26


def damage(whole, draw):
    """Return a file that is not the same any more: one bit, one piece lost, cut off, or bytes put in."""
    changed, place = bytearray(whole), draw.randrange(len(whole))
    kind = draw.randrange(4)
    if kind == 0:
        changed[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del changed[place : place + draw.randrange(1, 5000)]
    elif kind == 2:
        del changed[place:]
    else:
        changed[place:place] = draw.randbytes(draw.randrange(1, 200))
    return bytes(changed)


def write_two(folder):
    for iteration in (1, 2):
        tensors = {"model.a": torch.full((40, 50), float(iteration)), "momentum.a": torch.zeros(2000)}
        newest = write_snapshot(folder, iteration, tensors, {"progress": {"iteration": iteration}})
    return newest


def try_snapshots(folder, count):
    newest = write_two(folder)
    whole, draw = newest.read_bytes(), random.Random(SEED)
    for _ in range(count):
        changed = damage(whole, draw)
        newest.write_bytes(changed)
        snapshot = read_newest_snapshot(folder)
        assert snapshot.state["progress"]["iteration"] == 1 or changed == whole
        assert torch.equal(snapshot.tensors["model.a"], torch.full((40, 50), 1.0))
        assert newest.name in snapshot.notes[0]


def test_a_damaged_snapshot_is_never_taken_for_a_sound_one(tmp_path):
    try_snapshots(tmp_path, 100)


@pytest.mark.reliability
def test_thousands_of_damaged_snapshots(tmp_path):
    try_snapshots(tmp_path, COUNT)


def test_where_both_snapshots_are_damaged_the_error_names_them(tmp_path):
    write_two(tmp_path)
    draw = random.Random(SEED)
    both = {path: path.read_bytes() for path in tmp_path.glob("snapshot-*")}
    for _ in range(50):
        for path, whole in both.items():
            path.write_bytes(damage(whole, draw))
        with pytest.raises(SnapshotError) as caught:
            read_newest_snapshot(tmp_path)
        assert all(path.name in str(caught.value) for path in both)


def try_weights(folder, count):
    """Damage weights: what loads despite it has the shapes that were written, or the file is refused by name."""
    config, path = small_config(FPN), folder / "a.safetensors"
    tensors = {"a.weight": torch.arange(600.0).reshape(20, 30), "b.bias": torch.ones(7)}
    write_checkpoint(path, tensors, config, {"source": "random"})
    whole, draw, read = path.read_bytes(), random.Random(SEED), 0
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for _ in range(count):
        path.write_bytes(damage(whole, draw))
        try:
            found = read_checkpoint(path)
        except MaskzooError as error:
            assert "a.safetensors" in str(error)
            continue
        read += 1
        assert sorted(tuple(np.shape(tensor)) for tensor in found.tensors.values()) == sorted(shapes.values())
    return read


def test_damaged_weights_are_refused_by_name_or_have_the_shapes_that_were_written(tmp_path):
    assert try_weights(tmp_path, 100) < 50  # a bit of a number flipped in a weight is a weight


@pytest.mark.reliability
def test_thousands_of_damaged_weights(tmp_path):
    assert try_weights(tmp_path, COUNT) < COUNT / 2
