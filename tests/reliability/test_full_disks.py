"""Every verb that writes, on disks with room for a part of what it writes: one sentence, no traceback, no half files."""

import os
import re
import subprocess

import pytest
from PIL import Image

from maskzoo.cli import main
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network
from small_runs import write_data, write_model

ROW = "mask_rcnn_r50_fpn_1x_coco"
VERBS = {
    "predict": ["predict", "small.safetensors", "photos", "--score", "0", "--out", "DISK/out"],
    "predict, here": ["predict", "small.safetensors", "photos", "--score", "0", "--out", "DISK"],
    "predict, json": ["predict", "small.safetensors", "photos", "--score", "0", "--save", "json", "--out", "DISK/out"],
    "train": ["train", "tiny.yml", "data", "--from", "none", "--set", "run.workers=0", "--epochs", "1", "--out", "DISK/run"],
    "eval": ["eval", "small.safetensors", "data", "--out", "DISK/found"],
    "export": ["export", "small.safetensors", "--out", "DISK/small.onnx"],
    "data check": ["data", "check", "data", "--fix", "DISK/fixed"],
    "data split": ["data", "split", "data/train.json", "DISK/parts"],
    "data convert": ["data", "convert", "data/train.json", "DISK/made", "--to", "yolo", "--images", "data/train"],
    "data convert, labelme": ["data", "convert", "data/train.json", "DISK/made", "--to", "labelme", "--images", "data/train"],
    "data show": ["data", "show", "data", "--out", "DISK/sheet.png"],
    "models copy": ["models", "copy", ROW, "DISK/my.yml"],
}
QUICK = ["predict, json", "data split", "data convert", "models copy"]
SIZES = [0, 8, 16]  # kilobytes that are left
LONG_SIZES = [0, *range(4, 100, 4), *range(100, 2000, 100)]
can_mount = os.name != "nt" and hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    write_model(folder)
    write_data(folder / "data", train=4, val=2)
    config = small_config(FPN, "limits.detections.score=0.0", "classes={5: square, 6: disk}")
    write_checkpoint(folder / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    (folder / "photos").mkdir()
    for number in range(3):
        Image.fromarray(make_photo(60, 90, number)).save(folder / "photos" / f"p{number}.png")
    return folder


def mount(folder, kilobytes):
    """Mount a disk whose every page but so many is filled; 0 leaves none."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes + 4}k", "none", folder], capture_output=True).returncode:
        pytest.skip("this machine lets no test mount a disk")
    (folder / "filled").write_bytes(bytes(4096))


@pytest.mark.skipif(not can_mount, reason="mounting a disk needs root")
@pytest.mark.parametrize("verb", QUICK)
def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(scene, tmp_path, monkeypatch, capsys, verb, sizes=SIZES):
    monkeypatch.chdir(scene)
    full = 0
    for size in sizes:
        disk = tmp_path / "disk"
        mount(disk, size)
        try:
            with pytest.raises(SystemExit) as end:
                main([word.replace("DISK", str(disk)) for word in VERBS[verb]])
            said = "".join(capsys.readouterr())
            left = [str(path.relative_to(disk)) for path in disk.rglob("*") if path.suffix in (".part", ".lock")]
        finally:
            subprocess.run(["umount", disk], check=True)
        assert left == []
        if end.value.code == 1:
            full += 1
            assert re.search(r"Error: .*(No space left on device|disk is full).*", said, re.DOTALL), said
        else:
            assert end.value.code == 0, said
    assert full


@pytest.mark.reliability
@pytest.mark.parametrize("verb", VERBS)
def test_disks_with_room_for_any_part(scene, tmp_path, monkeypatch, capsys, verb):
    test_a_full_disk_is_one_sentence_and_leaves_no_half_file(scene, tmp_path, monkeypatch, capsys, verb, LONG_SIZES)
