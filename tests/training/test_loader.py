"""Batches are the same whoever makes them; workers share the data set, report errors, and end with their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.config import RunSettings
from maskzoo.errors import ConfigError, ImageError, TrainingError
from maskzoo.training.loader import TrainingLoader
from maskzoo.training.samples import SampleMaker, order_images
from training_data import make_config, write_set

LINUX = sys.platform == "linux"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return write_set(folder, images=14, tall=6), folder


def make_loader(data, rank=0, processes=1, augmentation="[]", **run):
    config = make_config(f"training.augmentation={augmentation}")
    return TrainingLoader(*data, config, RunSettings(**({"workers": 0} | run)), rank=rank, processes=processes)


def assert_equal(ours, other):
    assert torch.equal(ours.images.pixels, other.images.pixels) and torch.equal(ours.images.sizes, other.images.sizes)
    for name in ("boxes", "labels", "crowd", "valid"):
        assert torch.equal(getattr(ours.truth, name), getattr(other.truth, name))
    assert ours.truth.outlines == other.truth.outlines
    assert (ours.image_ids, ours.seeds, ours.replaced) == (other.image_ids, other.seeds, other.replaced)


def assert_all_equal(ours, other):
    assert len(ours) == len(other) > 0
    for pair in zip(ours, other, strict=True):
        assert_equal(*pair)


def test_a_batch_holds_what_its_positions_samples_hold(data):
    annotations, folder = data
    loader = make_loader(data, batch=3)
    order = order_images(annotations, RunSettings(), 5, 3)
    maker = SampleMaker(annotations, folder, make_config(), RunSettings())
    batches = list(loader.epoch(5))
    assert len(batches) == loader.batches_per_epoch == 4  # of 14 images, 2 are left out
    for number, batch in enumerate(batches):
        pixels = batch.images.pixels
        assert pixels.shape[0] == 3 and pixels.shape[2] % 32 == 0 and pixels.shape[3] % 32 == 0
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        assert batch.image_ids == tuple(annotations.image_ids[order[3 * number : 3 * number + 3]].tolist())
        for row in range(3):
            sample = maker.make(5, 3 * number + row, int(order[3 * number + row]))
            count = len(sample.image.labels)
            assert batch.seeds[row] == sample.seed
            assert batch.images.sizes[row].tolist() == list(sample.image.extent)
            assert batch.truth.valid[row].tolist() == [slot < count for slot in range(batch.truth.valid.shape[1])]
            assert np.array_equal(batch.truth.boxes[row, :count].numpy(), sample.image.boxes)
            assert np.array_equal(batch.truth.labels[row, :count].numpy(), sample.image.labels)
            assert not batch.truth.crowd.any()
            assert batch.truth.outlines[row] == [[list(part) for part in outline] for outline in sample.image.outlines]


@pytest.mark.parametrize(
    "run",
    [
        {"batch": 2},
        {"batch": 1, "jitter": (0.3, 1.5), "copy_paste": 0.7},
        {"batch": 2, "group_by_aspect": True},
        {"batch": 2, "augmentation": "industrial"},
    ],
    ids=["recipe", "jitter and pasting", "grouped", "augmentation"],
)
def test_batches_do_not_depend_on_the_number_of_workers(data, run):
    alone = list(make_loader(data, **run).epoch(1))
    for workers in (2, 4):
        assert_all_equal(list(make_loader(data, workers=workers, **run).epoch(1)), alone)


def test_replacements_do_not_depend_on_the_number_of_workers(tmp_path):
    annotations = write_set(tmp_path)
    for place in (0, 4):
        (tmp_path / annotations.file_name(place)).write_bytes(b"no image")
    alone = list(make_loader((annotations, tmp_path), copy_paste=0.5).epoch(0))
    assert sum(len(batch.replaced) for batch in alone) >= 2
    assert_all_equal(list(make_loader((annotations, tmp_path), workers=3, copy_paste=0.5).epoch(0)), alone)


@settings(deadline=None, max_examples=12)
@given(
    start=st.integers(0, 7),
    epoch=st.integers(0, 30),
    group=st.booleans(),
    jitter=st.sampled_from([None, (0.5, 1.5)]),
    workers=st.sampled_from([0, 0, 0, 2]),
)
def test_an_epoch_goes_on_from_any_batch_as_if_it_had_not_stopped(data, start, epoch, group, jitter, workers):
    run = {"batch": 2, "group_by_aspect": group, "jitter": jitter}
    whole = list(make_loader(data, **run).epoch(epoch))
    rest = list(make_loader(data, workers=workers, **run).epoch(epoch, start))
    assert len(whole) == 7 and len(rest) == 7 - start
    for ours, other in zip(rest, whole[start:], strict=True):
        assert_equal(ours, other)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.integers(0, 30), st.booleans(), st.sampled_from([(2, 1), (2, 3), (3, 2)]))
def test_processes_together_see_what_one_with_their_total_batch_sees(data, seed, epoch, group, shape):
    processes, batch = shape
    run = {"seed": seed, "group_by_aspect": group}
    one = list(make_loader(data, batch=batch * processes, **run).epoch(epoch))
    ranks = [list(make_loader(data, rank, processes, batch=batch, **run).epoch(epoch)) for rank in range(processes)]
    assert all(len(rank) == len(one) for rank in ranks)
    for whole, *parts in zip(one, *ranks, strict=True):
        assert whole.image_ids == tuple(number for part in parts for number in part.image_ids)
        assert whole.seeds == tuple(seed for part in parts for seed in part.seeds)
        pairs = [(part, row) for part in parts for row in range(batch)]
        for row, (part, place) in enumerate(pairs):
            height, width = (int(side) for side in part.images.sizes[place])
            pixels = part.images.pixels[place, :, :height, :width]
            assert torch.equal(whole.images.pixels[row, :, :height, :width], pixels)
            assert whole.truth.outlines[row] == part.truth.outlines[place]


def test_an_epoch_has_each_image_at_most_once_and_leaves_out_the_last_step_only(data):
    for processes, batch, accumulate, expected in ((1, 1, 1, 14), (1, 4, 1, 3), (2, 2, 1, 3), (1, 2, 3, 6), (2, 1, 4, 4)):
        ids = []
        for rank in range(processes):
            loader = make_loader(data, rank, processes, batch=batch, accumulate=accumulate)
            assert loader.batches_per_epoch == expected
            ids += [number for one in loader.epoch(0) for number in one.image_ids]
        assert len(set(ids)) == len(ids) == expected * batch * processes
        assert 14 - len(ids) < batch * processes * accumulate


def test_a_data_set_that_does_not_fill_one_step_is_refused_with_the_numbers(data):
    with pytest.raises(ConfigError, match=r"14 images .* takes 16 \(run.batch 4 x 2 processes x run.accumulate 2\)"):
        make_loader(data, 0, 2, batch=4, accumulate=2)


def test_images_without_objects_give_batches_without_slots(tmp_path):
    annotations = write_set(tmp_path, images=3, empty=3)
    assert len(annotations) == 3
    (batch,) = make_loader((annotations, tmp_path), batch=3).epoch(0)
    assert batch.truth.boxes.shape == (3, 0, 4) and batch.truth.valid.shape == (3, 0)
    assert batch.truth.outlines == [[], [], []]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_worker_arrives_as_it_was_raised(tmp_path, workers):
    annotations = write_set(tmp_path)
    (tmp_path / annotations.file_name(3)).write_bytes(b"no image")
    loader = make_loader((annotations, tmp_path), workers=workers, damaged_images="stop")
    with pytest.raises(ImageError) as caught:
        list(loader.epoch(0))
    assert str(caught.value).startswith(str(tmp_path / annotations.file_name(3)))
    assert "Traceback" not in str(caught.value)
    assert not multiprocessing.active_children()


def test_closing_early_ends_the_workers(data):
    batches = make_loader(data, workers=3).epoch(0)
    next(batches)
    assert multiprocessing.active_children()  # those of three that have batches left to make
    began = time.monotonic()
    batches.close()
    assert not multiprocessing.active_children()
    assert time.monotonic() - began < 5


def test_an_epoch_draws_nothing_from_the_global_generators(data):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(make_loader(data, workers=2).epoch(0))
    assert torch.equal(torch.get_rng_state(), before[0]) and (np.random.get_state()[1] == before[1]).all()


@pytest.mark.skipif(not LINUX, reason="signals are POSIX's")
def test_a_worker_that_is_killed_ends_the_epoch_with_an_error_and_interrupts_nothing_else(data):
    batches = make_loader(data, workers=2).epoch(0)
    next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    time.sleep(0.2)  # nothing is raised here, which may be in the middle of an update of the weights
    with pytest.raises(TrainingError, match=r"ended from outside.*run\.workers"):
        list(batches)
    assert not multiprocessing.active_children()


# Starts an epoch of large pictures, so that the workers' pipes are full and stay so, and says who the workers are.
ORPHANS = """
import multiprocessing, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from maskzoo.config import RunSettings
from maskzoo.training.loader import TrainingLoader
from training_data import make_config, write_set

