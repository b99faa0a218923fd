"""Where the numbers of a run go beside its folder: TensorBoard, Weights & Biases, MLflow.

All three write below the run's folder and send nothing, unless their own variables in the environment ask for it:
WANDB_MODE=online, or an address in MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from maskzoo.errors import ArgumentError, MaskzooError, TrainingError
from maskzoo.system.files import explained
from maskzoo.system.packages import import_extra

__all__ = ["TRACKERS", "Tracker", "check_trackers", "open_trackers"]

PROJECT = "maskzoo"  # of Weights & Biases; MLflow's experiment


class Tracker(Protocol):
    """Takes numbers by name, such as step/loss, and the step that they are of."""

    def add(self, values: Mapping[str, float], iteration: int) -> None: ...
    def close(self) -> None: ...


class _TensorBoard:
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import_extra("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def add(self, values: Mapping[str, float], iteration: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        self.writer.close()


class _WeightsAndBiases:
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else its faults go to its maker, offline too
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder.absolute() / "wandb" / "cache"))  # else in the user's home
        wandb = import_extra("wandb")
        quiet: dict[str, Any] = dict.fromkeys(("silent", "disable_git", "disable_job_creation"), True)
        quiet |= {"x_disable_stats": True, "x_disable_meta": True, "save_code": False, "console": "off"}
        mode = os.environ.get("WANDB_MODE", "offline")
        (folder / "wandb").mkdir(exist_ok=True)  # else it takes a folder for temporary files
        names = {"project": os.environ.get("WANDB_PROJECT", PROJECT), "name": folder.name, "config": dict(settings)}
        self.run = wandb.init(mode=mode, dir=str(folder), settings=wandb.Settings(**quiet), **names)

    def add(self, values: Mapping[str, float], iteration: int) -> None:
        self.run.log(dict(values), step=iteration)

    def close(self) -> None:
        self.run.finish()


class _MLflow:
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        mlflow = import_extra("mlflow")
        address = os.environ.get("MLFLOW_TRACKING_URI")
        if address is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder, which needs no database
            address = (folder / "mlflow").absolute().as_uri()
        self.client: Any = mlflow.MlflowClient(tracking_uri=address)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self.client.get_experiment_by_name(name)
        number = self.client.create_experiment(name) if experiment is None else experiment.experiment_id
        self.run = self.client.create_run(number, run_name=folder.name).info.run_id
        for key, value in settings.items():
            self.client.log_param(self.run, key, value)

    def add(self, values: Mapping[str, float], iteration: int) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run, name, value, step=iteration)

    def close(self) -> None:
        self.client.set_terminated(self.run)


TRACKERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Tracker]] = {
    "tensorboard": _TensorBoard, "wandb": _WeightsAndBiases, "mlflow": _MLflow,
}  # fmt: skip


def check_trackers(names: Sequence[str]) -> None:
    """Raise ArgumentError for a name that is no tracker's."""
    for name in names:
        if name not in TRACKERS:
            raise ArgumentError(f"track (--track): found {name!r}; expected {', '.join(TRACKERS)}")


def open_trackers(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> list[Tracker]:
    """Open the trackers of a run, whose `folder` and `settings` (name -> plain value) they are told.

    Raises MissingPackageError if one is not installed, TrainingError if its files cannot be written or its server refuses.
    """
    opened: list[Tracker] = []
    for name in names:
        try:
            with explained(folder, TrainingError):
                opened.append(TRACKERS[name](folder, settings))
        except MaskzooError:
            raise
        except Exception as error:  # each has errors of its own, and none is worth an import to name it
            raise TrainingError(
                f"--track {name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error
    return opened
