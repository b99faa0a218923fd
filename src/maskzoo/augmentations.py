"""The schema of `training.augmentation`: what may be drawn for a photo that is trained on, and lists that have names.

An augmentation happens with `probability`, and its strength is drawn evenly from a range [lowest, highest]. A list is
followed in its order. What each does is in `training/pixels.py`, `training/augment.py` and `training/composites.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from maskzoo.errors import suggest
from maskzoo.schema import Factor, Fraction, Section

__all__ = [
    "PRESETS",
    "Augmentation",
    "Augmentations",
    "Blur",
    "ByDegrees",
    "ByFactor",
    "CutOut",
    "Jpeg",
    "Noise",
    "Shear",
    "WithoutStrength",
]

Angle = Annotated[float, Field(ge=-180, le=180)]
Slant = Annotated[float, Field(ge=-45, le=45)]
Sigma = Annotated[float, Field(ge=0.1, le=50)]
GreyLevels = Annotated[float, Field(ge=0, le=255)]
Share = Annotated[float, Field(gt=0, le=1)]
UpTo100 = Annotated[int, Field(ge=1, le=100)]


def _check_order(values: tuple[Any, Any]) -> tuple[Any, Any]:
    if values[0] > values[1]:
        raise ValueError(f"{list(values)} begins with the larger one; expected [lowest, highest]")
    return values


# What `_expand` passes on is Python's, where a strict tuple would refuse a list.
LIST = Strict(False)
ASCENDING = AfterValidator(_check_order)


class WithoutStrength(Section):
    """`vertical_flip`: top becomes bottom. `quarter_turn`: by 90, 180 or 270 degrees. `mosaic`: the photo and three others,
    each covering its part of the photo's size around a place that is drawn."""

    kind: Literal["vertical_flip", "quarter_turn", "mosaic"]
    probability: Fraction = 0.5


class ByDegrees(Section):
    """`rotate`: turns the photo around its centre, clockwise from 0 on. `hue`: turns the colours around the grey axis."""

    kind: Literal["rotate", "hue"]
    probability: Fraction = 0.5
    degrees: Annotated[tuple[Angle, Angle], LIST, ASCENDING]


class Shear(Section):
    """Slants the photo around its centre, by one angle across and another down."""

    kind: Literal["shear"]
    probability: Fraction = 0.5
    degrees: Annotated[tuple[Slant, Slant], LIST, ASCENDING]


class ByFactor(Section):
    """1 changes nothing. `brightness` multiplies grey levels, `contrast` their distance from the photo's mean, `saturation`
    their distance from grey; `gamma` is the exponent of grey levels of 0 to 1."""

    kind: Literal["brightness", "contrast", "saturation", "gamma"]
    probability: Fraction = 0.5
    factor: Annotated[tuple[Factor, Factor], LIST, ASCENDING]


class Blur(Section):
    """A Gaussian blur; `sigma` in pixels of the photo."""

    kind: Literal["blur"]
    probability: Fraction = 0.5
    sigma: Annotated[tuple[Sigma, Sigma], LIST, ASCENDING]


class Noise(Section):
    """Normal noise, of each pixel and channel its own; its `deviation` in grey levels of 0 to 255."""

    kind: Literal["noise"]
    probability: Fraction = 0.5
    deviation: Annotated[tuple[GreyLevels, GreyLevels], LIST, ASCENDING]


class Jpeg(Section):
    """What JPEG of a `quality` (1 to 100) leaves of the photo."""

    kind: Literal["jpeg"]
    probability: Fraction = 0.5
    quality: Annotated[tuple[UpTo100, UpTo100], LIST, ASCENDING]


class CutOut(Section):
    """Covers so many `holes`, rectangles whose sides are shares of the photo's short `side`. Masks lose what is covered."""

    kind: Literal["cut_out"]
    probability: Fraction = 0.5
    holes: Annotated[tuple[UpTo100, UpTo100], LIST, ASCENDING]
    side: Annotated[tuple[Share, Share], LIST, ASCENDING]


