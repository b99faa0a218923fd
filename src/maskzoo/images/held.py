"""Images that a caller holds in memory: numpy arrays, tensors of torch, open files."""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np

from maskzoo.errors import ArgumentError, ImageError

__all__ = ["Order", "from_array", "is_tensor", "read_open_file"]

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Order = Literal["RGB", "BGR"]
CHANNELS = (1, 3, 4)


def is_tensor(source: object) -> bool:
    """Return whether it is a tensor of torch, which is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def from_array(source: Any, order: Order) -> Pixels:
    """Return an array or tensor as RGB uint8 `(H, W, 3)`: a new array, or a contiguous one in RGB itself.

    Raises ImageError if it is not uint8 or has another shape; ArgumentError for another `order`.
    """
    if order not in ("RGB", "BGR"):
        raise ArgumentError(f"order: found {order!r}; expected RGB, or BGR for what OpenCV has read")
    array = _from_tensor(source) if is_tensor(source) else source
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in CHANNELS)
    if array.dtype != np.uint8 or not shaped:
        raise ImageError(
            f"array: found {array.dtype} of shape {array.shape}; expected uint8 of shape (H, W, 3), grey (H, W) or (H, W, 1), "
            "or (H, W, 4); convert it to values 0..255 with the channels last"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array[:, :, 2::-1] if order == "BGR" else array[:, :, :3])


def _from_tensor(tensor: Any) -> np.ndarray[Any, Any]:
    """An array of the tensor, channels last; numbers from 0 to 1, as torchvision's `to_tensor` gives them, become 0 to 255."""
    shape = tuple(tensor.shape)
    try:
        array: np.ndarray[Any, Any] = (tensor.detach().float() if tensor.is_floating_point() else tensor.detach()).cpu().numpy()
    except (TypeError, NotImplementedError, RuntimeError) as error:  # sparse ones, those of the device meta
        raise ImageError(f"tensor: holds no plain numbers: {error}; expected a dense tensor; see Tensor.to_dense()") from error
    first = len(shape) == 3 and shape[0] in CHANNELS
    if not (len(shape) == 2 or first or (len(shape) == 3 and shape[2] in CHANNELS)):
        raise ImageError(
            f"tensor: found shape {shape}; expected one image, (3, H, W), (H, W, 3) or grey (H, W); give the images of a "
            "batch as a list: list(tensor)"
        )
    array = array.transpose(1, 2, 0) if first else array
    if array.dtype == np.float32:
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise ImageError(
                f"tensor: found numbers from {array.min():g} to {array.max():g}; expected 0 to 1, or uint8; undo what "
                "normalised it, or give the photo as it was read"
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(f"tensor: found {tensor.dtype}; expected torch.uint8, or numbers from 0 to 1; convert it with .byte()")
    return array


def read_open_file(file: Any) -> bytes:
    """Return all bytes of a file that is open, from its beginning if it can go there. Raises ImageError."""
    name = f"open file {getattr(file, 'name', '')}".rstrip()
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed, or holds no text
        raise ImageError(f"{name}: cannot be read: {error}; expected a file opened with open(..., 'rb')") from error
    if not isinstance(content, bytes):
        raise ImageError(f"{name}: gives {type(content).__name__}; expected bytes; open it with open(..., 'rb')")
    return content
