"""What a model becomes in another library: its settings there, and what is computed differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.errors import WeightsError

__all__ = ["Counterpart", "find_value", "list_differences", "list_grey", "need"]

NEEDED_ANYWHERE: Mapping[str, tuple[Any, ...]] = {
    "network.backbone.depth": (50, 101),
    "network.backbone.norm": ("frozen", "bn", "sync_bn"),
    "network.norm": ("none", "bn", "sync_bn"),
    "network.box_stages": (1,),
    "network.backbone.deformable": ((),),
}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """The settings of a model in a library.

    Attributes:
        text: Their file: what the library itself reads, or a program that builds the network.
        suffix: How the file's name ends.
        differences: What the library computes differently whatever is set, in words.
    """

    text: str
    suffix: str
    differences: tuple[str, ...]


def find_value(config: ModelConfig, key: str) -> Any:
    """Return the value of a dotted key of a model file."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def need(config: ModelConfig, library: str, wanted: Mapping[str, tuple[Any, ...]], origin: str) -> None:
    """Refuse a model whose network the library does not have.

    Raises:
        WeightsError: A value is not one of those that are `wanted`; it names all such values.
    """
    wanted = {**NEEDED_ANYWHERE, **wanted}
    found = {key: find_value(config, key) for key, values in wanted.items() if find_value(config, key) not in values}
    if found:
        told = "; ".join(f"{key} is {value}, expected {_tell(wanted[key])}" for key, value in found.items())
        raise WeightsError(
            f"{origin}: {library} has no network like it: {told}. Nothing was written. Another library may have it, and "
            "maskzoo export writes any model for other runtimes"
        )


def list_differences(config: ModelConfig, library: str, fixed: Mapping[str, Any]) -> tuple[str, ...]:
    """List in words what a library computes by a rule of its own that is not the model's.

    `after_nms` is no limit anywhere else: proposals of a level are not counted after suppression. It is told where it acts.
    """
    differences = [
        f"{key} is {found}; {library} has {rule}" for key, rule in fixed.items() if (found := find_value(config, key)) != rule
    ]
    limits = config.limits.proposals
    if library != "PaddleDetection" and limits.after_nms < limits.total:
        differences.append(f"limits.proposals.after_nms is {limits.after_nms}; {library} has no limit for a level")
    return tuple(differences)


def list_grey(values: tuple[float, ...]) -> list[float]:
    """Return fractions of white as grey levels, 0 to 255, without the noise of the last digits."""
    return [round(value * 255, 9) for value in values]


def _tell(values: tuple[Any, ...]) -> str:
    return " or ".join(str(value) for value in values)
