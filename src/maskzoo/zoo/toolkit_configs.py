"""The configs of detectron2, PaddleDetection (YAML) and mmdetection (Python), read as data: nothing in them runs.

`_BASE_` and `_base_` are followed to files on this machine. Of Python only assignments of plain values are read.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from maskzoo.errors import ConfigError
from maskzoo.model_file import MAX_MODEL_FILE_BYTES
from maskzoo.system.files import expand_home, read_regular
from maskzoo.system.yaml_text import MAX_DEPTH
from maskzoo.zoo.python_values import MAX_VALUES, Unread, copy_plain, read_assignments

__all__ = ["parse_python_config", "read_python_config", "read_yaml_config"]

MAX_FILES = 50  # that a config may stand on
MAX_LETTERS = 10_000  # of a text that may be a value in Python's notation


_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, five times as fast, where PyYAML was built with it


class _YamlLoader(_SAFE):  # type: ignore[misc]
    """SafeLoader that refuses a key given twice, and takes a mapping with a tag of the toolkit's own as a plain one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
                seen.add(key)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return made


def _construct_tagged(loader: _YamlLoader, suffix: str, node: yaml.Node) -> Any:
    """PaddleDetection writes `!PiecewiseDecay {...}` for what it also writes as `{name: PiecewiseDecay, ...}`."""
    if isinstance(node, yaml.MappingNode):
        return {"name": suffix, **loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return [suffix, *loader.construct_sequence(node, deep=True)]
    return {"name": suffix}


_YamlLoader.add_multi_constructor("!", _construct_tagged)
_YamlLoader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)
for _kind in ("binary", "omap", "pairs", "set"):  # no values of a config
    _YamlLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", yaml.SafeLoader.construct_undefined)


def read_yaml_config(path: str | Path) -> dict[str, Any]:
    """Read a YAML config of detectron2 or PaddleDetection with the files that its `_BASE_` names, itself over them.

    Args:
        path: The file. Texts in Python's notation, such as "(480, 640)", come as the values that the toolkits take them for.

    Raises:
        ConfigError: A file is missing, not YAML, wants code to be run (`!!python/...`), or bases go in a circle.
    """
    return _read_with_bases(Path(path), _parse_yaml, "_BASE_", (), [0])


def read_python_config(path: str | Path) -> dict[str, Any]:
    """Read a `.py` config of mmdetection with the files that its `_base_` names, itself over them.

    Values that are not plain ones come as `Unread`.

    Raises:
        ConfigError: A file is missing or not Python, or bases go in a circle.
    """
    return _read_with_bases(Path(path), parse_python_config, "_base_", (), [0])


def parse_python_config(text: str, origin: str) -> dict[str, Any]:
    """Read the text of a Python config, `_base_` among its values; `origin` is named in errors.

    Raises:
        ConfigError: It is not Python, or too large.
    """
    _check_size(len(text), origin)
    return read_assignments(text, origin)


def _read_with_bases(
    path: Path, parse: Callable[[str, str], dict[str, Any]], key: str, above: tuple[Path, ...], read: list[int]
) -> dict[str, Any]:
    """Read a config with its bases; `above` stand on it, `read` counts the files."""
    read[0] += 1
    if read[0] > MAX_FILES:  # each may name several, which name several
        raise ConfigError(f"{path}: stands, with others, on more than {MAX_FILES} files by {key}")
    own = parse(_read_text(path, above), str(path))
    bases = own.pop(key, None) or []
    if isinstance(bases, Unread):
        raise ConfigError(f"{bases}: {key} must be the path of a file, or a list of paths")
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{path}: {key} is {bases!r:.80}; expected the path of a file, or a list of paths")
    whole = (*above, path.resolve())
    merged: dict[str, Any] = {}
    for base in bases:
        merged = _merge(merged, _read_with_bases(_find_base(path, base, key), parse, key, whole, read))
    return _merge(merged, own)


def _find_base(path: Path, base: str, key: str) -> Path:
    found = path.parent / expand_home(Path(base))
    if not os.path.isfile(found) and "\\" in base:  # noqa: PTH113 - False for a name too long
        found = path.parent / base.replace("\\", "/")
    if not os.path.isfile(found):  # noqa: PTH113 - as above
        raise ConfigError(
            f"{path}: {key} names {base:.300}, which is not there; expected {found}. Put it there, or give the whole config "
            "that training wrote: detectron2's OUTPUT_DIR/config.yaml, the .py file in mmdetection's work_dirs"
        )
    return found


def _read_text(path: Path, above: Sequence[Path]) -> str:
    try:
        if path.resolve() in above:
            raise ConfigError(f"{path}: stands on itself by way of {above[-1]}; expected files that do not go in a circle")
        _check_size(path.stat().st_size, str(path))
        return read_regular(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; expected the config of the toolkit that trained the model") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a config: {error}") from None


def _check_size(size: int, origin: str) -> None:
    if size > MAX_MODEL_FILE_BYTES:
        raise ConfigError(f"{origin}: {size:,} bytes; a config has at most {MAX_MODEL_FILE_BYTES:,}")


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put a config over its base: mappings are joined, all else replaces. `_delete_` (mmdetection) replaces a mapping too."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict):
            known = merged.get(key)
            rest = {name: inner for name, inner in value.items() if name != "_delete_"}
            merged[key] = _merge(known if isinstance(known, dict) and not value.get("_delete_") else {}, rest)
        else:
            merged[key] = value
    return merged


# YAML


def _parse_yaml(text: str, origin: str) -> dict[str, Any]:
    try:
        _check_nesting(text)
        loaded = yaml.load(text, _YamlLoader)  # a SafeLoader: builds plain values only
        data = copy_plain(loaded, origin, [MAX_VALUES], _decode)
    except yaml.constructor.ConstructorError as error:
        if "tag:yaml.org,2002:python" in str(error):
            line = error.problem_mark.line + 1 if error.problem_mark else "?"
            raise ConfigError(
                f"{origin}, line {line}: wants Python objects to be built (!!python/...), and nothing in a config is run; "
                "write plain values there"
            ) from None
        raise ConfigError(f"{origin}: not valid YAML: {error}") from None
    except ConfigError:
        raise
    except Exception as error:  # for a scalar that is not of its tag PyYAML's constructors raise whatever their code runs into
        raise ConfigError(f"{origin}: not valid YAML: {type(error).__name__}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: expected a mapping of settings, found {type(data).__name__}")
    return {str(key): value for key, value in data.items()}


def _check_nesting(text: str) -> None:
    """Raise ValueError for very many values, or some nested so deep that the C loader, which counts no levels, would crash."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_SAFE)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values, or nested deeper than {MAX_DEPTH} levels")


def _decode(text: str) -> Any:
    """Return the value of a text in Python's notation, which YAML has no other form for (tuples, 1e-4), else the text."""
    if not text or len(text) > MAX_LETTERS or not (text[0] in "([{'\"+-." or text[0].isdigit()):
        return text
    try:
        return _to_lists(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return text


def _to_lists(value: Any) -> Any:
    if isinstance(value, tuple | list | set):
        return [_to_lists(inner) for inner in value]
    if not isinstance(value, str | int | float | bool | dict | None):
        raise TypeError(f"{type(value).__name__} is no plain value")
    return {_to_lists(key): _to_lists(inner) for key, inner in value.items()} if isinstance(value, dict) else value