folder = Path(sys.argv[2])
config = make_config("training.short_sides=[600]", "training.long_side=900")
loader = TrainingLoader(write_set(folder), folder, config, RunSettings(workers=3))
batches = loader.epoch(0)
next(batches)
time.sleep(1)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not LINUX, reason="processes are found in /proc")
def test_workers_end_when_their_parent_was_killed(tmp_path):
    command = [sys.executable, "-c", ORPHANS, str(Path(__file__).parent.parent), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        workers = [int(number) for number in process.stdout.readline().split()]
        assert len(workers) == 3 and all(is_running(number) for number in workers)
        process.kill()
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


def is_running(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# Prints the memory of this process and its 8 workers, in kB, every 200 of 2,100 batches: shares of what they hold
# together, without the files that are mapped, whose shares change whenever a stranger with the same libraries ends.
MEMORY = """
import multiprocessing, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from maskzoo.config import RunSettings
from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.training.loader import TrainingLoader
from training_data import make_config, write_set

def measure():
    total = 0
    for number in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1])
    return total

folder = Path(sys.argv[2])
write_set(folder, images=1)  # whose picture is all the images
images = [{"id": number, "file_name": "0.png", "height": 60, "width": 80} for number in range(2100)]
row = {"category_id": 1, "bbox": [1, 2, 30, 20], "area": 300, "segmentation": [[1.5, 2, 31, 2, 31, 22, 9, 11]], "iscrowd": 0}
rows = [row | {"id": number, "image_id": number // 10} for number in range(21000)]
data = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "kite"}]}
annotations = select_for_training(pack_annotations(data, "train.json"))[0]
del data, images, rows
config = make_config("training.short_sides=[32]", "training.long_side=48")
loader = TrainingLoader(annotations, folder, config, RunSettings(workers=8))
for number, batch in enumerate(loader.epoch(0), 1):
    if number % 200 == 0:
        print(measure(), flush=True)
"""


@pytest.mark.skipif(not LINUX, reason="proportional set sizes are read from /proc")
def test_the_memory_of_eight_workers_does_not_grow_with_time(tmp_path):
    command = [sys.executable, "-c", MEMORY, str(Path(__file__).parent.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sizes = [int(size) for size in done.stdout.split()]
    assert len(sizes) == 10
    assert np.median(sizes[-3:]) < 1.02 * np.median(sizes[1:4]), sizes


def test_where_no_process_can_be_started_one_sentence_says_so(data, monkeypatch):
    started = []

    def refuse(process):
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(process)
        start(process)

    process = multiprocessing.get_context("fork").Process
    start = process.start
    monkeypatch.setattr(process, "start", refuse)
    with pytest.raises(TrainingError, match=r"2 processes .* cannot be started \(Resource temporarily .*run\.workers=0"):
        list(make_loader(data, workers=2).epoch(0))
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not LINUX, reason="signals are POSIX's")
def test_one_worker_killed_in_the_middle_of_a_picture_is_named_at_once(tmp_path):
    annotations = write_set(tmp_path)
    config = make_config("training.short_sides=[600]", "training.long_side=900")  # beyond what a pipe holds
    batches = TrainingLoader(annotations, tmp_path, config, RunSettings(workers=3)).epoch(0)
    next(batches)
    time.sleep(0.5)
    victim = sorted(child.pid for child in multiprocessing.active_children())[1]
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(TrainingError, match=f"process {victim}, which reads images, was ended from outside by SIGKILL"):
        list(batches)
    assert time.monotonic() - began < 10
    assert not multiprocessing.active_children()
