"""Each write of a run fails once, or from then on: one sentence, the snapshot before intact, and it goes on exactly."""

import builtins
import errno
import io
import os
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import maskzoo
from maskzoo.errors import MaskzooError
from maskzoo.training.snapshot import read_newest_snapshot
from small_runs import write_data, write_model

COUNT = int(os.environ.get("MASKZOO_FAILING_WRITES", "0"))  # 0: each write once
SEED = 26
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT)


class Writes:
    """Counts what is written below a folder: files opened, written, flushed, renamed, folders made. The one with number `at`
    fails, and where it `stays` so all that come after it."""

    def __init__(self, monkeypatch, folder, at=0, number=errno.ENOSPC, stays=False):
        self.folder, self.at, self.number, self.stays = str(folder), at, number, stays
        self.count, self.failed, self.handles = 0, "", set()
        self.open, self.os_open = io.open, os.open
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", self.open_file)
        monkeypatch.setattr(os, "open", self.open_handle)
        for name in ("fsync", "ftruncate", "write", "replace", "rename", "mkdir"):
            monkeypatch.setattr(os, name, self.watch(name, getattr(os, name)))

    def is_ours(self, place):
        return place in self.handles if isinstance(place, int) else os.fspath(place).startswith(self.folder)

    def take(self, what):
        self.count += 1
        if self.count == self.at or (self.stays and self.failed):
            self.failed = self.failed or what
            raise OSError(self.number, os.strerror(self.number))

    def watch(self, name, call):
        def watched(place, *rest, **options):
            # Whoever makes a folder that may be there passes over every error if it is.
            if self.is_ours(place) and not (name == "mkdir" and Path(place).is_dir()):
                self.take(name)
            return call(place, *rest, **options)

        return watched

    def open_handle(self, path, flags, *rest, **options):
        ours = self.is_ours(path) and flags & (os.O_WRONLY | os.O_RDWR)
        if ours:
            nameless = getattr(os, "O_TMPFILE", -1)
            self.take("open, nameless" if flags & nameless == nameless else "open")
        handle = self.os_open(path, flags, *rest, **options)
        (self.handles.add if ours else self.handles.discard)(handle)
        return handle

    def open_file(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if not self.is_ours(file) or not set("wax+") & set(mode):
            return self.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            self.take("open, nameless" if opener else "open")  # as tempfile does
        raw = Watched(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.writes = self
        if not buffering:
            return raw
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)


class Watched(io.FileIO):
    """A file of which a write that fails leaves a half of what it was to write."""

    def write(self, data):
        try:
            self.writes.take("write")
        except OSError:
            super().write(memoryview(data)[: len(data) // 2])
            raise
        return super().write(data)


def find_left(folder):
    """What a run leaves that belongs to none of its files."""
    return [path.name for path in folder.rglob("*") if path.suffix in (".part", ".lock")]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder, "training.epochs: 1", "training.milestones: [1]"), write_data(folder / "data", train=3, val=1)


def train(inputs, out, rows, resume=False):
    settings = [f"run.{text}" for text in ("workers=0", "snapshot_every=1", "ema=0.9")]
    begin = {"resume": out} if resume else {"model": inputs[0], "data": inputs[1], "out": out, "source": "none"}
    maskzoo.train(**begin, overrides=[] if resume else settings, device="cpu", on_row=rows.append)


def try_writes(inputs, folder, monkeypatch, count):
    """Fail so many of the writes of a run, or each of them, and go on with it; return how many there are and were tried."""
    with monkeypatch.context() as patch:
        writes = Writes(patch, folder)
        train(inputs, folder / "whole", [])
    expected, draw, total = load_file(folder / "whole" / "last.safetensors"), random.Random(SEED), writes.count
    places = sorted(draw.sample(range(1, total + 1), count)) if count else list(range(1, total + 1))
    for place in places:
        out, rows, number, stays = folder / str(place), [], draw.choice(ERRORS), draw.random() < 0.5
        with monkeypatch.context() as patch:
            writes = Writes(patch, folder, place, number, stays)
            try:
                train(inputs, out, rows)
            except MaskzooError as error:
                assert os.strerror(number) in str(error), (place, error)
                assert str(out) in str(error) and "\n" not in str(error), (place, error)
            else:  # whose folder it is helps a reader only; a file without a name is tried again with one
                assert writes.failed in ("ftruncate", "write", "open, nameless") and not stays, (place, writes.failed)
        written = [row["iteration"] for row in rows if row["kind"] == "snapshot"]
        if written:
            snapshot = read_newest_snapshot(out / "snapshots")
            assert snapshot.notes == () and snapshot.state["progress"]["iteration"] >= written[-1], place
        train(inputs, out, [], resume=(out / "run.json").exists())
        found = load_file(out / "last.safetensors")
        assert all(torch.equal(found[name], expected[name]) for name in expected), place
        assert find_left(out) == [], place
        assert sum(path.suffix == ".safetensors" for path in (out / "snapshots").iterdir()) <= 2, place
    return total, len(places)


def test_a_write_that_fails_is_told_and_loses_nothing(inputs, tmp_path, monkeypatch):
    try_writes(inputs, tmp_path, monkeypatch, 1)


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_each_write_of_a_run_fails(inputs, tmp_path, monkeypatch):
    total, tried = try_writes(inputs, tmp_path, monkeypatch, COUNT)
    print(f"{tried} of the {total} writes of a run failed")
