"""The photos of a folder that are worth labelling next: `maskzoo.pick_images`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskzoo.dataset_checks.near_duplicates import find_earlier_duplicates, make_thumbnail
from maskzoo.datasets.coco_reader import is_text
from maskzoo.errors import ArgumentError, ImageError, SourceError
from maskzoo.images.read import read_image
from maskzoo.images.sources import find_sources
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.picking.selection import measure_doubt, select, to_directions
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_target, write_file

__all__ = ["PickedImage", "PickedImages", "pick_images"]

NAMED = 3  # doubtful objects of a photo that are told


@dataclass(frozen=True, slots=True)
class PickedImage:
    """A photo worth labelling: its `path`, and why.

    `doubt`, 0 to 1, is that of its objects, `doubtful` the most doubtful ones' names and scores. `distance`, 0 to 2, says how
    unlike the `nearest` of those picked before it is, None for the first.
    """

    path: Path
    doubt: float
    doubtful: tuple[tuple[str, float], ...]
    distance: float
    nearest: Path | None

    def list_doubtful(self) -> str:
        """Return the doubtful objects in words, empty without any."""
        return ", ".join(f"{name} {score:.2f}" for name, score in self.doubtful)

    def explain(self) -> str:
        """Return the reason in words."""
        found = f"doubt {self.doubt:.2f}: {names}" if (names := self.list_doubtful()) else "nothing was found"
        return found if self.nearest is None else f"{found}; {self.distance:.2f} from {self.nearest.name}"


@dataclass(frozen=True, slots=True)
class PickedImages:
    """The photos that were `picked` of so many, in order, and those left out.

    `duplicates` has each photo that is nearly the same as another, and that one; `failed` those that cannot be read, and why.
    `out` is the list of paths, None if none was written.
    """

    images: int
    picked: tuple[PickedImage, ...]
    duplicates: dict[str, str]
    failed: dict[str, str]
    out: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        rows = [
            asdict(one) | {"path": str(one.path), "nearest": one.nearest and str(one.nearest), "reason": one.explain()}
            for one in self.picked
        ]
        return asdict(self) | {"picked": rows, "out": self.out and str(self.out)}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is kept of each photo: 12 kB and less."""

    path: Path
    doubt: float
    doubtful: tuple[tuple[str, float], ...]
    features: NDArray[np.float32]
    thumbnail: NDArray[np.uint8]


