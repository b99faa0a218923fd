"""What `maskzoo predict` does with each image, by one process or many: read, predict, draw, write its line of the part file."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maskzoo.cli.outputs import encode_picture
from maskzoo.cli.parts import PartFile, Parts, hash_values
from maskzoo.cli.terminal import open_stderr
from maskzoo.errors import ImageError, MaskzooError
from maskzoo.files import write_file

if TYPE_CHECKING:
    from maskzoo.data.sources import TarMember
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.result import Prediction
    from maskzoo.processes import Processes

__all__ = ["Job", "Source", "Task", "make_manifest", "run_jobs"]

Source: TypeAlias = "Path | bytes | TarMember"


@dataclass(frozen=True, slots=True)
class Job:
    """One image: its number among all, its name, what is read, its COCO id and where its picture goes.

    `size` is the height and width that a data set says it has.
    """

    number: int
    name: str
    source: Source
    image_id: int
    picture: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Task:
    """What becomes of every image. `detailed`: the objects are printed as JSON.

    `categories`: the id that is written for each of the model's category ids; the same if left out.
    """

    predictor: Predictor
    kinds: frozenset[str]
    score: float
    batch: int
    detailed: bool
    categories: Mapping[int, int] | None = None

    def run(self, jobs: Sequence[Job]) -> list[tuple[Job, dict[str, Any]]]:
        """Return the record of each image, after its picture is written."""
        contents: list[Path | bytes] = []
        records: dict[int, dict[str, Any]] = {}
        readable: list[Job] = []
        for job in jobs:
            try:
                contents.append(job.source if isinstance(job.source, Path | bytes) else job.source.read())
                readable.append(job)
            except ImageError as error:
                records[job.number] = {"error": str(error)}
        found = self.predictor.predict_each(contents, batch_size=self.batch)
        for job, (source, result) in zip(readable, found, strict=True):
            records[job.number] = self._record(job, source, result)
        return [(job, records[job.number]) for job in jobs]

    def _record(self, job: Job, source: Any, result: Prediction | ImageError) -> dict[str, Any]:
        from maskzoo.inference.result import check_size

        if isinstance(result, ImageError):
            text = str(result)
            return {"error": text if isinstance(source, Path) else f"{job.name}: {text}"}
        try:
            if job.size is not None:
                check_size(result.size, job.size)
        except MaskzooError as error:
            return {"error": f"{source}: {error}"}
        result = result[result.scores >= self.score]
        if "image" in self.kinds:
            write_file(job.picture, encode_picture(result.draw()))
        return {
            "height": result.size[0],
            "width": result.size[1],
            "names": dict(Counter(result.names)),
            "detections": self._renumber(result.to_dict()["detections"]) if self.detailed else [],
            "coco": self._renumber(result.to_coco(job.image_id)) if "json" in self.kinds else [],
        }

    def _renumber(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.categories is None:
            return rows
        return [row | {"category_id": self.categories[row["category_id"]]} for row in rows]


def make_manifest(task: Task, jobs: Sequence[Job]) -> str:
    """Return the hash of all that the results hang on: network, weights, options, the images' names and all ids."""
    from maskzoo.config import dump_config

    backend = task.predictor.backend
    names = hashlib.sha256()
    for job in jobs:
        content = hashlib.sha256(job.source).hexdigest() if isinstance(job.source, bytes) else str(job.source)
        names.update(hash_values(job.name, job.image_id, job.picture.name, job.size, content).encode())
    return hash_values(
        dump_config(task.predictor.config),
        backend.hash_weights(),
        backend.name,
        backend.dtype,
        sorted(task.kinds),
        task.score,
        task.batch,
        task.detailed,
        None if task.categories is None else list(task.categories.items()),
        names.hexdigest(),
    )


def run_jobs(task: Task, jobs: Sequence[Job], folder: Path, workers: int, processes: Processes) -> Parts | None:
    """Predict this process's share of what no part file in `folder` holds yet; the first process gets all parts back.

    Raises SourceError if the part files there belong to another run.
    """
    from maskzoo.inference.pipeline import map_in_order
    from maskzoo.inference.predictor import split_windows

    manifest = make_manifest(task, jobs)
    done = Parts(folder, len(jobs), manifest)
    if len(done) and processes.rank == 0:
        open_stderr().print(f"Going on after {len(done)} of {len(jobs)} images that {folder} holds", soft_wrap=True)
    processes.barrier()  # all have looked before one begins to write
    share = [job for job in jobs if job.number % processes.count == processes.rank and job.number not in done]
    with PartFile(folder, processes.rank, manifest) as part:
        windows = map_in_order(task.run, split_windows(share, task.batch), workers)
        for job, record, seconds in _track(windows, len(share), processes):
            part.append(job.number, record | {"seconds": seconds})
    if processes.gather(processes.rank) is None:
        return None
    return Parts(folder, len(jobs), manifest)


def _track(
    windows: Iterator[list[tuple[Job, dict[str, Any]]]], total: int, processes: Processes
) -> Iterator[tuple[Job, dict[str, Any], float]]:
    """Yield each image's record and the seconds spent waiting for it, while a progress bar moves on a terminal."""
    console = open_stderr()
    columns = (
        TextColumn("Predicting" if processes.count == 1 else f"Predicting, share 1 of {processes.count}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    hidden = processes.rank > 0 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        bar = progress.add_task("", total=total, rate="")
        began = last = time.perf_counter()
        number = 0
        for window in windows:
            for job, record in window:
                now = time.perf_counter()
                number += 1
                yield job, record, now - last
                last = now
                rate = processes.count * number / (now - began)
                progress.update(bar, completed=number, rate=f"{rate:.1f} images/s")
