"""`maskzoo predict` of one video, camera or stream: the call and what is printed of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, start_table
from maskzoo.errors import ArgumentError, count_words
from maskzoo.progress import OnProgress
from maskzoo.system.collecting import for_good

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.video_run import VideoRun

__all__ = ["names_video", "predict_one_video"]

ROWS = 20  # of the table at the end


def names_video(sources: list[str], out: Path) -> bool:
    """Return whether the sources are one video, by its look, or one file of which a video is to be made."""
    from maskzoo.video.source import is_video
    from maskzoo.video.writer import FORMATS

    return len(sources) == 1 and (is_video(sources[0]) or (out.suffix.lower() in FORMATS and Path(sources[0]).is_file()))


def predict_one_video(load: Callable[[OnProgress], Predictor], source: str, out: Path, json: bool, **options: Any) -> None:
    """Predict it, print the counts, and exit with 3 if a part of it could not be read."""
    with for_good():
        from maskzoo.inference.video_run import predict_video
        from maskzoo.system.processes import join_processes

    with join_processes("cpu") as processes:
        if processes.count > 1:
            raise ArgumentError(
                f"{source}: found {processes.count} processes; expected one for a video; start it without torchrun"
            )
    with show_progress() as show:
        run = predict_video(lambda: load(show), source, out, on_progress=show, **options)
    if json:
        print_json(run.to_dict())
    else:
        _print_counts(run, options["score"])
    if run.fault:
        open_stderr().print(run.fault, style="red", soft_wrap=True)
        raise typer.Exit(3)


def _print_counts(run: VideoRun, score: float) -> None:
    console = open_stdout()
    table = start_table("class", "objects in all frames")
    for name, objects in islice(run.classes.items(), ROWS):
        table.add_row(name, f"{objects:,}")
    if run.classes:
        console.print(table)
    if len(run.classes) > ROWS:
        console.print(f"and {len(run.classes) - ROWS} more")
    found = [count_words(run.frames, "frame"), f"{count_words(run.objects, 'object')} with a score from {score:g}"]
    if run.identities is not None:
        found.append(f"{run.identities:,} followed")
    console.print(f"{', '.join(found)}, {run.seconds:.1f} s, {run.frames / run.seconds:.1f} frames/s")
    if run.dropped:
        console.print(f"{count_words(run.dropped, 'frame')} came while the network was busy, and were left out")
    if written := [str(path) for path in (run.video, run.lines) if path]:
        console.print(f"Saved to {', '.join(written)}", soft_wrap=True)
