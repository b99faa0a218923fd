"""Names that lead outside: 0 pictures read there, 0 files written, unless the user names a folder that holds them."""

import itertools
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

import maskzoo
from coco_files import make_data
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.images.sources import find_sources

LAYOUTS = {  # where the annotation file is, and the pictures
    "beside": ("set/train.json", "set/images"),
    "above": ("set/annotations/instances_train2017.json", "set/train2017"),
    "split": ("set/train/_annotations.coco.json", "set/train"),
    "flat": ("set/train.json", "set"),
}
READERS = {
    "find": lambda file, out, images: find_image_folder(read_annotations(file), images),
    "check": lambda file, out, images: maskzoo.check_dataset(file, images=images, fix=out / "fixed", page=out / "page.html"),
    "show": lambda file, out, images: maskzoo.draw_dataset(file, out=out / "sheet.jpg", images=images),
    "labelme": lambda file, out, images: maskzoo.convert_dataset(file, out / "made", to="labelme", images=images),
    "cutouts": lambda file, out, images: maskzoo.convert_dataset(file, out / "made", to="cutouts", images=images),
}
QUICK = [("beside", "check"), ("above", "show"), ("flat", "cutouts"), ("split", "find")]
opened: list[str] = []  # by this process, of what lies in a folder `private`
sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" and is_private(values[0]) else None)


def is_private(path):
    return isinstance(path, str | bytes | os.PathLike) and os.path.realpath(os.fsdecode(path)).endswith("/private/secret.png")


def spell(photos, secret):
    """Return names of the secret, and make the links that they go through."""
    up = os.path.relpath(secret, photos)
    (photos / "link.png").symlink_to(secret)
    (photos / "chain.png").symlink_to("link.png")
    (photos / "relative.png").symlink_to(up)
    (photos / "down").symlink_to(secret.parent)
    (photos / "climb").symlink_to("..")
    (photos / "inner").mkdir()
    (photos / "inner/root").symlink_to("/")
    rest = str(secret)[1:]
    names = [up, f"./{up}", up.replace("/", "//"), f"inner/../{up}", f"inner/../{up.replace('..', './..', 1)}", str(secret)]
    names += [f"/{secret}", str(secret).replace("/private/", "/private/./"), f"{secret.parent}/../private/secret.png"]
    names += ["link.png", "chain.png", "relative.png", "down/secret.png", "down/../private/secret.png", "./down/./secret.png"]
    return [*names, f"climb/{os.path.relpath(secret, photos.parent)}", f"inner/root/{rest}", f"inner/root/../{rest}"]


def write_set(folder, layout):
    """Write a data set of two pictures and one outside of it; return its file, content and the names of that one."""
    file, photos = folder / LAYOUTS[layout][0], folder / LAYOUTS[layout][1]
    for place in (file.parent, photos, folder / "private"):
        place.mkdir(parents=True, exist_ok=True)
    data = make_data()
    for row in data["images"]:
        height, width = row["height"], row["width"]
        row["file_name"] = f"{row['id']}.png"
        for path in (photos / row["file_name"], folder / "private" / "secret.png"):
            Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path)
    return file, data, spell(photos, folder / "private" / "secret.png")


def list_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "out" not in path.parts}


def use(reader, file, out, images=None):
    opened.clear()
    try:
        READERS[reader](file, out, images)
    except maskzoo.MaskzooError as error:
        return len(opened), str(error)
    return len(opened), ""


@pytest.mark.parametrize(("layout", "reader"), QUICK)
def test_no_name_in_a_data_set_has_a_picture_outside_read(tmp_path, layout, reader):
    file, data, names = write_set(tmp_path, layout)
    last = data["images"][-1]
    for number, name in enumerate(names):
        file.write_text(json.dumps(data | {"images": [*data["images"][:-1], last | {"file_name": name}]}))
        before = list_files(tmp_path)
        read, said = use(reader, file, tmp_path / f"out/{number}")
        assert read == 0, name
        assert list_files(tmp_path) == before, name
        if reader in ("find", "show"):
            assert "1 of" in said and "lie outside of" in said and "--images /" in said, (name, said)


@pytest.mark.reliability
@pytest.mark.parametrize(("layout", "reader"), [pair for pair in itertools.product(LAYOUTS, READERS) if pair not in QUICK])
def test_no_name_in_any_layout_has_a_picture_outside_read(tmp_path, layout, reader):
    test_no_name_in_a_data_set_has_a_picture_outside_read(tmp_path, layout, reader)


@pytest.mark.parametrize("reader", ["check", "show", "cutouts"])
def test_the_same_names_are_read_where_the_user_names_a_folder_of_all(tmp_path, reader):
    file, data, names = write_set(tmp_path, "beside")
    for number, name in enumerate([names[0], "link.png", str(tmp_path / "private/secret.png")]):
        data["images"][-1]["file_name"] = name
        file.write_text(json.dumps(data))
        read, said = use(reader, file, tmp_path / f"out/{number}", tmp_path)
        assert (read > 0, said) == (True, ""), name


def test_a_folder_of_images_that_is_a_link_out_of_the_data_set_has_to_be_named(tmp_path):
    file, data, _ = write_set(tmp_path, "beside")
    (tmp_path / "set/images").rename(tmp_path / "elsewhere")
    (tmp_path / "set/images").symlink_to(tmp_path / "elsewhere")
    file.write_text(json.dumps(data))
    assert "lie outside of" in use("show", file, tmp_path / "out")[1]
    for folder in ("set/images", "elsewhere"):
        assert use("show", file, tmp_path / f"out/{folder}", tmp_path / folder)[1] == ""


def test_no_line_of_a_list_has_a_picture_outside_read(tmp_path):
    _, _, names = write_set(tmp_path, "flat")
    path = tmp_path / "set" / "list.txt"
    for name in names:
        path.write_text(f"1.png\n{name}\n")
        with pytest.raises(maskzoo.SourceError, match=r"1 of 2 pictures lie outside of .* --images /"):
            find_sources([f"@{path}"])
        assert find_sources([f"@{path}"], tmp_path)[-1] == tmp_path / "set" / name
