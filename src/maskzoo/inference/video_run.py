"""A video predicted from its first frame to its last: drawn, written, and told frame by frame."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.drawing.fonts import check_font, explain_unwritten
from maskzoo.errors import ArgumentError, MaskzooError, count_words
from maskzoo.images.find import VIDEO_SUFFIXES
from maskzoo.inference.choice import SCORE
from maskzoo.inference.folder_run import check_arguments
from maskzoo.inference.frames import predict_frames
from maskzoo.inference.prediction import Prediction, draw_prediction, to_coco_row
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_target, explained, make_folder
from maskzoo.system.take_ahead import take_ahead
from maskzoo.video.reader import VideoReader
from maskzoo.video.source import VideoSource
from maskzoo.video.writer import FORMATS, is_drawn_video, write_video

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor

__all__ = ["VideoRun", "predict_video"]

Pixels = NDArray[np.uint8]
STAGE = "Predicting"
AHEAD = 2  # drawn frames that wait for the encoder
LINES = ".jsonl"


@dataclass(frozen=True)
class VideoRun:
    """What `predict_video` did: how many `frames` and `objects`, also by class, and `seconds` in all.

    `identities` counts the tracked objects (None: not tracked), `dropped` the frames of a live source that came while the
    network was busy. `video` and `lines` are the files that were written (None: not asked for). `fault` says what could
    not be read of the video, "" if all could.
    """

    model: str
    source: str
    frames: int
    objects: int
    classes: dict[str, int]
    identities: int | None
    dropped: int
    seconds: float
    video: Path | None
    lines: Path | None
    fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON."""
        return asdict(self) | {key: value and str(value) for key, value in (("video", self.video), ("lines", self.lines))}


def predict_video(
    predictor: Predictor | Callable[[], Predictor],
    source: str | Path,
    out: str | Path = "maskzoo-predictions",
    *,
    save: str | Collection[str] = ("image", "json"),
    score: float = SCORE,
    classes: str | Sequence[str] | None = None,
    batch: int = 1,
    workers: int | None = None,
    every: int = 1,
    track: bool = False,
    font: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> VideoRun:
    """Find the objects in a video, a camera's pictures or a stream, write the drawn video and a line of JSON for each frame.

    Reading, the network, drawing and encoding go on at the same time; memory does not grow with the video. Sound is copied
    from a file as it is; frames keep their times and are upright. Ctrl-C ends it after a whole frame: both files are good,
    and a note says how far they go.

    Args:
        predictor: From `maskzoo.load`; or a function that loads it, called once the video is open.
        source: A file, a camera's number ("0") or device, or the address of a stream (rtsp://..., http://...).
        out: The drawn video (.mp4, .m4v, .mov, .mkv, .webm), with its lines beside it as .jsonl; or the folder for both.
        save: What to save: "image" (the video), "json" (the lines), both, or nothing (`()` or "none").
        score: Objects count from this score on, 0 to 1.
        classes: The names of the classes that count, in a list or with commas; all if left out.
        batch: Frames computed together; it alters no result.
        workers: Frames worked on at once, in threads; None: as many as are worth it.
        every: Predict and write every N-th frame only.
        track: Follow objects from frame to frame, and give each its number.
        font: The file of a font that has the letters of the names; left out, one is searched for.
        on_progress: Is called for each frame; its notes are for a reader.

    Returns:
        Counts, the files, and what could not be read of the video.

    Raises:
        ArgumentError: An argument is out of range, or the model has no such class.
        ConfigError: The font cannot be read.
        ImageError: It is no video, or has no pictures.
        SourceError: The source is not there, or cannot be reached.
        MaskzooError: Something cannot be written, the predictor cannot be loaded, or `maskzoo[video]` is missing.
    """
    kinds = check_arguments(save, score, batch, workers)
    check_font(font)
    began = time.monotonic()
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(VideoSource.parse(source), every))
        target, lines = _name_files(video.source, Path(out), kinds)
        loaded: Predictor = predictor() if callable(predictor) else predictor
        unwritten = explain_unwritten(loaded.config.classes.values(), font) if target else None
        for note in filter(None, (f"Running on {loaded.describe_backend()}", unwritten)):
            on_progress(ProgressEvent(STAGE, note=note))
        predictions = predict_frames(
            loaded.predict_each,
            video,
            score=score,
            classes=classes,
            batch_size=batch,
            workers=workers or loaded.backend.choose_workers(),
            track=track,
        )
        stack.enter_context(closing(predictions))
        count = _write(video, predictions, target, lines, font, on_progress)
    return VideoRun(
        model=loaded.config.name,
        source=video.name,
        frames=count.frames,
        objects=count.classes.total(),
        classes=dict(count.classes.most_common()),
        identities=count.identities if track else None,
        dropped=video.taken - count.frames,
        seconds=time.monotonic() - began,
        video=target,
        lines=lines,
        fault=video.fault,
    )


