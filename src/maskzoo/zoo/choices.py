"""A model file that is put together value by value, each with its source; and settings of other toolkits, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError
from maskzoo.model_file import dump_data, parse_config
from maskzoo.zoo.python_values import Unread

__all__ = ["Choice", "Draft", "Settings", "is_number"]

MAX_WHOLE = 10**300


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of the model file, and where it was taken from."""

    key: str
    value: Any
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


class Draft:
    """A model file in the making.

    Args:
        base: Its first values.
        source: What they are: "default of ...".
    """

    def __init__(self, base: ModelConfig, source: str) -> None:
        self.data: dict[str, Any] = base.model_dump(mode="json")
        self.data["classes"] = dict(base.classes)
        self.base = source
        self.sources: dict[str, str] = {}
        self.notes: list[str] = []

    def get(self, key: str) -> Any:
        """Return the value of a key, such as "network.backbone.depth"."""
        value: Any = self.data
        for part in key.split("."):
            value = value[part]
        return value

    def set(self, key: str, value: Any, source: str) -> None:
        """Set a value, and say where it is from."""
        *parents, last = key.split(".")
        section = self.data
        for part in parents:
            section = section[part]
        section[last] = value
        self.sources[key] = source

    def agree(self, key: str, value: Any, source: str) -> None:
        """Set a value of a config, unless the weights show it: then it must be the same."""
        known = self.get(key)
        if not self.sources.get(key, "").startswith("file: "):
            self.set(key, value, source)
        elif known != value:
            raise ConfigError(
                f"{source} is {value}, and the weights have {known} ({self.sources.get(key, self.base)}); config and weights "
                "do not belong together"
            )

    def finish(self, origin: str, overrides: Sequence[str]) -> ModelConfig:
        """Check the whole; `overrides` are `key=value` texts that are stronger than all else.

        Raises:
            ConfigError: A value is not possible.
        """
        config = parse_config(dump_data(self.data), origin, overrides)
        self.note_overrides(overrides)
        return config

    def note_overrides(self, overrides: Sequence[str]) -> None:
        """Say of values that `key=value` texts have set that they were."""
        self.sources |= {override.partition("=")[0]: "--set" for override in overrides}

    def list_choices(self, config: ModelConfig) -> tuple[Choice, ...]:
        """List every value of network, input and limits with its source; classes and training are one each."""
        data = config.model_dump(mode="json")
        rows = [row for section in ("network", "input", "limits") for row in self._walk(data[section], section)]
        recipe = next((source for key, source in self.sources.items() if key.startswith("training.")), self.base)
        names = Choice("classes", len(config.classes), self.sources.get("classes", self.base))
        return (*rows, names, Choice("training", "recipe", recipe))

    def _walk(self, value: Any, key: str) -> list[Choice]:
        if isinstance(value, dict):
            return [row for name, inner in value.items() for row in self._walk(inner, f"{key}.{name}")]
        parts = key.split(".")
        source = next(
            (self.sources[key] for n in range(len(parts), 0, -1) if (key := ".".join(parts[:n])) in self.sources), None
        )
        return [Choice(".".join(parts), value, source or self.base)]


class Settings:
    """A config of another toolkit: values by dotted key, checked by kind, and which of them were asked for.

    Args:
        values: Its nested mappings.
        origin: The file's name in sources and errors.
        defaults: What the toolkit itself takes for keys that are not there.
        toolkit: Its name.
    """

    def __init__(self, values: Mapping[str, Any], origin: str, defaults: Mapping[str, Any], toolkit: str) -> None:
        self.values, self.origin, self.defaults, self.toolkit = values, origin, defaults, toolkit
        self.used: set[str] = set()

    def find(self, key: str) -> Any:
        """Return the value of a dotted key, None where it is not there and has no default."""
        self.used.add(key)
        value: Any = self.values
        for part in key.split("."):
            if isinstance(value, Unread):
                raise ConfigError(f"{value}; expected a plain value, for {key}: only those are read, nothing is run")
            if not isinstance(value, Mapping) or part not in value:
                return self.defaults.get(key)
            value = value[part]
        if isinstance(value, Unread):
            raise ConfigError(f"{value}; expected a plain value, for {key}: only those are read, nothing is run")
        return value

    def has(self, key: str) -> bool:
        """Tell whether the config itself holds the key."""
        value: Any = self.values
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return False
            value = value[part]
        return True

    def tell(self, key: str) -> str:
        """Return where a value is from: the file and the key, or the toolkit's default."""
        return f"{self.origin}: {key}" if self.has(key) else f"default of {self.toolkit}: {key}"

    def number(self, key: str) -> float:
        """Return a number. Raises ConfigError for anything else, as the methods after it do."""
        value = self.find(key)
        if not is_number(value):
            raise self._expect(key, value, "a number")
        return float(value)

    def whole(self, key: str) -> int:
        """Return a whole number."""
        value = self.find(key)
        if type(value) is not int:
            raise self._expect(key, value, "a whole number")
        return value

    def flag(self, key: str) -> bool:
        """Return True or False."""
        value = self.find(key)
        if type(value) is not bool:
            raise self._expect(key, value, "true or false")
        return value

    def text(self, key: str) -> str:
        """Return a text."""
        value = self.find(key)
        if not isinstance(value, str):
            raise self._expect(key, value, "a text")
        return value

    def numbers(self, key: str) -> list[float]:
        """Return a list of numbers; one number is a list of one."""
        value = self.find(key)
        listed = value if isinstance(value, list) else [value]
        if not listed or not all(map(is_number, listed)):
            raise self._expect(key, value, "a list of numbers")
        return [float(one) for one in listed]

    def need(self, key: str, *wanted: Any) -> Any:
        """Return a value that must be one of those that are computed here. Lists and numbers are compared as numbers."""
        value = self.find(key)
        if not any(_same(value, one) for one in wanted):
            told = " or ".join(str(one) for one in wanted)
            raise ConfigError(f"{self.tell(key)} is {value!r:.80}, which is not computed here; expected {told}")
        return value

    def list_unused(self) -> list[str]:
        """List the keys of the file that nobody asked for, the outermost of each group."""
        found: list[str] = []

        def walk(value: Mapping[str, Any], prefix: str) -> None:
            for name, inner in value.items():
                key = f"{prefix}{name}"
                below = [one for one in self.used if one.startswith(f"{key}.")]
                if below and isinstance(inner, Mapping):
                    walk(inner, f"{key}.")
                elif key not in self.used:
                    found.append(key)

        walk(self.values, "")
        return found

    def _expect(self, key: str, found: Any, wanted: str) -> ConfigError:
        told = "is missing" if found is None and not self.has(key) else f"is {found!r:.80}"
        return ConfigError(f"{self.origin}: {key} {told}; expected {wanted}")


def is_number(value: Any) -> bool:
    """Tell whether a value is a number that a float can hold; true and false are none."""
    return type(value) is float or (type(value) is int and abs(value) < MAX_WHOLE)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None:
        return found is wanted
    return bool(found == wanted)
