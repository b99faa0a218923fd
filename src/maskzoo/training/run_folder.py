"""The folder of a training run: what was asked for, the metrics as they come, snapshots and checkpoints."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.config import RunSettings
from maskzoo.errors import TrainingError
from maskzoo.faults import make_printable
from maskzoo.model_file import dump_config, read_config
from maskzoo.system.files import (
    append_whole,
    check_folder,
    choose_name,
    explained,
    make_folder,
    own_folder,
    write_file,
    write_whole,
)
from maskzoo.system.json_text import parse_json
from maskzoo.training.auto_recipe.decisions import Decision
from maskzoo.training.plan import Plan
from maskzoo.training.snapshot import MANIFEST, list_snapshots, tidy_snapshots

__all__ = ["RunFolder", "choose_folder"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run, by name."""

    path: Path

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def predictions(self) -> Path:
        """What the best weights find in the validation split, a COCO result file."""
        return self.path / "best-predictions.json"

    @property
    def numbers(self) -> Path:
        """What `evaluate` says of the best weights, as JSON."""
        return self.path / "best-metrics.json"

    @contextlib.contextmanager
    def own(self) -> Iterator[list[str]]:
        """Make the folder if it is missing, hold it for this run alone, and yield what a reader should know.

        What a killed owner left there is removed; folders made here go if nothing is in them at the end. Raises TrainingError
        if another run has it.
        """
        made = [place for place in (self.path, *self.path.parents) if not os.path.lexists(place)]
        make_folder(self.path, TrainingError)
        try:
            with own_folder(self.path, TrainingError) as note:
                yield [*filter(None, [note]), *tidy_snapshots(self.snapshots)]
        finally:
            with contextlib.suppress(OSError):  # refused where anything lies in it
                for place in made:
                    place.rmdir()

    def begin(self, plan: Plan) -> None:
        """Make the folder and write down the plan. Raises TrainingError if a run is there that took a step already."""
        make_folder(self.path, TrainingError)
        with explained(self.path, TrainingError):
            if (self.path / "run.json").exists() and self._has_steps():
                raise TrainingError(
                    f"{self.path}: holds a run already; expected a new folder. Go on with it by --resume {self.path}, "
                    "or choose another --out"
                )
            self.write_model(plan)
            rest = {
                "settings": plan.settings.model_dump(mode="json"),
                "data": dict(plan.data),
                "start": dict(plan.start),
                "processes": plan.processes,
                "classes_renamed": plan.renamed,
                "notes": list(plan.notes),
                "decisions": [decision.to_dict() for decision in plan.decisions],
            }
            write_whole(self.metrics, b"")
            # The last one: from then on there is a run to resume.
            write_whole(self.path / "run.json", json.dumps(rest, indent=1).encode() + b"\n")

    def write_model(self, plan: Plan) -> None:
        """Write down the model file of the run, with the reasons of a recipe from the data. Raises TrainingError."""
        reasons = "".join(f"# {make_printable(str(decision))}\n" for decision in plan.decisions)
        write_file(self.path / "model.yml", (reasons + dump_config(plan.config)).encode(), TrainingError)

    def undo(self) -> None:
        """Take back what `begin` wrote, if the run has taken no step: a call that failed leaves nothing behind."""
        with contextlib.suppress(OSError, TrainingError):  # the error that ended the run is the one to tell
            if self._has_steps():
                return
            for name in ("run.json", "model.yml", "metrics.jsonl"):
                (self.path / name).unlink(missing_ok=True)
            for name in ("tensorboard", "wandb", "mlflow"):  # as training/trackers.py names them
                shutil.rmtree(self.path / name, ignore_errors=True)

    def read_plan(self) -> Plan:
        """Read the plan of a run that was begun. Raises TrainingError or ConfigError if there is none."""
        file = self.path / "run.json"
        try:
            rest = parse_json(file.read_bytes())
            settings = RunSettings.model_validate_json(json.dumps(rest["settings"]))
            config = read_config(self.path / "model.yml")
            # Runs of older versions have none of these.
            decisions = tuple(Decision(**decision) for decision in rest.get("decisions", ()))
            more = rest.get("classes_renamed"), tuple(rest.get("notes", ())), decisions
            return Plan(config, settings, rest["data"], rest["start"], rest["processes"], *more)
        except FileNotFoundError:
            raise TrainingError(f"{file}: not found; expected the folder of a run (--out of maskzoo train)") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{file}: cannot be read ({error}); expected what maskzoo train wrote") from error

    def read_best(self) -> dict[str, Any]:
        """Return the numbers of the best weights; empty if nothing was measured."""
        return dict(json.loads(self.numbers.read_bytes())) if self.numbers.exists() else {}

    def has_snapshot(self) -> bool:
        """Whether the run came to its first snapshot."""
        return (self.snapshots / MANIFEST).exists() or bool(list_snapshots(self.snapshots))

    def _has_steps(self) -> bool:
        return self.has_snapshot() or (self.metrics.exists() and any(row["kind"] == "step" for row in self.rows()))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row of metrics, one line of JSON. Raises TrainingError, and ValueError for a number that is not finite."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"  # at once, without a buffer that is written again at the end
        with explained(self.metrics, TrainingError), self.metrics.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                append_whole(file, line)
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)  # the next row would be on the line of this one's half
                raise

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of metrics; a last line that was cut short by a kill is left out. Raises TrainingError for others."""
        with self.metrics.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n"):
                    try:
                        row = json.loads(line)
                    except ValueError:
                        row = None
                    if not isinstance(row, dict) or "kind" not in row:
                        found = f"line {number}: found {line[:60].strip()!r}; expected a row that maskzoo train wrote"
                        raise TrainingError(f"{self.metrics}, {found}; remove the line")
                    yield row

    def rewind(self, iteration: int, evaluated: int = 0) -> None:
        """Drop the rows after `iteration`, and evaluations after `evaluated` epochs: a resumed run writes them again."""
        kept = [row for row in self.rows() if row.get("iteration", 0) <= iteration]
        kept = [row for row in kept if row["kind"] != "evaluation" or row["epoch"] <= evaluated]
        write_file(self.metrics, "".join(json.dumps(row) + "\n" for row in kept).encode(), TrainingError)


def choose_folder(name: str) -> Path:
    """Return runs/NAME, or the first of runs/NAME-2, runs/NAME-3 ... that nothing has. Raises TrainingError."""
    check_folder(Path("runs"), TrainingError)
    return choose_name(Path("runs"), name, "", os.path.lexists)[0]
