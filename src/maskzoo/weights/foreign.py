"""Weights files of other libraries, whatever their container: the tensors that are the network's, and what is said about them.

PyTorch's archives and older files, pickles of arrays (detectron2, Caffe2), safetensors, and Paddle's; nothing is executed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from maskzoo.errors import WeightsError, list_some
from maskzoo.weights.object_pickles import Opaque, read_objects
from maskzoo.weights.pdparams import check_there, read_pdparams, refuse_unreadable
from maskzoo.weights.pickles import Stored, name_kind, widen
from maskzoo.weights.rename import to_arrays
from maskzoo.weights.torch_files import OLD_MAGIC, is_archive, read_archive, read_old_file

__all__ = ["ForeignFile", "read_tensors"]

Array = NDArray[Any]
# Where checkpoints have the weights, the likeliest first. mmengine's `state_dict` has the averaged weights where it averages.
PARTS = (
    *("model", "state_dict", "model_state_dict", "net", "network", "module", "params", "weights", "blobs"),
    *("ema_state_dict", "model_ema", "ema"),
)
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile
TOLD = 5  # names in a note
DEEPEST = 3  # wrappers in each other


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """What a weights file of another library holds.

    Attributes:
        container: what kind of file it is, in words.
        tensors: the network's arrays by the library's names; floating ones float32. They may be views of the mapped file.
        part: under which key of the file they were, empty if it has nothing else.
        others: other parts with weights, which `read_tensors` takes by `part`.
        said: what else the file says, plain values (`meta`, `args`, `__author__`, ...).
        notes: what a user should know, in words.
    """

    container: str
    tensors: dict[str, Array]
    part: str = ""
    others: tuple[str, ...] = ()
    said: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_tensors(path: str | Path, part: str | None = None) -> ForeignFile:
    """Read a weights file of PyTorch, detectron2, mmdetection, Caffe2 or Paddle, without executing anything in it.

    Args:
        path: the file. It is mapped while its arrays are used: it must not change.
        part: the key of the part to take, such as "ema_state_dict"; left out, the likeliest that is there.

    Raises:
        WeightsError: the file is damaged, hostile, or has no weights; or `part` is not in it.
    """
    path = Path(path)
    check_there(path)
    try:
        return _read(path, part)
    except WeightsError as error:
        text = str(error)
        raise error if text.startswith(f"{path}: ") else WeightsError(f"{path}: {text}") from None


def _read(path: Path, part: str | None) -> ForeignFile:
    try:
        with path.open("rb") as file:
            head = file.read(512)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if head else None
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot be read: {error}") from error
    if data is None or path.suffix in (".pdparams", ".pdema"):
        return ForeignFile("Paddle's pickle of arrays", read_pdparams(path))
    if head[8:9] == b"{" and head[4:8] == bytes(4):
        return _read_safetensors(path)
    if is_archive(head):
        return _choose("PyTorch's archive", read_archive(data), part)
    if head.startswith(OLD_MAGIC):
        return _choose("PyTorch's form before 1.6", read_old_file(data), part)
    refuse_unreadable(head)
    return _choose("a pickle of arrays", read_objects(data)[0], part)


def _read_safetensors(path: Path) -> ForeignFile:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
            said = dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(f"cannot be read as safetensors: {error}; fetch or copy it again") from None
    return ForeignFile("safetensors", _finish(to_arrays(tensors, "safetensors")), said=said)


def _choose(container: str, content: Any, part: str | None) -> ForeignFile:
    """Return the part of a file that is the network's weights."""
    if isinstance(content, Opaque):  # a whole module
        arrays = dict(_list_module(content, ""))
        if not arrays:
            raise WeightsError(
                f"holds an object of {content.name.replace(' ', '.'):.100}, and no weights that can be told; save its "
                "weights alone: torch.save(model.state_dict(), 'weights.pth')"
            )
        note = f"a whole module, {content.name.replace(' ', '.')}: its weights were taken, its code was not looked at"
        return ForeignFile(container, _finish(arrays), notes=(note,))
    if type(content) is not dict:
        raise WeightsError(f"holds {name_kind(content)}; expected a dict of name -> tensor, or a checkpoint that has one")
    found = {name: arrays for name, arrays in _list_parts(content) if arrays}
    if part is not None and part not in found:
        raise WeightsError(f"has no weights under {part!r}; found them under {list_some(map(repr, found)) or 'no key'}")
    chosen = part or next((name for name in (*PARTS, "", *found) if name in found), None)
    if chosen is None:
        keys = list_some(repr(key) for key in content)
        raise WeightsError(f"holds no weights; found the entries {keys}; expected tensors by name, or 'model' or 'state_dict'")
    tensors, notes = found[chosen], []
    lost = [name for name in _find_dict(content, chosen) or () if isinstance(name, str) and name not in tensors]
    if lost:
        notes.append(f"{len(lost)} entries that are not tensors were left out: {list_some(lost, TOLD)}")
    said = {key: _to_plain(value) for key, value in content.items() if isinstance(key, str) and key not in found}
    others = tuple(name for name in found if name not in (chosen, ""))
    return ForeignFile(container, _finish(tensors), chosen, others, said if chosen else {}, tuple(notes))


