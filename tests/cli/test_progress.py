"""What is seen of a run while it trains."""

import io
import re
import time

import pytest

from maskzoo.cli.progress import TrainingDisplay, show_progress
from maskzoo.progress import ProgressEvent

ROW = {"kind": "step", "iteration": 7, "lr": 0.01, "loss": 1.5, "rpn_class": 0.5, "mask": 1.0, "images_per_second": 3.0}
STEP = ProgressEvent("Training, epoch 1/2", 7, 20, "steps", 1.5)


@pytest.fixture
def seen():
    return []


def test_a_step_is_shown_with_what_its_row_says_in_few_columns(seen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    display = TrainingDisplay(seen.append)
    display.add(ROW)
    display.tell(STEP)
    assert seen[0].stage == "Training, epoch 1/2, loss 1.500, lr 0.01"
    assert (seen[0].done, seen[0].total, seen[0].rate) == (7, 20, 1.5)


def test_a_wide_terminal_and_a_file_get_every_loss(seen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    display = TrainingDisplay(seen.append)
    display.add(ROW)
    display.tell(STEP)
    display.tell(STEP)  # within 30 seconds
    bar, line, again = seen
    assert "rpn cls 0.500, mask 1.000" in bar.stage and again == bar
    assert line.note.startswith("7/20 Training, epoch 1/2, loss 1.500, lr 0.01, rpn cls 0.500, mask 1.000, 3.00 images/s, ")


def test_other_events_pass_as_they_are(seen):
    events = [ProgressEvent("Evaluating", 1, 2), ProgressEvent("Training", note="damaged"), STEP]
    display = TrainingDisplay(seen.append)
    for event in events:
        display.tell(event)
    assert seen == events


def test_the_time_that_is_left_is_not_reckoned_from_what_was_done_before(monkeypatch):
    """Training goes on after an evaluation, or a killed call is repeated: the steps behind it took none of this bar's time."""
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with show_progress() as show:
        show(ProgressEvent("Evaluating", 10, 10))
        for step in (200, 201, 202):
            show(ProgressEvent("Training, epoch 2/4", step, 400, "steps", 5.0))
            time.sleep(0.15)
    left = re.findall(r"steps/s (\S+)", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))
    assert left and left[-1] not in ("00:00", "--:--")
