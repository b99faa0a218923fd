"""What all sections of a model file are: strict, frozen, each number with its bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Above", "Channels", "Deviation", "Factor", "Few", "Fraction", "Mean", "Positive", "Real", "Section", "Side"]

Positive = Annotated[int, Field(gt=0, le=10**9)]  # of iterations and the like, which take no memory
Few = Annotated[int, Field(gt=0, le=100_000)]  # boxes, images, epochs
Channels = Annotated[int, Field(ge=8, le=4096, multiple_of=8)]
Side = Annotated[int, Field(gt=0, le=32_768)]  # pixels
Real = Annotated[float, Field(ge=0, le=1e6)]
Above = Annotated[float, Field(gt=0, le=1e6)]
Factor = Annotated[float, Field(ge=0.01, le=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Deviation = Annotated[float, Field(ge=1e-6, le=1e6)]


class Section(BaseModel):
    """A section of a model file, or one entry of a list in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
