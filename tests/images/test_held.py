"""What people hold in their hands becomes the same pixels as the file it came from."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.errors import ArgumentError, ImageError
from maskzoo.images.read import read_image
from networks import make_photo

PHOTO = make_photo(20, 30)


def save():
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "PNG")
    return stream  # its place is at the end, as whoever wrote it leaves it


@pytest.mark.parametrize("hold", [save, lambda: bytearray(save().getvalue()), lambda: memoryview(save().getvalue())])
def test_bytes_in_any_form_are_read(hold):
    assert np.array_equal(read_image(hold()), PHOTO)


def test_an_open_file_is_read_from_its_beginning_and_stays_open(tmp_path):
    (tmp_path / "photo.png").write_bytes(save().getvalue())
    with (tmp_path / "photo.png").open("rb") as file:
        assert np.array_equal(read_image(file), PHOTO)
        assert np.array_equal(read_image(file), PHOTO)
    with pytest.raises(ImageError, match=r"photo\.png: cannot be read.*'rb'"):
        read_image(file)
    with (tmp_path / "photo.png").open(encoding="latin-1") as text, pytest.raises(ImageError, match=r"gives str; .*'rb'"):
        read_image(text)


class Held:
    """A path of another package, such as py.path's."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def test_whatever_stands_for_a_path_is_one(tmp_path):
    (tmp_path / "photo.png").write_bytes(save().getvalue())
    assert np.array_equal(read_image(Held(tmp_path / "photo.png")), PHOTO)
    with pytest.raises(ImageError, match=r"^s3://bucket/a\.png: is an address"):
        read_image(Held("s3://bucket/a.png"))


def test_tilde_is_the_users_folder_unless_a_file_has_that_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(save().getvalue())
    assert np.array_equal(read_image("~/photo.png"), PHOTO)
    Image.new("RGB", (4, 4)).save("~.png")
    assert read_image("~.png").shape == (4, 4, 3)
    with pytest.raises(ImageError, match="no such file"):
        read_image("~nobody-of-this-name/photo.png")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.from_numpy(PHOTO),
        torch.from_numpy(PHOTO).permute(2, 0, 1),
        torch.from_numpy(PHOTO).permute(2, 0, 1) / 255,
        (torch.from_numpy(PHOTO).permute(2, 0, 1) / 255).requires_grad_(),
        (torch.from_numpy(PHOTO) / 255).double(),
    ],
)
def test_a_tensor_gives_the_same_pixels_whatever_its_order_of_axes(tensor):
    assert np.array_equal(read_image(tensor), PHOTO)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(2, 3, 20, 30), r"\(2, 3, 20, 30\); expected one image.*list\(tensor\)"),
        (torch.full((3, 20, 30), 255.0), "found numbers from 255 to 255; expected 0 to 1"),
        (torch.full((3, 20, 30), -0.5), "found numbers from -0.5"),
        (torch.full((3, 20, 30), torch.nan), "expected 0 to 1"),
        (torch.zeros(3, 20, 30, dtype=torch.int64), r"found torch\.int64"),
        (torch.zeros(5, 20, 30, dtype=torch.uint8), "expected one image"),
        (torch.zeros(3, 20, 30).to_sparse(), r"tensor: holds no plain numbers.*expected a dense tensor"),
        (torch.zeros(3, 20, 30, device="meta"), r"tensor: holds no plain numbers.*meta"),
        (torch.zeros(3, 0, 30), "has no pixels: 30 x 0"),
    ],
)
def test_a_tensor_that_is_no_photo_is_refused_with_the_way_out(tensor, words):
    with pytest.raises(ImageError, match=words):
        read_image(tensor)


def test_one_channel_is_grey():
    grey = PHOTO[:, :, :1]
    expected = np.repeat(grey, 3, axis=2)
    for held in (
        grey,
        grey[:, :, 0],
        torch.from_numpy(np.ascontiguousarray(grey)),
        torch.from_numpy(grey[None, :, :, 0].copy()),
    ):
        assert np.array_equal(read_image(held), expected)


def test_bgr_is_turned_in_arrays_alone():
    alpha = np.concatenate([PHOTO[:, :, ::-1], PHOTO[:, :, :1]], axis=2)
    for held in (PHOTO[:, :, ::-1], alpha, torch.from_numpy(PHOTO[:, :, ::-1].copy()).permute(2, 0, 1), save()):
        assert np.array_equal(read_image(held, order="BGR"), PHOTO)
    assert np.array_equal(read_image(PHOTO[:, :, 0], order="BGR"), np.repeat(PHOTO[:, :, :1], 3, axis=2))
    with pytest.raises(ArgumentError, match="expected RGB, or BGR"):
        read_image(PHOTO, order="bgr")
