"""Judge the sizes of image files beside those of the annotations: were all images resized after they were annotated?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from maskzoo.dataset_checks.annotation_checks import SLIGHT_PART, SLIGHT_PIXELS, Objects
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.faults import Fault, Words

__all__ = ["is_same_shape", "judge_file_sizes"]

MOST = 0.8  # share of the images, and of the objects
CHANCE = 0.05  # that objects lie in the part of the image that a smaller one would have, each anywhere in its image


def is_same_shape(said: tuple[float, float], true: tuple[float, float]) -> bool:
    """Say whether two sizes are of one picture at two scales: sides in proportion, but for rounding to whole pixels."""
    return said != true and abs(said[0] * true[1] - said[1] * true[0]) <= max(*said, *true)


def judge_file_sizes(parts: Mapping[str, Objects], faults: Iterable[Fault]) -> Iterator[Judgement]:
    """Say of which splits the files are nearly all smaller or larger than the annotations say, in proportion."""
    differ: dict[str, dict[int, tuple[float, float, float, float]]] = defaultdict(dict)
    examples: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.code == "size-differs" and fault.image is not None and isinstance(fault.expected, Words):
            (width, height), true = fault.found.values[:2], fault.expected.values[:2]
            if min(width, height) > 1 and is_same_shape((width, height), true):  # 1 x 1 is no size that somebody noted
                differ[fault.split][fault.image] = (width, height, *true)
                examples[fault.split].append(fault)
    for split, sizes in differ.items():
        packed = parts[split].sifted.packed
        if len(sizes) >= MOST * len(packed):
            values = np.array([sizes.get(number, (np.nan,) * 4) for number in packed.image_ids.tolist()])
            scale = float(np.nanmedian(values[:, 2] / values[:, 0]))
            evidence = {"images": len(packed), "differ": len(sizes), "scale": scale}
            certain = _prove(parts[split], values[packed.image_index])
            shown = tuple(examples[split][:3])
            yield Judgement("images-resized", certain, evidence, split if len(parts) > 1 else "", shown)


def _prove(objects: Objects, sizes: NDArray[np.float64]) -> bool:
    """Say whether outlines belong to the sizes that the annotations say, and not to those of the files.

    `sizes` float64 `[N 4]` are width and height as said and as in the file, NaN where these agree.
    """
    known = np.asarray(np.isfinite(sizes).all(axis=1) & (objects.area > 0))
    reach, sizes = objects.extent[known, 2:], sizes[known]
    if not len(sizes):
        return False
    slack = np.maximum(SLIGHT_PIXELS, SLIGHT_PART * sizes)
    fits_said, fits_file = (np.asarray((reach <= (sizes + slack)[:, part]).all(axis=1)) for part in np.s_[:2, 2:4])
    if not fits_said.mean() >= MOST:
        return False
    smaller = np.asarray(sizes[:, 2] < sizes[:, 0])
    chance = np.log(sizes[~smaller, :2].prod(axis=1) / sizes[~smaller, 2:].prod(axis=1)).sum()
    return bool((~fits_file[smaller]).sum() > 1 or chance < np.log(CHANCE))
