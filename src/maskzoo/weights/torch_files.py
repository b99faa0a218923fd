"""PyTorch's files: an archive of one pickle and blocks of numbers (since 1.6), or the older row of pickles and blocks.

Blocks are mapped, not read: a tensor's numbers come into memory when it is used.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import WeightsError
from maskzoo.weights.object_pickles import Opaque, Storage, StoredTensor, read_objects
from maskzoo.weights.pickles import AGAIN, MAX_AXES, Stored, widen

__all__ = ["OLD_MAGIC", "is_archive", "read_archive", "read_old_file"]

Array = NDArray[Any]
Block = Callable[[Storage], "Array"]
OLD_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of torch's number for its older form
LARGEST_PICKLE = 1 << 28  # bytes: it holds names, not numbers
_LOCAL = struct.Struct("<4s22xHH")  # a file's header within an archive: its mark, the lengths of its name and its extra field
_TYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "u2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1",
    "Byte": "u1", "Bool": "u1", "Untyped": "u1",
}  # fmt: skip


def is_archive(head: bytes) -> bool:
    """Say whether a file that begins so is an archive, as torch has written since 1.6."""
    return head.startswith(b"PK\x03\x04")


def read_archive(data: mmap.mmap) -> Any:
    """Return what `torch.save` wrote into an archive; tensors as arrays. Raises WeightsError (without the file's name)."""
    try:
        with zipfile.ZipFile(_Readable(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError, EOFError, OSError) as error:
        raise WeightsError(f"is not a whole zip archive, as torch.save writes it: {error}; {AGAIN}") from None
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise WeightsError(f"an archive that has an entry twice; {AGAIN}")
    pickles = [name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(pickles) != 1:
        raise WeightsError("a zip archive without torch's data.pkl; expected a file that torch.save wrote")
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith((f"{folder}code/", f"{folder}constants.pkl")) for name in names):
        raise WeightsError(
            "a TorchScript program (torch.jit.save), which holds code; save its weights instead: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
        )
    places = {entry.filename.removeprefix(folder): entry for entry in entries}
    order = bytes(_find_block(data, places["byteorder"])) if "byteorder" in places else b"little"
    if order not in (b"little", b"big"):
        raise WeightsError(f"says its byte order is {order[:20]!r}; expected little or big; {AGAIN}")

    def find(storage: Storage) -> Array:
        entry = places.get(f"data/{storage.key}")
        if entry is None:
            raise WeightsError(f"the numbers data/{storage.key:.40} are missing in the archive; {AGAIN}")
        kind = _find_type(storage).newbyteorder("<" if order == b"little" else ">")
        block = _find_block(data, entry)
        if len(block) < (storage.start + storage.count) * kind.itemsize:
            raise WeightsError(f"data/{storage.key} has {len(block)} bytes; expected {storage.count} of {kind.name}; {AGAIN}")
        return np.frombuffer(block, kind, storage.count, storage.start * kind.itemsize)

    content = _find_block(data, places["data.pkl"])
    if len(content) > LARGEST_PICKLE:
        raise WeightsError(f"its data.pkl has {len(content)} bytes; expected at most {LARGEST_PICKLE}")
    return _fill(read_objects(bytes(content))[0], find)


def read_old_file(data: mmap.mmap) -> Any:
    """Return what `torch.save` wrote before 1.6; tensors as arrays. Raises WeightsError (without the file's name)."""
    position = 0
    parts = []
    for _ in range(5):  # its mark, the form's version, the writing machine, the content, the keys of the blocks
        part, position = read_objects(data, position, whole=False)
        parts.append(part)
    content, keys = parts[3], parts[4]
    if parts[1] != 1001 or type(keys) is not list or not all(isinstance(key, str) for key in keys):
        raise WeightsError(f"not the form that torch.save wrote before 1.6: version {parts[1]!r:.20}; {AGAIN}")
    kinds = {storage.key: storage for storage in _list_storages(content)}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:  # whatever the machine that wrote it, its numbers are little-endian
        if key not in kinds or key in places or position + 8 > len(data):
            raise WeightsError(f"its blocks of numbers do not fit its tensors; {AGAIN}")
        count, position = struct.unpack_from("<q", data, position)[0], position + 8
        size = count * _find_type(kinds[key]).itemsize
        if count < 0 or position + size > len(data):
            raise WeightsError(f"cut short: {len(data)} bytes, and more must follow; {AGAIN}")
        places[key], position = (position, count), position + size
    if position != len(data):
        raise WeightsError(f"{len(data) - position} bytes are left over at its end; {AGAIN}")

    def find(storage: Storage) -> Array:
        start, count = places.get(storage.key, (0, -1))
        kind = _find_type(storage).newbyteorder("<")
        if storage.start + storage.count > count or kind != _find_type(kinds[storage.key]).newbyteorder("<"):
            raise WeightsError(f"a block of {count} numbers is used as one of {storage.start + storage.count}; {AGAIN}")
        return np.frombuffer(data, kind, storage.count, start + storage.start * kind.itemsize)

    return _fill(content, find)


class _Readable:
    """What zipfile needs of a file, over mapped bytes."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.place = data, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = max(0, offset + (0, self.place, len(self.data))[whence])
        return self.place

    def read(self, count: int = -1) -> bytes:
        end = len(self.data) if count is None or count < 0 else self.place + count
        part = self.data[self.place : end]
        self.place += len(part)
        return part


def _find_block(data: mmap.mmap, entry: zipfile.ZipInfo) -> memoryview:
    """Return an entry's bytes, mapped: torch stores them plain."""
    start, size = entry.header_offset, entry.file_size
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != size or entry.flag_bits & 1:
        raise WeightsError(f"{entry.filename!r:.80} is compressed or encrypted; expected an archive as torch.save writes it")
    if start < 0 or start + _LOCAL.size > len(data):
        raise WeightsError(f"{entry.filename!r:.80} lies outside of the archive; {AGAIN}")
    mark, name, extra = _LOCAL.unpack_from(data, start)
    start += _LOCAL.size + name + extra
    if mark != b"PK\x03\x04" or start + size > len(data):
        raise WeightsError(f"{entry.filename!r:.80} lies outside of the archive; {AGAIN}")
    return memoryview(data)[start : start + size]


def _find_type(storage: Storage) -> np.dtype[Any]:
    if storage.kind not in _TYPES:
        raise WeightsError(f"holds numbers of torch's type {storage.kind!r:.40}; expected one of {', '.join(_TYPES)}")
    return np.dtype(_TYPES[storage.kind])


def _list_storages(content: Any) -> list[Storage]:
    found: list[Storage] = []

    def visit(tensor: StoredTensor) -> StoredTensor:
        found.append(tensor.storage)
        return tensor

    _walk(content, visit)
    return found


def _fill(content: Any, find: Block) -> Any:
    """Put arrays in the places of tensors; one of a type that is not known stays, and is told when it is used."""

    def fill(tensor: StoredTensor) -> Any:
        if tensor.storage.kind not in _TYPES:
            return Opaque(f"torch {tensor.storage.kind}Tensor")
        return Stored(_view(tensor, find(tensor.storage)))

    return _walk(content, fill)


def _view(tensor: StoredTensor, block: Array) -> Array:
    shape, strides, size = tensor.shape, tensor.strides, math.prod(tensor.shape)
    last = tensor.offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if len(shape) > MAX_AXES or size > max(len(block), 0) or (size and last >= len(block)) or max(shape, default=0) > 1 << 40:
        claim = " x ".join(map(str, shape))[:80] or "one value"
        raise WeightsError(f"a tensor claims {claim} of a block of {len(block)} numbers; {AGAIN}")
    if not size:
        return np.zeros(shape, np.float32)
    view = np.lib.stride_tricks.as_strided(
        block[tensor.offset :], shape, [stride * block.itemsize for stride in strides], writeable=False
    )
    return widen(view, bfloat16=True) if tensor.storage.kind == "BFloat16" else view


def _walk(content: Any, visit: Callable[[StoredTensor], Any]) -> Any:
    """Replace each tensor within plain values and objects by what `visit` returns for it; dicts and lists in place."""
    seen: dict[int, Any] = {}
    waiting: list[Any] = [content]
    made: dict[StoredTensor, Any] = {}

    def turn(value: Any) -> Any:
        if isinstance(value, StoredTensor):
            if value not in made:
                made[value] = visit(value)
            return made[value]
        if isinstance(value, tuple):
            return tuple(turn(one) for one in value)
        if isinstance(value, dict | list | Opaque):
            waiting.append(value)
        return value

    whole = turn(content)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, dict):
            for key, one in value.items():
                value[key] = turn(one)
        elif isinstance(value, list):
            value[:] = [turn(one) for one in value]
        elif isinstance(value, Opaque):
            value.values, value.state = turn(value.values), turn(value.state)
            waiting += [value.items, value.entries]
    return whole
