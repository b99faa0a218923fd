"""A folder of images predicted by one process or many, which resumes after a kill, and the result."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskzoo.datasets.converted import ConvertedDataset
from maskzoo.datasets.exporters.formats import EXPORTERS
from maskzoo.datasets.predictions import to_annotation
from maskzoo.drawing.fonts import check_font, explain_unwritten
from maskzoo.errors import ArgumentError, count_words
from maskzoo.inference.choice import SCORE, Choice
from maskzoo.inference.folder_share import Work, predict_share
from maskzoo.inference.forms import check_forms, check_names, write_forms
from maskzoo.inference.journal import Journal, count_lines
from maskzoo.inference.outputs import join_json, remove_drawn, write_results
from maskzoo.inference.prediction_plan import PlannedImage, find_photos
from maskzoo.inference.tiles import OVERLAP, TileSide, Tiling
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import explained, make_folder, own_folder
from maskzoo.system.processes import Processes, join_processes

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor

__all__ = ["FailedImage", "FolderRun", "ImageResult", "check_arguments", "predict_folder"]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What was found on one image: `detections` as `Prediction.to_dict` has them, under the ids that are written.

    `source` is the image's name as given, `picture` where its objects are drawn (None if they are not), `seconds` how
    long the image was waited for.
    """

    source: str
    image_id: int
    height: int
    width: int
    detections: list[dict[str, Any]]
    picture: Path | None
    seconds: float

    def count_classes(self) -> Counter[str]:
        """Return how many objects of each class there are, by name."""
        return Counter(detection["name"] for detection in self.detections)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON tells of the image: source, image_id, height, width and detections."""
        return {key: getattr(self, key) for key in ("source", "image_id", "height", "width", "detections")}


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be predicted, by its name, and why."""

    source: str
    error: str


@dataclass(frozen=True)
class FolderRun:
    """What `predict_folder` did: numbers of `images` and `objects`, `seconds` in all, and each image that `failed`.

    `saved` says what was saved of each image; `written` are the result files, `forms` what was written in other formats;
    `workers` is how many images were worked on at once. `plan` and `journal` are where `results` reads; of several
    processes the first has them, and all have the numbers.
    """

    model: str
    images: int
    objects: int
    seconds: float
    workers: int
    saved: tuple[str, ...]
    written: tuple[Path, ...]
    failed: tuple[FailedImage, ...]
    plan: Sequence[PlannedImage] = field(repr=False)
    journal: Journal | None = field(repr=False)
    forms: tuple[ConvertedDataset, ...] = ()

    def results(self) -> Iterator[ImageResult]:
        """Yield what was found on each image, in their order, read one at a time: all of them need not fit into memory."""
        for number, record in self.journal.read() if self.journal else ():
            if "error" not in record:
                image = self.plan[number]
                picture = image.picture if "image" in self.saved else None
                yield ImageResult(image.name, image.image_id, picture=picture, **record)

    def to_json(self) -> Iterator[str]:
        """Yield the text of `to_dict` in pieces, image by image."""
        yield f'{{"model": {json.dumps(self.model)}, "images": '
        yield from join_json(result.to_dict() for result in self.results())
        yield f', "failed": {json.dumps([asdict(image) for image in self.failed])}'
        yield f', "forms": {json.dumps({form.to: form.to_dict() for form in self.forms})}}}'

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON: the model's name, images with their detections, what failed, the forms."""
        whole: dict[str, Any] = json.loads("".join(self.to_json()))
        return whole


