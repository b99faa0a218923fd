"""What one position of an epoch trains on: which image, read with its objects, transformed by draws of its own.

Every position has a random generator made from the run's seed, the epoch and the position, so that neither the worker
that happens to make it nor what was made before has a say in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import decode_runs
from maskzoo.errors import ConfigError, ImageError
from maskzoo.images.read import read_image
from maskzoo.training.augment import AnnotatedImage, crop, flip, jitter, resize
from maskzoo.training.composites import paste
from maskzoo.training.draws import augment

__all__ = ["Replaced", "Sample", "SampleMaker", "count_positions", "order_images", "read_annotated"]

Polygon = NDArray[np.float64]
ORDER, POSITION, AUGMENTATION = 0, 1, 2  # first keys of the kinds of random streams
MOST_TRIES = 100  # images in a row that cannot be read; then it is not the images
LARGEST_JITTER = 4.0  # times the canvas's sides: 16 times its pixels while the image is resized


@dataclass(frozen=True, slots=True)
class Replaced:
    """An image that could not be read, at which position of the epoch, and the id of the one that stood in for it."""

    position: int
    image_id: int
    file: str
    error: str
    replacement: int

    def __str__(self) -> str:
        return f"image {self.image_id} was replaced by image {self.replacement} at position {self.position}: {self.error}"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated image at the network's input size, the id of its image, its seed, and what was replaced for it."""

    image: AnnotatedImage
    image_id: int
    seed: int
    replaced: tuple[Replaced, ...]


def read_annotated(annotations: AnnotationSet, folder: Path, image: int) -> AnnotatedImage:
    """Read image `image`, 0 to I-1, with its objects; masks in run lengths are traced to polygons.

    Raises ImageError if it cannot be read, or is not as large as the data set says, or an object's mask is empty.
    """
    path = folder / annotations.file_name(image)
    pixels = read_image(path)
    height, width = annotations.sizes[image].tolist()
    if pixels.shape[:2] != (height, width):
        raise ImageError(
            f"{path}: found {pixels.shape[1]} x {pixels.shape[0]} pixels, EXIF orientation applied; {annotations.source} "
            f"says {width} x {height}, and its outlines are for that; `maskzoo data check` finds all such images"
        )
    rows = slice(*annotations.first[image : image + 2].tolist())
    outlines = [_read_outline(annotations, row, (height, width), path) for row in range(rows.start, rows.stop)]
    return AnnotatedImage(pixels, annotations.boxes[rows], annotations.labels[rows].astype(np.int64), outlines)


def _read_outline(annotations: AnnotationSet, row: int, size: tuple[int, int], path: Path) -> list[Polygon]:
    outline = annotations.outline(row)
    polygons = trace(decode_runs(outline, size)) if isinstance(outline, bytes) else outline
    if not polygons:
        raise ImageError(
            f"{path}: the mask of annotation {annotations.ids[row]} in {annotations.source} has no pixel; expected one or "
            "more; `maskzoo data check` finds all such annotations"
        )
    return polygons


def count_positions(annotations: AnnotationSet, settings: RunSettings) -> int:
    """Return how many positions an epoch has: one for each image, or more where `repeat_rare` repeats some."""
    return round(_find_repeats(annotations, settings.repeat_rare).sum()) if settings.repeat_rare else len(annotations)


