"""Paddle's `.pdparams` files: how the pickles that Paddle writes hold arrays."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import WeightsError
from maskzoo.system.files import describe_address
from maskzoo.weights.pickles import AGAIN, MAX_AXES, Stored, name_kind, read_pickle, to_text, widen

__all__ = ["MAX_FILE_BYTES", "check_there", "looks_like_page", "read_pdparams", "refuse_foreign", "refuse_unreadable"]

Array = NDArray[Any]

MAX_FILE_BYTES = 8 << 30  # the largest published file has 0.4 GB
INTERNAL_NAMES = "StructuredToParameterName@@"  # Paddle's map from our names to its variables' names
SPLIT_ARRAYS = "UnpackBigParamInfor@@"  # protocols 2 and 3 cannot hold 4 GiB; Paddle splits what is larger

_EXPORTED = re.compile(rb'\s*\{.{,64}"magic"\s*:\s*"pir"', re.DOTALL)  # inference.json, as Paddle 3 exports
_PAGE = re.compile(rb'(\xef\xbb\xbf)?\s*(<!doctype|<!--|<html|<head|<body|<\?xml|<error|\{\s*")', re.IGNORECASE)
_PROGRAM = re.compile(rb"\n[\x80-\xff]{0,4}[\0-\x7f]\x08\0\x10\xff", re.DOTALL)  # the first block: number 0, parent -1
_HEAD = 512
# What optimisers call their arrays and settings in Paddle; names of weights under which other libraries keep them.
_OPTIMISER = re.compile(r"LR_Scheduler|master_weights|.*_(velocity|moment[12]?|beta[12]_pow_acc|mean_square|mean_grad)_\d+")
_NESTED = ("model", "state_dict", "model_state_dict", "model_ema", "ema", "params", "weights")


def read_pdparams(path: str | Path) -> dict[str, Array]:
    """Read a `.pdparams` file into a dict of name -> array, without executing anything in it.

    Floating arrays come as float32: float16 and bfloat16 (which Paddle stores as uint16) widened, float64 rounded.
    Other integer and bool arrays come as they are. Layouts are Paddle's. The arrays may be read-only views of the
    file's bytes. Raises WeightsError for any other content, and for a file above MAX_FILE_BYTES.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        _refuse_foreign(data[:_HEAD])
        return _collect_arrays(read_pickle(data))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def refuse_foreign(path: Path) -> None:
    """Raise WeightsError where there is no file, or certainly not a `.pdparams`: what it seems to be and what to do."""
    check_there(path)
    try:
        with path.open("rb") as file:
            _refuse_foreign(file.read(_HEAD))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def looks_like_page(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of an HTML, XML or JSON answer instead of weights."""
    return _PAGE.match(head[:_HEAD]) is not None


def check_there(path: Path) -> None:
    """Raise WeightsError that says what is in the place of a file."""
    if not os.path.isfile(path):  # noqa: PTH113 - a folder, a device that never ends, a name too long
        found = "is a folder; name the weights file in it" if os.path.isdir(path) else "no such file"  # noqa: PTH112 - as above
        raise WeightsError(describe_address(path) or f"{path}: {found}; expected the path of a weights file")


def _read_bytes(path: Path) -> bytes:
    check_there(path)
    try:
        size = path.stat().st_size
        if size <= MAX_FILE_BYTES:
            return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise WeightsError(f"{path}: cannot be read: {str(error) or type(error).__name__}") from error
    raise WeightsError(f"{path}: {size} bytes; expected at most {MAX_FILE_BYTES}: not weights of a maskzoo model")


def _refuse_foreign(head: bytes) -> None:
    """Refuse what is certainly not a `.pdparams`, with what it seems to be and what to do."""
    refuse_unreadable(head)
    if head.startswith((b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")):  # zip; its older magic number
        raise WeightsError(
            "looks like a PyTorch file (or another zip archive), such as torchvision's .pth; expected PaddleDetection's "
            "weights (.pdparams) or maskzoo's (.safetensors). Make one of a model of torchvision, detectron2 or mmdetection "
            "under its own name: `maskzoo convert FILE.pth mine.safetensors`"
        )
    if head[8:9] == b"{" and head[4:8] == bytes(4):  # the header's length, 8 bytes; then the header, JSON
        raise WeightsError("looks like a safetensors file; expected Paddle weights (.pdparams)")


def refuse_unreadable(head: bytes) -> None:
    """Refuse a file that begins so if no weights can be read from its kind, with what it seems to be and what to do."""
    if not head:
        raise WeightsError(f"is empty; expected weights; {AGAIN}")
    if _EXPORTED.match(head):
        raise WeightsError(
            "looks like a network that PaddlePaddle exported (inference.json), which holds no weights; expected the weights "
            "that PaddleDetection trained (.pdparams, such as output/NAME/model_final.pdparams)"
        )
    if looks_like_page(head):
        kind = "JSON text" if head.lstrip().startswith(b"{") else "an HTML page"
        raise WeightsError(f"looks like {kind}: expected weights; if it was downloaded, the address answered so: {AGAIN}")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")) or head[257:262] == b"ustar":
        raise WeightsError("looks like a packed archive; expected Paddle weights (.pdparams): unpack it first")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        raise WeightsError(
            "is an HDF5 file, as Keras writes them (matterport's Mask R-CNN), whose network is not computed here; train one of "
            "`maskzoo models` with the same data"
        )
    if re.match(rb"\x08[\x01-\x14]\x12.(?:pytorch|onnx|tf2onnx|keras2onnx|paddle)", head):
        raise WeightsError("is an ONNX model, whose weights lack their layers' names; expected what it was exported from")
    if head.startswith(bytes(16)) and head[20:21] == b"\x08":  # versions 0, no levels; its description's length, then that
        raise WeightsError(
            "holds tensors without names, as Paddle's exported models have them (.pdiparams, __params__); expected the "
            ".pdparams file that the model was exported from"
        )
    if _PROGRAM.match(head):
        raise WeightsError(
            "is an exported Paddle program (.pdmodel, __model__), without weights; expected the .pdparams file that it was "
            "exported from"
        )
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError("is a Git LFS pointer; expected the weights themselves: run `git lfs pull`")


def _collect_arrays(content: Any) -> dict[str, Array]:
    if type(content) is not dict:
        raise WeightsError(f"holds {name_kind(content)}; expected a dict of name -> array, as Paddle saves it")
    content.pop(INTERNAL_NAMES, None)
    _refuse_checkpoint(content)
    splits = content.pop(SPLIT_ARRAYS, {})
    arrays = {name: _unwrap(name, value) for name, value in content.items()}
    if type(splits) is not dict:
        raise WeightsError(f"{SPLIT_ARRAYS} is {name_kind(splits)}; expected a dict of name -> parts; {AGAIN}")
    for name, split in splits.items():
        if name in arrays:
            raise WeightsError(f"entry {name!r} stands whole and in parts; expected only one of them; {AGAIN}")
        arrays[name] = _join(name, split, arrays)
    return {name: widen(array, bfloat16=array.dtype.newbyteorder("=") == np.uint16) for name, array in arrays.items()}


def _refuse_checkpoint(content: dict[str, Any]) -> None:
    """Refuse what a training run keeps beside its weights, and files that have theirs one level down."""
    if any(map(_OPTIMISER.fullmatch, content)):
        raise WeightsError(
            "is the state of an optimiser (.pdopt); expected weights: give the .pdparams file of the same name beside it"
        )
    inner = next((name for name in _NESTED if type(content.get(name)) is dict), None)
    if inner is not None:
        some = ", ".join(repr(name) for name in list(content[inner])[:3])
        raise WeightsError(
            f"is a checkpoint of another library, with weights under {inner!r} ({some}, ...); expected a dict of name -> "
            "array, as PaddleDetection saves it. If it is a model of detectron2, name it .pkl and "
            f"`maskzoo convert` it; if these are PaddleDetection's weights, save only what {inner!r} holds"
        )


def _unwrap(name: str, value: Any) -> Array:
    match value:
        case Stored(value=np.ndarray() as array):
            return array
        case (str() | memoryview(), Stored(value=np.ndarray() as array)):  # Paddle's (internal name, array)
            return array
    raise WeightsError(f"entry {name!r} is {name_kind(value)}; expected an array: this is not a file of plain weights")


def _join(name: str, split: Any, arrays: dict[str, Array]) -> Array:
    """Put the flat parts of a large array together, and take them out of `arrays`."""
    match split:
        case {"OriginShape": tuple() as shape, "slices": list() as slices} if len(shape) <= MAX_AXES and slices:
            pass
        case _:
            raise WeightsError(f"{SPLIT_ARRAYS} of {name!r} has no shape and parts; {AGAIN}")
    parts = []
    for part in map(to_text, slices):
        if part not in arrays:
            raise WeightsError(f"part {part!r} of entry {name!r} is missing; {AGAIN}")
        parts.append(arrays.pop(part).reshape(-1))
    if any(type(side) is not int or side < 0 for side in shape) or len({part.dtype for part in parts}) != 1:
        raise WeightsError(f"entry {name!r}: its shape is not a tuple of sizes, or its parts have different types; {AGAIN}")
    found = sum(part.size for part in parts)
    if found != math.prod(shape):
        raise WeightsError(f"the parts of entry {name!r} hold {found} values, expected shape {list(shape)}; {AGAIN}")
    try:
        return np.concatenate(parts).reshape(shape)
    except (ValueError, MemoryError) as error:  # a shape such as 0 x 2**62
        raise WeightsError(f"entry {name!r} cannot be put together: {error}; {AGAIN}") from None
