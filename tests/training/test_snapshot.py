import json
import random

import pytest
import torch

from maskzoo.errors import SnapshotError
from maskzoo.training.snapshot import MANIFEST, read_newest_snapshot, tidy_snapshots, write_snapshot


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"model.a": torch.full((3, 2), value), "momentum.a": torch.arange(4).to(torch.int64)}


def test_what_was_written_is_read(tmp_path):
    write_snapshot(tmp_path / "new", 7, tensors(0.1), {"progress": {"iteration": 7}})
    snapshot = read_newest_snapshot(tmp_path / "new")
    assert snapshot.state == {"progress": {"iteration": 7}} and snapshot.notes == ()
    assert snapshot.tensors.keys() == tensors(0.1).keys()
    assert all(torch.equal(snapshot.tensors[name], tensor) for name, tensor in tensors(0.1).items())


def test_channels_last_tensors_keep_their_values(tmp_path):
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    write_snapshot(tmp_path, 1, {"w": weight}, {})
    assert torch.equal(read_newest_snapshot(tmp_path).tensors["w"], weight)


def test_the_two_newest_are_kept_and_listed_newest_first(tmp_path):
    for iteration in (1, 2, 3):
        write_snapshot(tmp_path, iteration, tensors(iteration), {})
    rows = json.loads((tmp_path / MANIFEST).read_text())
    assert [row["iteration"] for row in rows] == [3, 2]
    assert sorted(path.name for path in tmp_path.glob("snapshot-*")) == sorted(row["file"] for row in rows)


def test_a_second_snapshot_of_one_iteration_does_not_touch_the_first(tmp_path):
    first = write_snapshot(tmp_path, 5, tensors(1), {})
    content = first.read_bytes()
    second = write_snapshot(tmp_path, 5, tensors(2), {})
    assert first != second and first.read_bytes() == content
    assert read_newest_snapshot(tmp_path).tensors["model.a"][0, 0] == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_newest_one_is_named_and_the_one_before_is_used(tmp_path, damage):
    write_snapshot(tmp_path, 1, tensors(1), {})
    newest = write_snapshot(tmp_path, 2, tensors(2), {})
    content = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes(content[:-5] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    snapshot = read_newest_snapshot(tmp_path)
    assert snapshot.tensors["model.a"][0, 0] == 1
    assert len(snapshot.notes) == 1 and newest.name in snapshot.notes[0]


def test_a_damaged_one_does_not_push_out_the_sound_one_before_it(tmp_path):
    sound = write_snapshot(tmp_path, 1, tensors(1), {})
    damaged = write_snapshot(tmp_path, 9, tensors(9), {})
    damaged.write_bytes(b"damaged")
    newest = write_snapshot(tmp_path, 2, tensors(2), {})  # of the run that went on from the sound one
    assert sorted(tmp_path.glob("snapshot-*")) == sorted([sound, newest])
    newest.unlink()
    assert read_newest_snapshot(tmp_path).tensors["model.a"][0, 0] == 1


def test_without_a_sound_snapshot_the_error_says_what_was_found(tmp_path):
    with pytest.raises(SnapshotError, match="none is there"):
        read_newest_snapshot(tmp_path)
    write_snapshot(tmp_path, 1, tensors(1), {}).write_bytes(b"")
    with pytest.raises(SnapshotError, match="damaged"):
        read_newest_snapshot(tmp_path)


ELSEWHERE = ("../x", "..", ".", "", "a\\u0000b", "\\ud800", "a" * 5000, "snapshots.json")
BROKEN = ["", "[", "{}", "[]", "null", "7", "[1]", "[" * 9000]
BROKEN += [f'[{{"file": "{name}", "sha256": "{64 * "a"}", "iteration": 1}}]' for name in ELSEWHERE]


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_manifest_is_made_anew_from_the_names_of_the_files(tmp_path, text):
    for iteration in (1, 2):
        write_snapshot(tmp_path, iteration, tensors(iteration), {})
    whole = (tmp_path / MANIFEST).read_bytes()
    (tmp_path / MANIFEST).write_text(text)
    assert read_newest_snapshot(tmp_path).tensors["model.a"][0, 0] == 2
    assert "made anew from 2 sound files" in tidy_snapshots(tmp_path)[0]
    assert (tmp_path / MANIFEST).read_bytes() == whole and tidy_snapshots(tmp_path) == []


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_manifest_without_snapshots_is_told(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    assert tidy_snapshots(tmp_path) == []
    with pytest.raises(SnapshotError, match="none is there"):
        read_newest_snapshot(tmp_path)


def test_whatever_happens_to_the_manifest_the_newest_sound_snapshot_is_read(tmp_path):
    """Cuts, flipped bits, lost and doubled pieces, in seeded places."""
    for iteration in (1, 2):
        write_snapshot(tmp_path, iteration, tensors(iteration), {})
    whole, draw = (tmp_path / MANIFEST).read_bytes(), random.Random(18)
    for case in range(300):
        damaged, place = bytearray(whole), draw.randrange(len(whole))
        if case % 3 == 0:
            damaged[place] ^= 1 << draw.randrange(8)
        elif case % 3 == 1:
            del damaged[place : place + draw.randrange(1, 200)]
        else:
            damaged[place:place] = draw.randbytes(draw.randrange(1, 20))
        (tmp_path / MANIFEST).write_bytes(damaged)
        tidy_snapshots(tmp_path)
        assert read_newest_snapshot(tmp_path).tensors["model.a"][0, 0] == 2, bytes(damaged)
        assert len(list(tmp_path.glob("snapshot-*"))) == 2
        (tmp_path / MANIFEST).write_bytes(whole)


def test_what_no_manifest_lists_and_what_is_half_written_is_removed(tmp_path):
    for iteration in (1, 2):
        write_snapshot(tmp_path, iteration, tensors(iteration), {})
    kept = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "snapshot-00000003-0123abcd.safetensors").write_bytes(b"renamed, but not listed when it was killed")
    (tmp_path / ".snapshot-00000003-0123abcd.safetensors.89abcdef.part").write_bytes(b"half")
    (tmp_path / ".snapshots.json.01234567.part").write_bytes(b"")
    assert tidy_snapshots(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_where_nothing_is_sound_nothing_is_removed(tmp_path):
    for iteration in (1, 2):
        write_snapshot(tmp_path, iteration, tensors(iteration), {}).write_bytes(b"damaged")
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert tidy_snapshots(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="file"):
        write_snapshot(tmp_path / "file", 1, tensors(1), {})
