"""Weights files as other libraries write them: PyTorch's archives, and pickles of arrays that any NumPy reads."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.errors import WeightsError
from maskzoo.system.files import write_file

__all__ = ["write_pickle", "write_torch_file"]

Arrays = Mapping[str, NDArray[Any]]


def write_torch_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write what `torch.save` makes of plain values and dicts, in which every array becomes a tensor.

    Raises:
        WeightsError: The file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(_to_tensors(content), buffer)
    write_file(path, buffer.getvalue(), WeightsError)


def write_pickle(path: Path, content: Mapping[str, Any]) -> None:
    """Write a pickle of arrays of numbers, texts and dicts of them.

    Python's own would name arrays as this NumPy does, and what NumPy 2 writes NumPy before 1.26 cannot read, which is what
    PaddleDetection and detectron2 are often installed with. The older names are read by all.

    Raises:
        WeightsError: The file cannot be written.
    """
    write_file(path, (b"\x80\x03", *_pickle(content), b"."), WeightsError)


def _to_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return {name: _to_tensors(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def _pickle(value: Any) -> Iterator[bytes]:
    """The opcodes, of protocol 3, that build a value."""
    if isinstance(value, str):
        text = value.encode()
        yield b"X" + struct.pack("<I", len(text)) + text
    elif isinstance(value, Mapping):
        yield b"}("
        for key, inner in value.items():
            yield from _pickle(key)
            yield from _pickle(inner)
        yield b"u"
    else:
        yield from _pickle_array(value)


def _pickle_array(array: NDArray[Any]) -> Iterator[bytes]:
    """`_reconstruct(ndarray, (0,), b"b")`, then its state: version, shape, type, Fortran's order or not, bytes."""
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    yield b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01("
    yield b"".join(b"J" + struct.pack("<i", side) for side in array.shape)
    kind = data.dtype.str[1:].encode()  # two characters: f4, i8
    yield (
        b"tcnumpy\ndtype\nX\x02\x00\x00\x00"
        + kind
        + b"\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    )
    yield b"B" + struct.pack("<I", data.nbytes) + data.tobytes() + b"tb"