def pick_images(
    predictor: Predictor,
    sources: str | Path | Sequence[str | Path],
    count: int = 50,
    *,
    images: str | Path | None = None,
    out: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> PickedImages:
    """Pick the photos that are worth labelling next: those of which the model is unsure, and unlike each other.

    A photo's doubt is the mean of its five most doubtful objects', which is 1 at a score of a half and 0 at 0 and 1. The most
    doubtful photo comes first; then always the one with the most doubt times distance, which is 1 - cosine of the backbone's
    last features, averaged over the photo, to the nearest photo picked before. Of photos that are nearly the same the most
    doubtful one is considered.

    Args:
        predictor: From `maskzoo.load`, run by PyTorch (`backend="eager"`).
        sources: Images, folders, patterns, `@LIST.txt`.
        count: How many are wanted.
        images: A folder in which the pictures of lists may lie, beside those in a list's own folder.
        out: A text file for the paths, one a line, relative to its folder: `@FILE` names them to other verbs. It may be there.
        on_progress: Is called for each image.

    Returns:
        The photos in order, with reasons, and what was left out. Images that cannot be read, or named in
            a list, raise nothing: `failed` has them.

    Raises:
        ArgumentError: `count` is below 1, or the predictor is not run by PyTorch.
        SourceError: A source names no image, or an archive.
        MaskzooError: The list cannot be written.
    """
    if count < 1:
        raise ArgumentError(f"count (-n): found {count}; expected 1 or more")
    if not isinstance(predictor.backend, Eager):
        raise ArgumentError(f"predictor: is run by {predictor.backend.name}, which gives no features; expected backend eager")
    target = None if out is None else Path(out)
    if target is not None:
        check_target(target)
    paths = _find_paths([sources] if isinstance(sources, str | Path) else sources, None if images is None else Path(images))
    unnamed = {} if target is None else {str(path): why for path in paths if (why := _explain_unnamed(path))}
    named = [path for path in paths if str(path) not in unnamed]
    looked, failed = _look(predictor, predictor.backend, named, on_progress)
    kept, duplicates = _drop_duplicates(looked)
    picked = _pick(kept, count)
    if target is not None:
        folder = target.parent.resolve()
        write_file(target, "".join(f"{_name(one.path, folder)}\n" for one in picked).encode())
    return PickedImages(len(paths), picked, duplicates, unnamed | failed, target)


def _find_paths(sources: Sequence[str | Path], images: Path | None) -> list[Path]:
    paths = []
    for found in find_sources([str(source) for source in sources], images):
        if not isinstance(found, Path):
            raise SourceError(f"{found.archive}: is an archive, whose images no list can name; expected files; unpack it first")
        paths.append(found)
    return paths


def _explain_unnamed(path: Path) -> str | None:
    """Return why no line of a list can name a file; None if one can."""
    name = str(path)
    if name == name.rstrip() and is_text(name) and not re.search("[\n\r]", name):
        return None
    return f"{name!r}: no list can hold this name; expected UTF-8 without line breaks, and no space at its end; rename the file"


def _name(path: Path, folder: Path) -> str:
    """Return a file's line in a list in `folder`: readers take spaces off both ends of a line."""
    line = Path(os.path.relpath(path.resolve(), folder)).as_posix()
    return line if line == line.lstrip() else f"./{line}"


def _look(
    predictor: Predictor, backend: Eager, paths: Sequence[Path], on_progress: OnProgress
) -> tuple[list[_Looked], dict[str, str]]:
    """Predict each photo, and keep what the choice goes by."""
    looked: list[_Looked] = []
    failed: dict[str, str] = {}
    with _watch(backend.model.backbone) as maps:
        for done, path in enumerate(paths, 1):
            try:
                pixels = read_image(path)
            except ImageError as error:
                failed[str(path)] = str(error)
            else:
                found = predictor.predict(pixels, score=0)
                doubt, most = measure_doubt(found.scores)
                doubtful = tuple((found.names[place], float(found.scores[place])) for place in most[:NAMED].tolist())
                features = maps.pop().float().mean(dim=(0, 2, 3)).cpu().numpy()
                looked.append(_Looked(path, doubt, doubtful, features, make_thumbnail(pixels)))
            on_progress(ProgressEvent("Looking", done, len(paths)))
    return looked, failed


@contextmanager
def _watch(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """Give the last feature map `[1 C h w]` of each image that passes the backbone, until the block ends."""
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        maps.append(outputs[-1])

    hook = backbone.register_forward_hook(keep)
    try:
        with torch.inference_mode():
            yield maps
    finally:
        hook.remove()


def _drop_duplicates(looked: Sequence[_Looked]) -> tuple[list[_Looked], dict[str, str]]:
    """Return the photos without near duplicates, of which the most doubtful stays, and which goes with which."""
    order = sorted(looked, key=lambda one: -one.doubt)
    found = find_earlier_duplicates(np.array([one.thumbnail for one in order]))
    kept = [one for place, one in enumerate(order) if place not in found]
    return kept, {str(order[place].path): str(order[first].path) for place, first in found.items()}


def _pick(kept: Sequence[_Looked], count: int) -> tuple[PickedImage, ...]:
    if not kept:
        return ()
    steps = select([one.doubt for one in kept], to_directions(np.array([one.features for one in kept])), count)
    return tuple(
        PickedImage(
            kept[step.place].path,
            kept[step.place].doubt,
            kept[step.place].doubtful,
            step.distance,
            None if step.nearest is None else kept[step.nearest].path,
        )
        for step in steps
    )
