"""Runs that are stopped at random moments, again and again, in all settings, end as if they had not been, bit for bit."""

import itertools
import os
import random
import signal
import sys
import time

import pytest

from ready_processes import end_all, send, start_ranks, wait
from small_runs import assert_equal_runs, describe_run, write_data, write_model

COUNT = int(os.environ.get("MASKZOO_STOPS", "200"))
SEED = 26
MOST = 4  # stops of one run: with 200 in all, every setting has its turn
SETTINGS = list(
    itertools.product((1, 2), ("float32", "bfloat16"), ("null", "0.9"), (1, 2), (0, 2, 4))
)  # processes, precision, average, accumulation, workers
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked, and stopped by signals")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder, "training.augmentation: photo"), write_data(folder / "data", train=8, val=2)


def list_words(inputs, out, setting):
    _, precision, average, accumulate, workers = setting
    options = (f"precision={precision}", f"ema={average}", f"accumulate={accumulate}", f"workers={workers}", "snapshot_every=1")
    return ["train", *inputs, "--from", "none", "--out", out, *(part for text in options for part in ("--set", f"run.{text}"))]


def train_with_stops(inputs, folder, setting, draw, longest):
    """Train to the end although it is stopped up to MOST times, and return how often that was."""
    run, log, stops = folder / "run", folder / "log", 0
    while True:
        words = ["train", "--resume", run] if (run / "run.json").exists() else list_words(inputs, run, setting)
        processes = start_ranks(log, setting[0], *words)
        try:
            if wait(processes, draw.uniform(0.1, longest) if stops < MOST else 300):
                assert [process.exitcode for process in processes] == [0] * len(processes), log.read_text()
                return stops
            number = draw.choice(SIGNALS)
            send(processes, number)
            assert wait(processes, 60), log.read_text()
            # A signal that came before there was anything to save ends it as signals do.
            assert {process.exitcode for process in processes} <= {0, -number, 128 + number}, log.read_text()
        finally:
            end_all(processes)
        stops += 1


def stop_often(inputs, folder, count, settings):
    draw, wholes, stops, runs = random.Random(SEED), {}, 0, 0
    while stops < count:
        setting = settings[runs % len(settings)]
        if setting[:4] not in wholes:  # the number of workers changes nothing
            out, log = folder / f"whole-{len(wholes)}", folder / "log"
            began = time.monotonic()
            processes = start_ranks(log, setting[0], *list_words(inputs, out, (*setting[:4], 0)))
            assert wait(processes, 300) and not any(process.exitcode for process in processes), log.read_text()
            wholes[setting[:4]] = describe_run(out), time.monotonic() - began
        whole, seconds = wholes[setting[:4]]
        runs += 1
        here = folder / str(runs)
        here.mkdir()
        stops += train_with_stops(inputs, here, setting, draw, 0.8 * seconds)
        assert_equal_runs(describe_run(here / "run"), whole)
    return stops, runs


@pytest.mark.reliability
@pytest.mark.timeout(3600)
@linux
def test_hundreds_of_stops_over_all_settings(inputs, tmp_path):
    settings = random.Random(SEED).sample(SETTINGS, len(SETTINGS))
    stops, runs = stop_often(inputs, tmp_path, COUNT, settings)
    print(f"{stops} stops in {runs} runs of {len(SETTINGS)} settings, all bit-equal")
