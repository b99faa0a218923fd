"""Which images are predicted, where their pictures go, and what their ids and classes are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from maskzoo.errors import ArgumentError, ConfigError, SourceError
from maskzoo.inference.outputs import is_drawn, name_pictures, number_images
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.files import check_folder

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.datasets.annotations import AnnotationSet
    from maskzoo.images.sources import TarMember

__all__ = ["FoundImages", "PlannedImage", "WrittenClasses", "find_photos"]

PhotoSource: TypeAlias = "Path | bytes | TarMember"
STDIN = "-"
DATA_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image: its number among all, its name, what is read, its COCO id and where its picture goes.

    `size` is the height and width that a data set says it has.
    """

    number: int
    name: str
    source: PhotoSource
    image_id: int
    picture: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class WrittenClasses:
    """The classes of the ids that are written, the id of each of the model's, if it is another, and what to say of it."""

    classes: dict[int, str]
    categories: dict[int, int] | None = None
    note: str = ""


@dataclass(frozen=True)
class FoundImages:
    """All images by name, and the data set that they are, if it is one."""

    named: list[tuple[str, PhotoSource]]
    data: AnnotationSet | None = None

    def plan(self, folder: Path) -> list[PlannedImage]:
        """Say for every image where its picture goes, in a `folder` that is there, and what its id is."""
        sizes: Iterable[tuple[int, int] | None]
        if self.data is not None:
            files = [str(source) for _, source in self.named]
            numbers, sizes = self.data.image_ids.tolist(), map(tuple, self.data.sizes.tolist())
        else:
            files = ["stdin" if name == STDIN else name for name, _ in self.named]
            numbers, sizes = number_images(files), repeat(None, len(files))
        rows = zip(self.named, numbers, name_pictures(files, folder), sizes, strict=True)
        return [PlannedImage(number, *named, *rest) for number, (named, *rest) in enumerate(rows)]

    def match_classes(self, config: ModelConfig) -> WrittenClasses:
        """Return the data set's category ids where its classes are the model's, else the model's own."""
        if self.data is None:
            return WrittenClasses(dict(config.classes))
        from maskzoo.datasets.classes import ClassMap, match_classes

        try:
            match = match_classes(ClassMap.from_classes(config.classes), self.data.classes, config.name, self.data.source)
        except ConfigError as error:
            note = f"Image ids are the data set's, category ids the model's: {error}"
            return WrittenClasses(dict(config.classes), note=note)
        if (match.labels < 0).any():
            note = f"Image ids are the data set's, category ids the model's, as it has classes of its own: {match.note}"
            return WrittenClasses(dict(config.classes), note=note)
        ids = dict(zip(config.classes, self.data.classes.to_ids(match.labels).tolist(), strict=True))
        return WrittenClasses(self.data.classes.to_classes(), ids, match.note or "")


def find_photos(
    sources: Sequence[str], images: Path | None, out: Path | None, alone: bool, on_progress: OnProgress
) -> FoundImages:
    """Return every image that `sources` name; standard input, if named, comes first. Checks `out` before any work.

    One source alone may be a COCO instances file: its images then, with its ids, in the folder `images` or near it.
    Pictures of lists may lie in `images`, too. `alone`: no other process predicts a share. Raises SourceError where there
    is none, ArgumentError if `images` is given without a data set or list.
    """
    if out is not None:
        check_folder(out)
    files = (source for source in sources if not source.startswith("@") and not Path(source).is_dir())
    sets = [source for source in files if source.lower().endswith(DATA_SUFFIX)]
    if not sets:
        if images is not None and not any(source.startswith("@") for source in sources):
            raise ArgumentError(f"{images}: --images belongs to a data set (.json) or an @LIST.txt as SOURCE; leave it out")
        named = _read_sources(sources, images, alone)
        return FoundImages(named if out is None else _leave_out_drawn(named, out, on_progress))
    if len(sources) > 1:
        raise SourceError(
            f"{sets[0]}: a data set beside other sources, whose ids would meet its own; expected it alone; predict them "
            "one after the other, each with an --out of its own"
        )
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.datasets.image_folders import find_image_folder

    annotations = read_annotations(Path(sets[0]))
    folder = find_image_folder(annotations, images)
    names = [annotations.file_name(place) for place in range(len(annotations))]
    return FoundImages([(name, folder / name) for name in names], annotations)


def _read_sources(sources: Sequence[str], images: Path | None, alone: bool) -> list[tuple[str, PhotoSource]]:
    from maskzoo.images.sources import find_sources

    named: list[tuple[str, PhotoSource]] = []
    if STDIN in sources:
        if not alone:
            raise SourceError("-: several processes cannot share standard input; expected files; start one process")
        if sys.stdin.isatty():
            raise SourceError("-: standard input is a terminal; expected the bytes of an image, as in < photo.jpg")
        named.append((STDIN, sys.stdin.buffer.read()))
    found = find_sources([source for source in sources if source != STDIN], images)
    return named + [(str(source), source) for source in found]


def _leave_out_drawn(named: list[tuple[str, PhotoSource]], out: Path, on_progress: OnProgress) -> list[tuple[str, PhotoSource]]:
    """A pattern also finds what an earlier call, one that was killed too, drew into `out`: that is left out."""
    drawn = {name for name, source in named if isinstance(source, Path) and is_drawn(name, out)}
    if drawn and len(drawn) == len(named):
        raise SourceError(
            f"{out}: all {len(drawn)} image{'' if len(drawn) == 1 else 's'} were drawn here by an earlier call; expected "
            "photos; to find objects in these pictures choose another --out"
        )
    if drawn:
        count = f"{len(drawn)} picture{'' if len(drawn) == 1 else 's'}"
        on_progress(ProgressEvent("Predicting", note=f"Left out: {count} that an earlier call drew in {out}"))
    return [(name, source) for name, source in named if name not in drawn]
