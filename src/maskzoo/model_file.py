"""Strict YAML in and out: the text of a model file and the values that are set over it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from maskzoo.config import ModelConfig, RunSettings, Training
from maskzoo.errors import ConfigError, list_some
from maskzoo.schema import Section
from maskzoo.system.yaml_text import CORE, parse_yaml_text

__all__ = ["dump_config", "dump_data", "parse_config", "parse_settings", "parse_yaml", "read_config"]

MAX_MODEL_FILE_BYTES = 1 << 20  # the published files have about 6 KB
LIKE = 0.75  # of a key's name, from which it may be what was meant
NEXT = 0.8  # of a name in the same section, from which it is meant rather than any other
_FOREIGN = re.compile(r"^(_BASE_\s*:\s*\[|(architecture|[A-Z]\w*Reader|OptimizerBuilder)\s*:)", re.MULTILINE)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes a value out each time it stands, and quotes what our reader, or another, takes for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _form in CORE.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form.pattern})$"), None)


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read a model file. `overrides` are `key.path=value` texts, the value in YAML.

    Raises ConfigError that names the file, the key and the nearest valid name.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
            raise ConfigError(f"{path}: not a file; expected a model file (.yml)")
        if path.stat().st_size > MAX_MODEL_FILE_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes, a model file has at most {MAX_MODEL_FILE_BYTES}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such model file; `maskzoo models` lists the names, `models copy` makes a file") from None
    except (OSError, ValueError) as error:  # not UTF-8; a null character in the name
        raise ConfigError(f"{path}: cannot be read as a model file: {error}") from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, origin: str, overrides: Sequence[str] = ()) -> ModelConfig:
    """Check the YAML text of a model file; `origin` names it in errors."""
    if _FOREIGN.search(text):
        raise ConfigError(
            f"{origin}: a PaddleDetection config; expected a maskzoo model file. Make one of it: `maskzoo models import "
            f"{origin} my.yml`; the published networks have names, which `maskzoo models` lists"
        )
    data = parse_yaml(text, origin)
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: expected a mapping of sections, found {type(data).__name__}")
    for override in overrides:
        _override(data, override, ModelConfig)
    try:
        return ModelConfig.model_validate_json(_to_json(data, origin))
    except ValidationError as error:
        raise ConfigError(_explain(error, ModelConfig, origin)) from None


def parse_yaml(text: str, origin: str) -> Any:
    """Return the plain values of a YAML text. Raises ConfigError that names `origin` if it is not valid or repeats a key."""
    try:
        return parse_yaml_text(text)
    except ValueError as error:
        raise ConfigError(f"{origin}: not valid YAML: {error}") from error


def parse_settings(overrides: Sequence[str] = (), base: RunSettings | None = None) -> RunSettings:
    """Return the settings of a run: `base` or the defaults, with `overrides`, which are `key=value` texts.

    Raises ConfigError that names the key and the nearest valid one.
    """
    data = (base or RunSettings()).model_dump(mode="json")
    for override in overrides:
        _override(data, override, RunSettings)
    try:
        return RunSettings.model_validate_json(_to_json(data, "--set run"))
    except ValidationError as error:
        raise ConfigError(_explain(error, RunSettings, "--set run")) from None


def dump_config(config: ModelConfig) -> str:
    """Return the YAML text that `parse_config` reads back to an equal config."""
    return dump_data(config.model_dump(mode="json"))


def dump_data(data: Mapping[str, Any]) -> str:
    """Return the YAML text of plain values that `parse_config` reads back."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def _to_json(data: dict[Any, Any], origin: str) -> str:
    """JSON gives pydantic's strict mode its natural forms: lists for tuples, text keys for whole numbers."""
    try:
        return json.dumps(data, allow_nan=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: holds a value that is not a number, text, list or mapping: {error}") from None


def _override(data: dict[str, Any], override: str, schema: type[Section]) -> None:
    key, equals, value = override.partition("=")
    shown = _shorten(override)
    if not equals or not key:
        raise ConfigError(f"--set {shown}: expected key.path=value, for example limits.detections.score=0.3")
    *parents, last = key.split(".")
    section: Any = data
    kind: Any = schema
    for place, parent in enumerate(parents, 1):
        field = kind.model_fields.get(parent) if _is_section(kind) else None
        kind = field.annotation if field else None
        if field and not field.is_required() and _is_section(kind):
            section.setdefault(parent, {})  # a section that a file may leave out
        sections = {name: value for name, value in section.items() if isinstance(value, dict)}
        if parent not in sections:
            missing = _shorten(".".join(parents[:place]))
            there = _suggest_key(missing, data) or f"known here: {list_some(sections) or 'none'}"
            raise ConfigError(f"--set {shown}: there is no section {missing!r}; {there}")
        section = sections[parent]
    section[last] = parse_yaml(value, f"--set {shown}: the value")


def _explain(error: ValidationError, schema: type[Section], origin: str) -> str:
    """One line for each of the first 20 faults: key path, what was found and expected, nearest valid name of an unknown key."""
    faults = error.errors(include_url=False)
    lines = [f"{origin}: {_explain_one(fault, schema)}" for fault in faults[:20]]
    return "\n".join([*lines, *([f"and {len(faults) - 20:,} more"] if len(faults) > 20 else [])])


def _explain_one(fault: Mapping[str, Any], schema: type[Section]) -> str:
    key = _shorten(".".join(str(part) for part in fault["loc"])) or "the file"
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(fault['loc'], schema)}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    return f"{key}: {_shorten(fault['msg'], 300)} (found {_shorten(repr(fault['input']), 80)})"


