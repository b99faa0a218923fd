"""Which images `maskzoo predict` reads, where their pictures go, and what their ids and classes are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maskzoo.cli.outputs import is_drawn, name_pictures, number_images
from maskzoo.cli.prediction_job import Job, Source
from maskzoo.cli.terminal import open_stderr
from maskzoo.errors import ConfigError, SourceError
from maskzoo.files import check_folder

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.data.annotations import AnnotationSet
    from maskzoo.processes import Processes

__all__ = ["Numbers", "Plan", "count", "find_images"]

STDIN = "-"
DATA_SUFFIX = ".json"


@dataclass(frozen=True)
class Numbers:
    """The classes of the ids that are written, the id of each of the model's, if it is another, and what to say of it."""

    classes: dict[int, str]
    categories: dict[int, int] | None = None
    note: str | None = None


@dataclass(frozen=True)
class Plan:
    """Names and sources of all images, and the data set whose images they are, in its order, if it is one."""

    images: Sequence[tuple[str, Source]]
    data: AnnotationSet | None = None

    def make_jobs(self, folder: Path) -> list[Job]:
        """Say for every image which id it has and where its picture goes."""
        files = ["stdin" if isinstance(source, bytes) else str(source) for _, source in self.images]
        pictures = name_pictures(files, folder)
        if self.data is None:
            rows = zip(self.images, number_images(files), pictures, strict=True)
            return [Job(number, *image, image_id, picture) for number, (image, image_id, picture) in enumerate(rows)]
        sized = zip(self.images, self.data.image_ids.tolist(), pictures, self.data.sizes.tolist(), strict=True)
        return [
            Job(number, *image, image_id, picture, (height, width))
            for number, (image, image_id, picture, (height, width)) in enumerate(sized)
        ]

    def number_classes(self, config: ModelConfig) -> Numbers:
        """Return the data set's category ids where its classes are the model's, else the model's own."""
        if self.data is None:
            return Numbers(dict(config.classes))
        from maskzoo.data.classes import ClassMap, match_classes

        try:
            match = match_classes(ClassMap.from_classes(config.classes), self.data.classes, config.name, self.data.source)
        except ConfigError as error:
            return Numbers(dict(config.classes), note=f"Image ids are the data set's, category ids the model's: {error}")
        ids = dict(zip(config.classes, self.data.classes.to_ids(match.labels).tolist(), strict=True))
        return Numbers(self.data.classes.to_classes(), ids, match.note)


def find_images(sources: Sequence[str], images: Path | None, out: Path | None, processes: Processes) -> Plan:
    """Find every image with its name; standard input, if named, comes first. Checks where results go, before any work.

    One source alone may be a COCO instances file: its images then, which lie in the folder `images` or near it. A pattern
    also finds what an earlier call, one that was killed too, drew into `out`: that is left out.
    """
    files = (source for source in sources if not source.startswith("@") and not Path(source).is_dir())
    sets = [source for source in files if source.lower().endswith(DATA_SUFFIX)]
    if images is not None and not sets:
        raise typer.BadParameter("belongs to a data set (.json) as SOURCE; leave it out", param_hint="--images")
    if sets and len(sources) > 1:
        raise SourceError(
            f"{sets[0]}: a data set beside other sources, whose ids would meet its own; expected it alone; predict them "
            "one after the other, each with an --out of its own"
        )
    plan = _read_data(Path(sets[0]), images) if sets else Plan(_find(sources, processes))
    if out is None:
        return plan
    check_folder(out)
    return plan if sets else Plan(_leave_out_drawn(plan.images, out, processes))


def _read_data(data: Path, images: Path | None) -> Plan:
    from maskzoo.data.annotations import find_image_folder
    from maskzoo.data.coco import read_annotations

    annotations = read_annotations(data)
    folder = find_image_folder(annotations, images)
    names = [annotations.file_name(place) for place in range(len(annotations))]
    return Plan([(name, folder / name) for name in names], annotations)


def _find(sources: Sequence[str], processes: Processes) -> list[tuple[str, Source]]:
    from maskzoo.data.sources import find_sources

    named: list[tuple[str, Source]] = []
    if STDIN in sources:
        if processes.count > 1:
            raise SourceError("-: several processes cannot share standard input; expected files; start one process")
        if sys.stdin.isatty():
            raise SourceError("-: standard input is a terminal; expected the bytes of an image, as in < photo.jpg")
        named.append((STDIN, sys.stdin.buffer.read()))
    return named + [(str(source), source) for source in find_sources([name for name in sources if name != STDIN])]


def _leave_out_drawn(
    named: Sequence[tuple[str, Source]], out: Path, processes: Processes
) -> list[tuple[str, Source]]:
    drawn = {name for name, source in named if isinstance(source, Path) and is_drawn(name, out)}
    if drawn and len(drawn) == len(named):
        raise SourceError(
            f"{out}: all {count(len(drawn), 'image')} were drawn here by an earlier call; expected photos; to find "
            "objects in these pictures choose another --out"
        )
    if drawn and processes.rank == 0:
        text = f"Left out: {count(len(drawn), 'picture')} that an earlier call drew in {out}"
        open_stderr().print(text, soft_wrap=True)
    return [(name, source) for name, source in named if name not in drawn]


def count(number: int, noun: str) -> str:
    """Return the number with its noun, in the plural unless it is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