def _name_files(source: VideoSource, out: Path, kinds: frozenset[str]) -> tuple[Path | None, Path | None]:
    """Return the files for the drawn video and for the lines, each None if it is not wanted, in a folder that is there."""
    suffix = out.suffix.lower()
    if suffix in FORMATS:
        video, lines = out, out.with_suffix(LINES)
    elif suffix == LINES and kinds == {"json"}:
        video = lines = out
    elif suffix in VIDEO_SUFFIXES:
        raise ArgumentError(f"out (--out): {out}: {suffix} is not written; expected {', '.join(FORMATS)} or a folder")
    else:
        video, lines = out / f"{source.stem}.mp4", out / f"{source.stem}{LINES}"
    if kinds:
        make_folder(video.parent)
    if "image" in kinds:
        check_target(video)
        if video.exists() and not is_drawn_video(video):
            raise MaskzooError(f"{video}: exists, and maskzoo did not write it; expected a new file; choose another --out")
    return video if "image" in kinds else None, lines if "json" in kinds else None


@dataclass
class _Count:
    frames: int = 0
    identities: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, prediction: Prediction) -> None:
        self.frames += 1
        self.classes.update(prediction.names)
        if prediction.identities is not None and len(prediction):
            self.identities = max(self.identities, int(prediction.identities.max()))


def _write(
    video: VideoReader,
    predictions: Iterator[Prediction],
    target: Path | None,
    lines: Path | None,
    font: str | Path | None,
    on_progress: OnProgress,
) -> _Count:
    """Draw, encode and write every frame; after Ctrl-C, close the files as they are, tell how far, and go on with ending."""

    def draw(prediction: Prediction) -> tuple[Prediction, Pixels | None, str]:
        picture = np.asarray(draw_prediction(prediction, font=font)) if target else None
        return prediction, picture, _make_line(prediction) if lines else ""

    count, stopped, began = _Count(), None, time.monotonic()
    with ExitStack() as stack:
        writer = stack.enter_context(write_video(target, video)) if target else None
        if writer and writer.note:
            on_progress(ProgressEvent(STAGE, note=writer.note))
        file = stack.enter_context(_open_lines(lines)) if lines else None
        drawn = stack.enter_context(closing(take_ahead(map(draw, predictions), AHEAD)))
        try:
            for prediction, picture, line in drawn:
                if writer and picture is not None:
                    writer.write(picture, prediction.time or 0.0)
                if file:
                    file.write(line)
                count.add(prediction)
                rate = count.frames / (time.monotonic() - began)
                on_progress(ProgressEvent(STAGE, count.frames, video.frames_told, "frames", rate))
        except KeyboardInterrupt as interrupt:
            if not count.frames:
                raise
            stopped = interrupt
            if writer:
                writer.finish(cut=True)
    if stopped:
        _tell_stop(count.frames, video.frames_told, [path for path in (target, lines) if path], on_progress)
        raise stopped
    return count


def _tell_stop(frames: int, total: int | None, written: list[Path], on_progress: OnProgress) -> None:
    of = "" if total is None else f" of {total:,}"
    kept = f"; {' and '.join(map(str, written))} hold them" if written else ""
    on_progress(ProgressEvent("", note=f"Stopped after {count_words(frames, 'frame')}{of}{kept}"))


@contextmanager
def _open_lines(path: Path) -> Iterator[IO[str]]:
    """Open the file whose lines can be read as they come."""
    with explained(path), path.open("w", encoding="ascii", buffering=1) as file:
        yield file


def _make_line(prediction: Prediction) -> str:
    whole = prediction.to_dict()
    own = ("name", "identity")
    rows = [
        to_coco_row(prediction.frame or 0, row) | {key: row[key] for key in own if key in row} for row in whole["detections"]
    ]
    moment = {key: whole[key] for key in ("frame", "time", "height", "width")}
    return json.dumps(moment | {"detections": rows}, allow_nan=False) + "\n"