def _shorten(text: str, most: int = 120) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _nearest(location: tuple[int | str, ...], schema: type[Section]) -> str:
    *parents, last = (str(part) for part in location)
    if elsewhere := _find_elsewhere(last, schema):
        return f"; did you mean {elsewhere}?"
    keys = _list_keys(schema)
    section: Any = keys
    for parent in parents:
        section = section.get(parent, {}) if isinstance(section, dict) else {}
    return "; " + (_suggest_key(".".join([*parents, last]), keys) or f"known here: {', '.join(section)}") if section else ""


def _find_elsewhere(name: str, schema: type[Section]) -> str:
    """Return the key of this very name among the run's settings, for a model file; in a model file's training, for a run."""
    if schema is RunSettings:
        return f"training.{name}" if name in Training.model_fields else ""
    return f"--set run.{name}=VALUE" if name in RunSettings.model_fields else ""


def _list_keys(schema: type[Section]) -> dict[str, Any]:
    """Return the schema's keys as nested mappings."""
    keys: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        section = next(filter(_is_section, kinds), None)
        keys[name] = _list_keys(section) if section else None
    return keys


def _suggest_key(key: str, known: Mapping[str, Any]) -> str:
    """Return "did you mean b?", the valid key most like the unknown `key` (a.x), by name alone if it is in the same section.

    "" if none is like it.
    """
    parent, _, last = key.rpartition(".")
    words = set(last.split("_"))

    def rate(path: str) -> float:
        section, _, name = path.rpartition(".")
        parts = name.split("_")
        short = len(last) > 1 and last.replace("_", "") == "".join(part[0] for part in parts if part)  # lr, wd
        alike = difflib.SequenceMatcher(None, last, name).ratio()
        beside = (2 if alike >= NEXT else 0.3) * (section == parent)
        return alike + (name == last) + short + 0.3 * bool(words & set(parts)) + beside

    best = max((path for path in _walk(known) if path != key), key=rate, default="")
    if not best or rate(best) < LIKE:
        return ""
    section, _, name = best.rpartition(".")
    return f"did you mean {name if section == parent else best}?"


def _walk(keys: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, below in keys.items():
        if isinstance(name, str):
            yield before + name
            yield from _walk(below, f"{before}{name}.") if isinstance(below, Mapping) else ()


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