def _find_repeats(annotations: AnnotationSet, threshold: float) -> NDArray[np.float64]:
    """Return how often an image comes in an epoch, in the mean, float64 `[I]`, by its rarest class.

    The square root of threshold / share, at least 1: the rule of LVIS (Gupta, Dollár and Girshick, 2019).
    """
    count = len(annotations.classes)
    pairs = np.unique(annotations.image_index.astype(np.int64) * count + annotations.labels)
    shares = np.bincount(pairs % count, minlength=count) / len(annotations)
    repeats = np.ones(len(annotations))
    np.maximum.at(repeats, pairs // count, np.sqrt(threshold / shares[pairs % count]))
    return repeats


def _repeat(annotations: AnnotationSet, threshold: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the images of an epoch, ascending: each as often as it should come, rounded up or down by one common draw."""
    ends = np.cumsum(_find_repeats(annotations, threshold))
    whole = np.floor(np.concatenate([[0.0], ends * (round(ends[-1]) / ends[-1])]) + random.random()).astype(np.int64)
    return np.repeat(np.arange(len(annotations)), np.diff(whole))


def order_images(annotations: AnnotationSet, settings: RunSettings, epoch: int, block: int) -> NDArray[np.int64]:
    """Return the images of an epoch in their order, int64 `[I]`: a permutation drawn for the seed and the epoch.

    With `repeat_rare` images with rare classes come more than once, and there are `count_positions`. With
    `group_by_aspect`, each `block` of positions (one batch of all processes) holds images of one orientation; what is left
    of both stands at the end, where an epoch drops an incomplete step.
    """
    random = _open_stream(settings.seed, ORDER, epoch)
    images = _repeat(annotations, settings.repeat_rare, random) if settings.repeat_rare else len(annotations)
    order: NDArray[np.int64] = random.permutation(images)
    if not settings.group_by_aspect:
        return order
    wide = _find_wide(annotations)[order]
    blocks, rest = [], []
    for alike in (np.flatnonzero(wide), np.flatnonzero(~wide)):
        whole = len(alike) // block * block
        blocks.append(alike[:whole].reshape(-1, block))
        rest.append(alike[whole:])
    full = np.concatenate(blocks)
    full = full[full[:, -1].argsort()]  # a block has its turn when its last image is drawn
    places = np.concatenate([full.ravel(), np.sort(np.concatenate(rest))])
    grouped: NDArray[np.int64] = order[places]
    return grouped


def _find_wide(annotations: AnnotationSet) -> NDArray[np.bool_]:
    wide: NDArray[np.bool_] = annotations.sizes[:, 1] >= annotations.sizes[:, 0]
    return wide


def _open_stream(seed: int, *keys: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=keys)))


class SampleMaker:
    """Makes the sample of any position of any epoch, by the recipe of a config and the settings of a run.

    Raises ConfigError for sides or a jitter that make no sense.
    """

    def __init__(self, annotations: AnnotationSet, folder: Path, config: ModelConfig, settings: RunSettings) -> None:
        self.annotations, self.folder, self.recipe, self.settings = annotations, folder, config.training, settings
        self.rule = config.input.resize
        self.colour = [round(255 * value) for value in config.input.mean]  # next to 0 for the network
        if not self.recipe.short_sides:
            raise ConfigError(f"{config.name}: training.short_sides is empty; expected one side or more, such as [800]")
        if settings.jitter is not None:
            low, high = settings.jitter
            if not low <= high <= LARGEST_JITTER:
                raise ConfigError(
                    f"run.jitter: found {[low, high]}; expected the smallest and the largest factor, at most "
                    f"{LARGEST_JITTER:g}, for example [0.1, 2.0]"
                )

    def make(self, epoch: int, position: int, image: int) -> Sample:
        """Make the sample of `position` of an epoch, where the order has `image`.

        An image that cannot be read is replaced, or stops the run with its ImageError if the settings say so.
        """
        random = _open_stream(self.settings.seed, POSITION, epoch, position)
        seed = int(random.integers(2**63, dtype=np.int64))
        damaged: list[Replaced] = []
        changes = _open_stream(self.settings.seed, AUGMENTATION, epoch, position)
        image, annotated = self._read(image, random, position, damaged)
        annotated = self._augment(annotated, image, changes, position, damaged)
        canvas = self._choose_canvas(annotated)
        sample = self._transform(annotated, canvas, random)
        if random.random() < self.settings.copy_paste and len(self.annotations) > 1:
            other = int(random.integers(len(self.annotations) - 1))
            other, source = self._read(other + (other >= image), random, position, damaged)
            source = self._augment(source, other, changes, position, damaged)
            sample = self._paste(sample, self._transform(source, canvas, random), random)
        return Sample(sample, int(self.annotations.image_ids[image]), seed, tuple(damaged))

    def _augment(
        self, annotated: AnnotatedImage, image: int, random: np.random.Generator, position: int, damaged: list[Replaced]
    ) -> AnnotatedImage:
        """Follow the recipe's list of augmentations, which draws from a stream of its own: without it nothing changes."""

        def read_other() -> AnnotatedImage:
            others = len(self.annotations) - 1
            other = int(random.integers(others)) if others else image
            return self._read(other + (other >= image and others > 0), random, position, damaged)[1]

        return augment(annotated, self.recipe.augmentation, random, read_other, self.colour)

    def _read(
        self, image: int, random: np.random.Generator, position: int, damaged: list[Replaced]
    ) -> tuple[int, AnnotatedImage]:
        """Read an image, or the first of others in a drawn order that can be read; `damaged` gets what cannot."""
        errors: list[tuple[int, ImageError]] = []
        for candidate in self._list_candidates(image, random):
            try:
                annotated = read_annotated(self.annotations, self.folder, candidate)
            except ImageError as error:
                if self.settings.damaged_images == "stop":
                    raise
                errors.append((candidate, error))
                continue
            found = int(self.annotations.image_ids[candidate])
            damaged += [self._describe(position, bad, error, found) for bad, error in errors]
            return candidate, annotated
        raise ImageError(
            f"{self.folder}: none of {len(errors)} images could be read, of {len(self.annotations)} in "
            f"{self.annotations.source}; expected nearly all; is it the right folder (--images)? `maskzoo data check` "
            f"names all that is wrong. The last: {errors[-1][1]}"
        )

    def _list_candidates(self, image: int, random: np.random.Generator) -> Iterator[int]:
        yield image
        others = random.permutation(len(self.annotations))
        if self.settings.group_by_aspect:  # those of the same orientation first
            wide = _find_wide(self.annotations)
            others = others[(wide[others] != wide[image]).argsort(kind="stable")]
        yield from others[others != image][: MOST_TRIES - 1].tolist()

    def _describe(self, position: int, image: int, error: ImageError, replacement: int) -> Replaced:
        number, name = int(self.annotations.image_ids[image]), self.annotations.file_name(image)
        return Replaced(position, number, name, str(error), replacement)

    def _choose_canvas(self, image: AnnotatedImage) -> tuple[int, int]:
        """Return height and width of large-scale jitter's canvas: the recipe's largest, turned as the image is."""
        height, width = image.size
        short, long = max(self.recipe.short_sides), self.recipe.long_side
        return (short, long) if width >= height else (long, short)

    def _transform(self, image: AnnotatedImage, canvas: tuple[int, int], random: np.random.Generator) -> AnnotatedImage:
        """Resize as the recipe says, or jitter as the settings say; then flip or not."""
        if self.settings.jitter is None:
            image = resize(image, int(random.choice(self.recipe.short_sides)), self.recipe.long_side, self.rule)
        else:
            factor, y, x = random.uniform(*self.settings.jitter), random.random(), random.random()
            image = jitter(image, canvas, factor, (y, x), self.colour)
        return flip(image) if random.random() < self.recipe.flip else image

    def _paste(self, sample: AnnotatedImage, source: AnnotatedImage, random: np.random.Generator) -> AnnotatedImage:
        """Paste some of the objects of `source`: each number of them, and each choice, is as likely as another."""
        source = crop(source, 0, 0, sample.size)
        count = len(source.labels)
        if count == 0:
            return sample
        chosen = random.permutation(count)[: random.integers(1, count + 1)]
        return paste(sample, source.take(np.sort(chosen).tolist()))
