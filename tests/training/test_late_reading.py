"""A GPU is not waited for: steps whose losses are read later change what steps read at once change, bit for bit.

The CPU stands in for the device: `behind` makes a trainer read late on it too.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import maskzoo
from maskzoo.errors import TrainingError
from maskzoo.training.loss_scale import LossScale
from maskzoo.training.schedule import make_optimizer
from maskzoo.training.snapshot import read_newest_snapshot
from small_trainers import Batches, is_equal, make_batch, make_config, make_trainer

BROKEN = {0, 1, 5}  # of ten batches: the first two, and one alone
MODES = {
    "plain": [],
    "average, accumulation": ["ema=0.9", "accumulate=2"],
    "clipping, bfloat16": ["clip_norm=1", "precision=bfloat16"],
    "float16": ["precision=float16"],
}
# What reads a value of the device on the host, or has a size that hangs on values, in a training step; why is in objective.py.
WAITS = {
    ("ops/nms.py", "_resolve"),
    ("ops/nms.py", "_suppress"),
    ("ops/roi_align.py", "_expand"),
    ("ops/roi_align.py", "_find_taps"),
    ("ops/roi_align.py", "_pool"),
    ("training/trainer.py", "_take_in"),
    ("training/objective.py", "_find_outlines"),
    ("training/targets.py", "_choose"),
}
HOME = Path(maskzoo.__file__).parent
SIZED = (
    "nonzero",
    "masked_select",
    "unique",
    "bincount",
    "repeat_interleave.Tensor",
    "_local_scalar_dense",
    "equal.default",
)
READS = {
    getattr(torch.Tensor, name)
    for name in ("cpu", "tolist", "item", "numpy", "__bool__", "__int__", "__float__", "__index__", "nonzero")
} | {torch.equal}


def find_caller():
    """The function of ours that is at work: its file and name."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(str(HOME)):
            name = frame.f_code.co_name
            return str(Path(frame.f_code.co_filename).relative_to(HOME)), name
        frame = frame.f_back
    return "", ""


class Operators(TorchDispatchMode):
    """Counts operators that make the host wait, by the function of ours that calls them."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func).removeprefix("aten.")
        masks = func is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if masks or name.startswith(SIZED):
            self.waits[find_caller()] += 1
        return func(*args, **(kwargs or {}))


class Reads(TorchFunctionMode):
    """Counts calls that bring values to the host: on the CPU no operator runs for them."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in READS:
            self.waits[find_caller()] += 1
        return func(*args, **(kwargs or {}))


def find_waits(work):
    waits = Counter()
    with Reads(waits), Operators(waits):
        work()
    return waits


def train(tmp_path, behind, *settings, broken=BROKEN, changes=(), **options):
    """A run with the fused optimiser, whose last bit may differ from the other's, and steps that are read so much later."""
    config = make_config("training.warmup.iterations=2", *changes)
    batches = [make_batch(number, objects=number % 3, broken=number in broken) for number in range(10)]
    trainer, rows = make_trainer(tmp_path, batches, *settings, config=config, behind=behind, **options)
    if behind == 0:
        trainer.state.optimizer = make_optimizer(trainer.model, config.training, conditional=True)
    return trainer, rows


class Ending(Batches):
    """A loader in whose hands a run is ended: after so many steps, of which the last are not read yet."""

    def __init__(self, trainer, after):
        super().__init__(trainer.loader.batches)
        self.trainer, self.after = trainer, after

    def epoch(self, epoch, start=0):
        for batch in super().epoch(epoch, start):
            if self.after == 0:
                assert len(self.trainer._unread) > 0
                self.trainer.save()
                raise KeyboardInterrupt
            self.after -= 1
            yield batch