Augmentation = Annotated[
    WithoutStrength | ByDegrees | Shear | ByFactor | Blur | Noise | Jpeg | CutOut, Field(discriminator="kind")
]

# Strengths are moderate on purpose: what an object of the kind still looks like. `aerial` and `microscopy` know no upright;
# `industrial` has a fixed camera, so that light and wear change more than the view.
PRESETS: Mapping[str, tuple[Augmentation, ...]] = {
    "photo": (
        WithoutStrength(kind="mosaic", probability=0.2),
        ByDegrees(kind="rotate", probability=0.3, degrees=(-7.0, 7.0)),
        ByFactor(kind="brightness", probability=0.5, factor=(0.7, 1.3)),
        ByFactor(kind="contrast", probability=0.5, factor=(0.7, 1.3)),
        ByFactor(kind="saturation", probability=0.5, factor=(0.6, 1.4)),
        ByDegrees(kind="hue", probability=0.3, degrees=(-12.0, 12.0)),
        Blur(kind="blur", probability=0.1, sigma=(0.3, 1.5)),
        Jpeg(kind="jpeg", probability=0.2, quality=(40, 95)),
    ),
    "aerial": (
        WithoutStrength(kind="mosaic", probability=0.2),
        WithoutStrength(kind="vertical_flip", probability=0.5),
        WithoutStrength(kind="quarter_turn", probability=0.75),
        ByDegrees(kind="rotate", probability=0.3, degrees=(-45.0, 45.0)),
        ByFactor(kind="brightness", probability=0.5, factor=(0.7, 1.3)),
        ByFactor(kind="contrast", probability=0.5, factor=(0.7, 1.3)),
        ByFactor(kind="gamma", probability=0.3, factor=(0.7, 1.4)),
        Blur(kind="blur", probability=0.2, sigma=(0.3, 1.2)),
        Jpeg(kind="jpeg", probability=0.2, quality=(50, 95)),
    ),
    "microscopy": (
        WithoutStrength(kind="vertical_flip", probability=0.5),
        WithoutStrength(kind="quarter_turn", probability=0.75),
        ByDegrees(kind="rotate", probability=0.5, degrees=(-45.0, 45.0)),
        Shear(kind="shear", probability=0.2, degrees=(-8.0, 8.0)),
        ByFactor(kind="brightness", probability=0.5, factor=(0.7, 1.4)),
        ByFactor(kind="gamma", probability=0.5, factor=(0.6, 1.6)),
        Blur(kind="blur", probability=0.3, sigma=(0.3, 2.0)),
        Noise(kind="noise", probability=0.4, deviation=(1.0, 12.0)),
    ),
    "industrial": (
        ByDegrees(kind="rotate", probability=0.5, degrees=(-10.0, 10.0)),
        Shear(kind="shear", probability=0.3, degrees=(-5.0, 5.0)),
        ByFactor(kind="brightness", probability=0.6, factor=(0.6, 1.4)),
        ByFactor(kind="contrast", probability=0.5, factor=(0.7, 1.3)),
        ByFactor(kind="gamma", probability=0.3, factor=(0.7, 1.4)),
        Blur(kind="blur", probability=0.3, sigma=(0.3, 2.0)),
        Noise(kind="noise", probability=0.3, deviation=(1.0, 10.0)),
        CutOut(kind="cut_out", probability=0.3, holes=(1, 4), side=(0.03, 0.15)),
    ),
}


def _expand(value: Any) -> Any:
    """Return the list that a preset's name stands for; what is no text as it is."""
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(f"no preset has this name; {suggest(value, PRESETS)} known are {', '.join(PRESETS)}; or give a list")
    return PRESETS[value]


Augmentations = Annotated[tuple[Augmentation, ...], LIST, Field(max_length=100), BeforeValidator(_expand)]