def _list_parts(content: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Array]]]:
    for name in PARTS:
        value = content.get(name)
        if isinstance(value, Opaque):
            yield name, dict(_list_module(value, ""))
        elif (inner := _find_dict(content, name)) is not None:
            yield name, _take_arrays(inner)
    arrays = _take_arrays(content)
    if len(arrays) * 2 > len(content):
        yield "", arrays
    for name in content:  # of one's own training
        if isinstance(name, str) and name not in PARTS and (inner := _find_dict(content, name)) is not None:
            arrays = _take_arrays(inner)
            if any("." in key for key in arrays) and len(arrays) * 2 > len(inner):
                yield name, arrays


def _find_dict(content: dict[Any, Any], name: str) -> dict[Any, Any] | None:
    """Return the dict under a key, or under `state_dict` or `model` within it."""
    value = content.get(name) if name else content
    if type(value) is not dict:
        return None
    for _ in range(DEEPEST if name else 0):
        inner = next((value[key] for key in ("state_dict", "model") if type(value.get(key)) is dict), None)
        value = value if inner is None else inner
    return value


def _take_arrays(content: dict[Any, Any]) -> dict[str, Array]:
    arrays = {}
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Stored) and value.value is not None:
            arrays[name] = value.value
    return arrays


def _list_module(module: Opaque, prefix: str) -> Iterator[tuple[str, Array]]:
    """Yield the weights of a pickled module and of those in it, under the names that its state dict would have."""
    waiting, seen = [(prefix, module)], set[int]()
    while waiting:
        prefix, module = waiting.pop(0)
        state = module.state
        if id(module) in seen or type(state) is not dict:
            continue
        seen.add(id(module))
        for table in ("_parameters", "_buffers"):
            inner = state.get(table)
            for name, array in _take_arrays(inner if type(inner) is dict else {}).items():
                yield prefix + name, array
        children = state.get("_modules")
        for name, child in children.items() if type(children) is dict else ():
            if isinstance(child, Opaque):
                waiting.append((f"{prefix}{name}.", child))


def _finish(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return arrays without what wrappers put before every name, floating ones as float32."""
    while prefix := _find_prefix(arrays):
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return {name: widen(array) for name, array in arrays.items()}


def _find_prefix(names: Iterable[str]) -> str:
    dotted = [name for name in names if "." in name]
    return next((prefix for prefix in PREFIXES if dotted and all(name.startswith(prefix) for name in dotted)), "")


def _to_plain(value: Any, depth: int = 0) -> Any:
    """Return what the file says as values of JSON: objects as what they hold, arrays left out."""
    if depth > 20:
        return None
    if isinstance(value, bytes | memoryview):
        return str(value, "utf-8", "replace")
    if isinstance(value, dict):
        return {str(key): _to_plain(one, depth + 1) for key, one in value.items() if not isinstance(one, Stored)}
    if isinstance(value, list | tuple):
        return [_to_plain(one, depth + 1) for one in value]
    if isinstance(value, Opaque):
        return _to_plain(value.state if value.state is not None else value.entries or value.items, depth + 1)
    if isinstance(value, Stored):
        array = value.value
        return array.item() if array is not None and array.ndim == 0 else None
    return value if isinstance(value, str | int | float | bool | None) else None
