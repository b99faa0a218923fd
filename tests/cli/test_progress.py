"""What is seen of a run while it trains."""

import io
import re
import time

import pytest

from maskzoo.cli.progress import TrainingDisplay, show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, start_table
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
    assert seen[0].stage == "epoch 1/2, loss 1.500, 3.00 images/s"
    assert (seen[0].done, seen[0].total, seen[0].rate) == (7, 20, 1.5)


def test_a_wide_terminal_and_a_file_get_every_loss_and_the_time_that_is_left(seen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    display = TrainingDisplay(seen.append)
    display.add(ROW)
    display.tell(STEP)
    display.tell(STEP)  # within 30 seconds
    bar, line, again = seen
    assert "rpn cls 0.500, mask 1.000" in bar.stage and again == bar
    assert line.note.startswith("7/20 Training, epoch 1/2, loss 1.500, lr 0.01, rpn cls 0.500, mask 1.000, 3.00 images/s, ")
    assert line.note.endswith(" GB, 0:00:09 left")


def look(monkeypatch, columns):
    """Return a function that gives what a terminal of so many columns has seen, line by line, and the terminal's `show`."""
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    return lambda: re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))


@pytest.mark.parametrize("columns", [80, 81, 100, 132, 200])
@pytest.mark.parametrize(
    ("epochs", "done", "total", "rate"), [(2, 7, 20, 1.5), (24, 654_321, 1_758_840, 0.9), (300, 9, 99, 0.01)]
)
def test_the_line_of_a_run_holds_bar_step_loss_speed_and_time_left(monkeypatch, columns, epochs, done, total, rate):
    read = look(monkeypatch, columns)
    with show_progress() as show:
        display = TrainingDisplay(show)
        display.add(ROW | {"images_per_second": 16 * rate, "loss": 10.125})
        display.tell(ProgressEvent(f"Training, epoch {epochs}/{epochs}", done, total, "steps", rate))
        time.sleep(0.15)
    line = next(line for line in reversed(read()) if "loss" in line)
    assert len(line.rstrip()) <= columns and "\N{HORIZONTAL ELLIPSIS}" not in line
    bar = r"[\u2501\u2578\u257a]{4,}"
    assert re.search(
        rf"epoch {epochs}/{epochs}, loss 10\.125.* {16 * rate:.2f} images/s.* {bar} +{done}/{total} .*\d:\d\d:\d\d *$", line
    ), line


@pytest.mark.parametrize("columns", [32, 40, 59, 60, 79])
def test_a_narrow_terminal_keeps_loss_step_and_time_left_whole(monkeypatch, columns):
    read = look(monkeypatch, columns)
    with show_progress() as show:
        display = TrainingDisplay(show)
        display.add(ROW | {"loss": 10.125})
        display.tell(ProgressEvent("Training, epoch 12/24", 4321, 9876, "steps", 0.9))
        time.sleep(0.15)
        show(ProgressEvent("Downloading mask_rcnn_r50_fpn_1x_coco.pdparams", 5_000_000, 170_000_000, "bytes", 2e6))
        time.sleep(0.15)
    lines = [line.rstrip() for line in read()]
    assert all(len(line) <= columns for line in lines)
    assert any(re.search(r"loss 10\.125.* 4321/9876 .*\d:\d\d:\d\d$", line) for line in lines), lines
    assert any(line.startswith("Down") and " 5/170 MB 2.0 MB/s " in line for line in lines), lines


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(seen, monkeypatch):
    look(monkeypatch, 80)
    monkeypatch.setenv("TERM", "dumb")
    display = TrainingDisplay(seen.append)
    display.add(ROW)
    display.tell(STEP)
    assert seen[-1].note.startswith("7/20 Training, epoch 1/2, loss 1.500")


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_a_narrow_terminal_cuts_no_number_of_a_table(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    table = start_table("class", "objects", "box AP", "box AP50", "mask AP", "mask AP50")
    table.add_row("rectangle", "12345", "63.5", "80.2", "55.1", "79.9")
    open_stdout().print(table)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["rectangle", "12345", "63.5", "80.2", "55.1", "79.9"]


def test_a_width_of_nothing_is_no_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert open_stderr().width == open_stdout().width == 120


def test_speed_and_time_left_follow_the_clock_with_the_waiting_for_images_in_it(seen, monkeypatch):
    now = [0.0]
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("maskzoo.cli.progress.time.monotonic", lambda: now[0])
    display = TrainingDisplay(seen.append)

    def tell(at, *event):
        now[0] = at
        display.add(ROW)
        display.tell(ProgressEvent(*event))

    tell(0.0, "Training, epoch 1/2", 6, 20, "steps")
    tell(4.0, "Training, epoch 1/2", 7, 20, "steps", 1.5)  # of 4 seconds, two thirds of one for the step itself
    tell(8.0, "Training, epoch 1/2", 8, 20, "steps", 1.5)
    tell(500.0, "Evaluating", 1, 2)
    tell(504.0, "Training, epoch 2/2", 9, 20, "steps", 1.5)
    bars = [event for event in seen if event.rate]
    assert [event.rate for event in bars] == [0.25, 0.25, 0.25]
    assert bars[-1].stage == "Training, epoch 2/2, loss 1.500, lr 0.01, 0.50 images/s"


def test_other_events_pass_as_they_are(seen):
    events = [ProgressEvent("Evaluating", 1, 2), ProgressEvent("Training", note="damaged"), STEP]
    display = TrainingDisplay(seen.append)
    for event in events:
        display.tell(event)
    assert seen == events


def test_the_time_that_is_left_is_not_reckoned_from_what_was_done_before(monkeypatch):
    """Training goes on after an evaluation, or a killed call is repeated: the steps behind it took none of this bar's time."""
    read = look(monkeypatch, 80)
    with show_progress() as show:
        show(ProgressEvent("Evaluating", 10, 10))
        for step in (200, 201, 202):
            show(ProgressEvent("Training, epoch 2/4", step, 400, "steps", 5.0))
            time.sleep(0.15)
    left = [line.rsplit(maxsplit=1)[-1] for line in read() if "/400" in line]
    assert left and left[-1] == "0:00:40"  # 198 steps
