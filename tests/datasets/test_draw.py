"""draw_dataset as a call of Python: what it returns, tells and refuses. The sheet itself is tested with the command."""

import json

import numpy as np
import pytest
from PIL import Image

import maskzoo
from coco_files import make_data, write
from maskzoo.errors import ArgumentError, ImageError


@pytest.fixture
def data(tmp_path):
    content = make_data(images=4)
    for row in content["images"]:
        Image.fromarray(np.full((row["height"], row["width"], 3), 128, np.uint8)).save(tmp_path / row["file_name"])
    return write(tmp_path / "set.json", content)


def test_a_sheet_says_which_images_are_on_it_and_why_others_are_not(data, tmp_path):
    (tmp_path / "1.png").unlink()
    events = []
    drawn = maskzoo.draw_dataset(data, out=tmp_path / "sheets" / "a.png", on_progress=events.append)
    assert (drawn.images, drawn.total) == ((10, 20, 40), 4)
    ((path, reason),) = drawn.failed.items()
    assert path == str(tmp_path / "1.png") and reason.startswith("no such file")
    assert [(event.done, event.total) for event in events] == [(done, 4) for done in range(1, 5)]
    with Image.open(drawn.out) as sheet:
        assert sheet.size[0] == 1920
    assert json.loads(json.dumps(drawn.to_dict()))["out"] == str(drawn.out)


def test_images_can_be_named(data, tmp_path):
    assert maskzoo.draw_dataset(data, out=tmp_path / "a.jpg", image=[40, 10]).images == (40, 10)


def test_calls_that_cannot_be_meant_are_refused(data, tmp_path):
    with pytest.raises(ArgumentError, match=r"a\.gif: expected a name that ends in \.jpg or \.png"):
        maskzoo.draw_dataset(data, out=tmp_path / "a.gif")
    with pytest.raises(ArgumentError, match="count is 0"):
        maskzoo.draw_dataset(data, out=tmp_path / "a.jpg", count=0)


def test_nothing_is_written_if_no_image_can_be_shown(data, tmp_path):
    for picture in tmp_path.glob("*.png"):
        picture.write_bytes(b"")
    with pytest.raises(ImageError, match=r"(?s)no image could be shown.*0\.png: is empty"):
        maskzoo.draw_dataset(data, out=tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()
