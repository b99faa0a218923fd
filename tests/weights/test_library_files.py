"""Files in other libraries' containers, read by the readers that those libraries use."""

import pickle
import pickletools

import numpy as np
import pytest
import torch

from maskzoo.errors import WeightsError
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.library_files import write_pickle, write_torch_file

ARRAYS = {
    "plain": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "scalar": np.array(3.5, np.float32),
    "empty": np.zeros((0, 7), np.float32),
    "ünïcode": np.array([np.float32(1e-45), -0.0], np.float32),
    "turned": np.arange(600, dtype=np.float32).reshape(20, 30).T,
    "counter": np.array(7, np.int64),
}


def test_a_pickle_is_what_pickle_itself_and_our_reader_take_for_the_same_arrays(tmp_path):
    path = tmp_path / "it.pkl"
    write_pickle(path, {"model": ARRAYS, "__author__": "me"})
    with path.open("rb") as file:
        content = pickle.load(file)
    assert content["__author__"] == "me" and list(content["model"]) == list(ARRAYS)
    for found in (content["model"], read_tensors(path).tensors):
        for name, array in ARRAYS.items():
            assert found[name].shape == array.shape
            assert found[name].dtype == array.dtype and found[name].tobytes() == array.tobytes(), name
    content["model"]["plain"][0] = 1  # an array of its own


def test_a_pickle_names_nothing_that_an_older_numpy_lacks(tmp_path):
    write_pickle(tmp_path / "it.pdparams", ARRAYS)
    named = {value for code, value, _ in pickletools.genops((tmp_path / "it.pdparams").read_bytes()) if code.name == "GLOBAL"}
    assert named == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


def test_a_torch_file_is_read_by_torch_without_running_anything(tmp_path):
    path = tmp_path / "it.pth"
    write_torch_file(path, {"meta": {"dataset_meta": {"classes": ("cat", "dog")}}, "state_dict": ARRAYS})
    content = torch.load(path, weights_only=True)
    assert content["meta"] == {"dataset_meta": {"classes": ("cat", "dog")}}
    assert all(torch.equal(content["state_dict"][name], torch.from_numpy(array)) for name, array in ARRAYS.items())


@pytest.mark.parametrize("write", [write_pickle, write_torch_file])
def test_a_folder_that_is_not_there_is_named(tmp_path, write):
    with pytest.raises(WeightsError, match="missing"):
        write(tmp_path / "missing" / "it", ARRAYS)