def predict_folder(
    predictor: Predictor | Callable[[], Predictor],
    sources: str | Path | Sequence[str | Path],
    out: str | Path = "maskzoo-predictions",
    *,
    images: str | Path | None = None,
    save: str | Collection[str] = ("image", "json"),
    score: float = SCORE,
    classes: str | Sequence[str] | None = None,
    batch: int = 1,
    workers: int | None = None,
    tile: TileSide | None = None,
    overlap: float = OVERLAP,
    font: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
    processes: Processes | None = None,
) -> FolderRun:
    """Find the objects in many images, save pictures and COCO results, and resume a call that was killed.

    Args:
        predictor: From `maskzoo.load`; or a function that loads it, called once sources and `out` are known to be good.
        sources: Images, folders, patterns (`photos/**/*.jpg`), `@LIST.txt` (a path a line), `.tar` files of images, `-`
            for an image on standard input. Or one COCO instances file (.json): its images then, under its ids.
        out: The folder for the results: NAME.jpg of each image, `predictions.json` (COCO results), and `images.json`,
            which names the images and classes of their ids. New results take the place of an earlier call's, pictures included.
        images: The folder of the images of a data set or list, if they are not near its file.
        save: What to save: "image", "json", formats that `convert_dataset` writes (`labelme`, `yolo`, `cvat`, `cutouts`,
            `geojson` ...), each into the folder of its name, or nothing (`()` or "none"), for which no folder is made.
        score: Objects count from this score on, 0 to 1. For an evaluation: 0.
        classes: The names of the classes that count, in a list or with commas; all if left out.
        batch: Images computed together, or tiles; it alters no result.
        workers: Images worked on at once, in threads, or tiles; None: as many as are worth it.
        tile: Pixels of a tile's side: images are large, read and predicted tile by tile, as `Predictor.predict` does it.
        overlap: What neighbouring tiles share, as a part of their side.
        font: The file of a font that has the letters of the names; left out, one is searched for.
        on_progress: Is called for each image; its notes are for a reader.
        processes: Those that share the images; all that torchrun started if left out. The first merges the results.

    Returns:
        Counts, result files, what failed, and the results themselves, read from disk one at a time. Images that cannot
        be read raise nothing: they are listed in `failed`.

    Raises:
        ArgumentError: An argument is out of range, or the model has no such class.
        ConfigError: The font cannot be read.
        SourceError: A source names no image, or `out` holds an unfinished run of another model or other options.
        MaskzooError: Something cannot be written, or the predictor cannot be loaded.
    """
    kinds = check_arguments(save, score, batch, workers)
    forms = kinds - {"image", "json"}
    check_font(font)
    tiling = None if tile is None else Tiling(tile, overlap)
    if isinstance(predictor, str | Path):
        raise ArgumentError(f"predictor: found {str(predictor)!r}; expected what is loaded from it: maskzoo.load(...)")
    given = [sources] if isinstance(sources, str | Path) else sources
    target = Path(out) if kinds else None
    folder = None if images is None else Path(images)
    with join_processes() if processes is None else nullcontext(processes) as processes:
        tell = on_progress if processes.rank == 0 else say_nothing
        if forms:
            check_forms(Path(out), forms)
        found = find_photos([str(source) for source in given], folder, target, processes.count == 1, tell)
        if forms:
            check_names(name for name, _ in found.named)
        loaded: Predictor = predictor() if callable(predictor) else predictor
        written = found.match_classes(loaded.config)
        unwritten = explain_unwritten(loaded.config.classes.values(), font) if "image" in kinds else None
        chosen = Choice.make(score, classes, loaded.config).labels
        names = None if chosen is None else tuple(list(loaded.config.classes.values())[label] for label in chosen)
        for note in filter(None, (f"Running on {loaded.describe_backend()}", written.note, unwritten)):
            tell(ProgressEvent("Predicting", note=note))
        with _open_folder(target, processes, tell) as place, _explain_stop(place, len(found.named), bool(kinds), tell):
            plan = found.plan(place)
            workers = workers or loaded.backend.choose_workers()
            if tiling is None:
                workers = min(workers, -(-len(plan) // (batch * processes.count)))
            work = Work(loaded, kinds, score, batch, names, written.categories, None if font is None else str(font), tiling)
            journal = predict_share(work, plan, place, workers, processes, tell)
            run = _sum_up(work, workers, plan, journal)
            if journal is not None:
                if "json" in kinds:
                    drawn = [image.picture for image in plan] if "image" in kinds else []
                    if removed := remove_drawn(place, drawn):
                        note = f"Removed from {place}: {count_words(removed, 'picture')} of an earlier call"
                        tell(ProgressEvent("Predicting", note=note))
                    rows, index = _list_coco_rows(run), _describe_images(run, written.classes)
                    run = replace(run, written=write_results(place, rows, index))
                if forms and run.images:
                    run = replace(run, forms=_write_forms(run, place, forms, written.classes, tell))
                journal.remove()
        numbers = processes.broadcast(replace(run, plan=(), journal=None))
    return numbers if journal is None else run


def check_arguments(save: str | Collection[str], score: float, batch: int, workers: int | None) -> frozenset[str]:
    """Return the kinds to save. Raises ArgumentError if anything is out of range."""
    kinds = frozenset(kind.strip() for kind in (save.split(",") if isinstance(save, str) else save))
    if kinds == {"none"}:
        kinds = frozenset()
    if not kinds <= {"image", "json", *EXPORTERS}:
        raise ArgumentError(f"save (--save): found {save!r}; expected some of image, json, {', '.join(EXPORTERS)}; or none")
    if not 0 <= score <= 1:
        raise ArgumentError(f"score (--score): found {score}; expected 0 to 1")
    for name, number in (("batch", batch), ("workers", workers)):
        if number is not None and number < 1:
            raise ArgumentError(f"{name} (--{name}): found {number}; expected 1 or more")
    return kinds


@contextmanager
def _open_folder(out: Path | None, processes: Processes, tell: OnProgress) -> Iterator[Path]:
    """Make the folder of the results and own it; where nothing is saved, one for the part files that goes with the run."""
    if out is not None:
        make_folder(out)
        with own_folder(out) if processes.rank == 0 else nullcontext("") as note:
            if note:
                tell(ProgressEvent("Predicting", note=note))
            yield out
        return
    with ExitStack() as stack:
        own = ""
        if processes.rank == 0:
            with explained(Path("a folder for temporary files (TMPDIR)")):
                own = stack.enter_context(tempfile.TemporaryDirectory(prefix="maskzoo-"))
        yield Path(processes.broadcast(own))


@contextmanager
def _explain_stop(folder: Path, count: int, kept: bool, on_progress: OnProgress) -> Iterator[None]:
    """Where Ctrl-C ends it: tell how many of `count` images are done, and what the same call would do."""
    try:
        yield
    except KeyboardInterrupt:
        ending = "the same call goes on from there" if kept else "nothing was to be saved, so the same call begins anew"
        on_progress(ProgressEvent("", note=f"Stopped after {count_lines(folder)} of {count_words(count, 'image')}; {ending}"))
        raise


def _sum_up(work: Work, workers: int, plan: Sequence[PlannedImage], journal: Journal | None) -> FolderRun:
    images, objects, seconds, failed = 0, 0, 0.0, []
    for number, record in journal.read() if journal else ():
        seconds += record["seconds"]
        if "error" in record:
            failed.append(FailedImage(plan[number].name, record["error"]))
        else:
            images, objects = images + 1, objects + len(record["detections"])
    name, saved = work.predictor.config.name, tuple(sorted(work.kinds))
    return FolderRun(name, images, objects, seconds, workers, saved, (), tuple(failed), plan, journal)


def _list_coco_rows(run: FolderRun) -> Iterator[str]:
    from maskzoo.inference.prediction import to_coco_row

    return join_json(to_coco_row(result.image_id, row) for result in run.results() for row in result.detections)


def _describe_images(run: FolderRun, classes: dict[int, str]) -> Iterator[str]:
    """Describe the images as a COCO data set without annotations, so that COCO tools can load the results over it."""
    images = (_describe(result) | ({"picture": result.picture.name} if result.picture else {}) for result in run.results())
    yield '{"info": {}, "images": '
    yield from join_json(images)
    yield f', "annotations": [], "categories": {json.dumps(_list_categories(classes))}}}'


def _describe(result: ImageResult) -> dict[str, Any]:
    return {"id": result.image_id, "file_name": result.source, "width": result.width, "height": result.height}


def _list_categories(classes: Mapping[int, str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in classes.items()]


def _write_forms(
    run: FolderRun, out: Path, forms: Collection[str], classes: Mapping[int, str], tell: OnProgress
) -> tuple[ConvertedDataset, ...]:
    rows = (row | {"image_id": result.image_id} for result in run.results() for row in result.detections)
    content = {
        "images": [_describe(result) for result in run.results()],
        "annotations": [to_annotation(place, row) for place, row in enumerate(rows)],
        "categories": _list_categories(classes),
    }
    files = {image.name: image.source for image in run.plan if isinstance(image.source, Path)}
    return write_forms(out, forms, content, files, run.model, tell)
