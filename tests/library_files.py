"""Weights files as PaddleDetection, torchvision, detectron2 and mmdetection write them, of any network of ours."""

import pickle
from collections import OrderedDict

import numpy as np
import torch

from maskzoo.weights.libraries import list_library_renames
from maskzoo.weights.rename import Layout


def to_paddle(lines, state):
    """Return the tensors of a table's lines as PaddleDetection names and lays them out."""
    return {line.theirs: lay_as_paddle(state[line.ours].numpy(), line.layout) for line in lines}


def lay_as_paddle(array, layout):
    if layout is Layout.TRANSPOSED:
        array = array.T
    elif layout is Layout.ROI_LINEAR:
        array = array.reshape(len(array), 7, 7, -1).transpose(3, 1, 2, 0).reshape(-1, len(array))
    return np.ascontiguousarray(array)


def to_library(library, network, state, dtype=np.float32):
    """Return our tensors (arrays) as the library names and lays them out; what only it has is zero."""
    theirs = {}
    for line in list_library_renames(library, network, "test"):
        array = np.asarray(state[line.ours], dtype)
        if line.layout is Layout.ROI_ROWS:
            array = array.reshape(len(array), 7, 7, -1).transpose(0, 3, 1, 2).reshape(len(array), -1)
        elif line.layout is Layout.BACKGROUND_FIRST:
            array = np.roll(array, 1, axis=0)
        elif line.layout in (Layout.BACKGROUND_BOX, Layout.BACKGROUND_MASK):
            rows = 4 if line.layout is Layout.BACKGROUND_BOX else 1
            array = np.concatenate([np.zeros((rows, *array.shape[1:]), dtype), array])
        theirs[line.theirs] = np.ascontiguousarray(array)
    return theirs


def write_library(path, library, arrays):
    """Write a file of the kind that the library publishes."""
    if library == "detectron2":
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}, protocol=2))
        return path
    tensors = OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())
    torch.save(tensors if library == "torchvision" else {"meta": {"epoch": 12}, "state_dict": tensors}, path)
    return path