def read_inputs(folder):
    """The files of steps that were dropped: what they say, and their tensors' bytes."""
    found = {}
    for path in folder.glob("nonfinite-*"):
        with safe_open(path, "np") as file:
            found[path.name] = file.metadata() | {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    return found


def strip(rows):
    return [{key: value for key, value in row.items() if key not in ("images_per_second", "file")} for row in rows]


def assert_equal_states(first, second):
    ours, theirs = first.state.tensors(), second.state.tensors()
    assert ours.keys() == theirs.keys() and is_equal(ours, theirs)
    assert first.state.describe() == second.state.describe()


@pytest.mark.parametrize("settings", MODES.values(), ids=MODES)
@pytest.mark.parametrize("behind", [1, 3])
def test_steps_read_late_are_those_read_at_once_dropped_ones_included(tmp_path, settings, behind):
    at_once, expected = train(tmp_path / "at once", 0, *settings)
    late, rows = train(tmp_path / "late", behind, *settings)
    at_once.train()
    late.train()
    assert late.state.position.dropped > 0
    assert_equal_states(late, at_once)
    assert strip(rows) == strip(expected)
    ours, theirs = (read_inputs(tmp_path / name) for name in ("late", "at once"))
    assert len(ours) == 2 * len(BROKEN) and ours == theirs


@pytest.mark.parametrize("behind", [1, 3])
def test_the_third_in_a_row_stops_the_run_and_no_later_step_counts(tmp_path, behind):
    ended = []
    for reading in (0, behind):
        trainer, rows = train(tmp_path / str(reading), reading, broken={1, 2, 3})
        with pytest.raises(TrainingError, match=r"nonfinite-00000003-process0\.safetensors.*\[103\]"):
            trainer.train()
        trainer.save()  # as a signal would
        ended.append((trainer, strip(rows)))
    (at_once, expected), (late, found) = ended
    assert_equal_states(late, at_once)
    assert found == expected and late.state.position.iteration == 4


@pytest.mark.parametrize("after", range(1, 8))
def test_a_run_that_ends_between_a_step_and_its_reading_goes_on_exactly(tmp_path, after):
    whole, expected = train(tmp_path / "whole", 3, "ema=0.9")
    whole.train()
    ended, before = train(tmp_path / "ended", 3, "ema=0.9")
    ended.loader = Ending(ended, after)
    with pytest.raises(KeyboardInterrupt):
        ended.train()
    resumed, rest = train(tmp_path / "ended", 3, "ema=0.9")
    snapshot = read_newest_snapshot(resumed.folder.snapshots)
    assert snapshot.state["progress"]["iteration"] == after
    resumed.resume(snapshot)
    resumed.train()
    assert_equal_states(resumed, whole)
    steps = [row for row in strip([*before, *rest]) if row["kind"] == "step"]
    assert steps == [row for row in strip(expected) if row["kind"] == "step"]


def test_a_step_waits_for_the_device_at_the_listed_places_only(tmp_path):
    many = "training.proposals={before_nms: 300, after_nms: 50, total: 50, iou: 0.7, min_side: 1.0}"  # blocks of suppression
    settings = ("ema=0.9", "accumulate=2", "clip_norm=1", "precision=float16")
    trainer, _ = train(tmp_path, 1, *settings, changes=[many])
    batches = [make_batch(number) for number in range(2)]
    trainer._take_step(batches)
    assert set(find_waits(lambda: trainer._take_step(batches))) == WAITS


def test_nothing_waits_between_the_losses_and_the_next_step(tmp_path):
    trainer, _ = train(tmp_path, 100, "ema=0.9", "clip_norm=1", "precision=float16")
    outcome = trainer._run([make_batch(1)])
    assert find_waits(lambda: trainer._bound_gradients()) == {}
    assert find_waits(lambda: trainer.state.advance(outcome.finite, outcome.overflow, 0)) == {}


def test_the_detector_sees_every_kind_of_waiting():
    values = torch.arange(4.0)
    for wait in (
        lambda: values[0].item(),
        lambda: bool(values[0]),
        lambda: values.tolist(),
        lambda: values.cpu(),
        lambda: values[values > 1],
        lambda: (values > 1).nonzero(),
        lambda: torch.equal(values, values),
        lambda: torch.repeat_interleave(torch.tensor([1, 2])),
        lambda: torch.bincount(torch.tensor([1, 2])),
    ):
        assert find_waits(wait).total() > 0


def test_the_scale_of_float16_moves_as_torchs_own_does():
    ours, theirs = LossScale(torch.device("cpu"), enabled=True), torch.amp.GradScaler("cpu")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for step in range(4100):
        overflow = step in (0, 3, 4, 2500)
        theirs.scale(weight.sum()).backward()
        weight.grad.fill_(torch.inf if overflow else 1.0)
        theirs.step(optimizer)
        theirs.update()
        ours.update(torch.tensor(True), torch.tensor(overflow))
        ours.update(torch.tensor(False), torch.tensor(overflow))  # a dropped step changes nothing
        assert ours.describe().items() <= theirs.state_dict().items()
        optimizer.zero_grad()
    assert ours.describe() == {"scale": 2.0**13, "_growth_tracker": 1599}


def test_a_cpu_reads_every_step_at_once(tmp_path):
    trainer, rows = train(tmp_path, None)
    assert trainer.behind == 0 and not trainer.state.conditional
    trainer._take_step([make_batch(1)])
    assert [row["iteration"] for row in rows] == [1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_the_step_counts_or_not_without_the_host(tmp_path):
    trainer, rows = train(tmp_path, None, device="cuda")
    assert trainer.behind > 0 and trainer.state.conditional
    outcome = trainer._run([make_batch(0, broken=True)])
    before = {name: tensor.clone() for name, tensor in trainer.state.tensors().items()}
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.state.advance(outcome.finite, outcome.overflow, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert is_equal(trainer.state.tensors(), before)
    trainer.state.optimizer.zero_grad()
    trainer.state._in_row.zero_()
    trainer.train()
    assert trainer.state.position.dropped == 2 * len(BROKEN) and len([row for row in rows if row["kind"] == "step"]) == 20
