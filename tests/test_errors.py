"""What an operating system says never reaches a person as it stands."""

import pytest

from maskzoo.cli import main
from maskzoo.errors import AnnotationsError, MaskzooError, tell_plainly
from maskzoo.faults import Fault


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a.yml: found [Errno 21] Is a directory: 'a.yml'; expected b", "a.yml: found a folder; expected b"),
        ("a (b: [Errno 13] Permission denied: '/x/y (1).png')", "a (b: no permission)"),
        ("[Errno 36] File name too long: b'xxx'", "file name too long"),
        ("[WinError 5] Access is denied: \"it's\", choose", "access is denied, choose"),
        ("[Errno 28] No space left on device", "no space left on device"),
        ("nothing of the kind [1, 2]", "nothing of the kind [1, 2]"),
    ],
)  # fmt: skip
def test_numbers_and_paths_of_the_operating_system_are_left_out(text, plain):
    assert tell_plainly(text) == plain and str(MaskzooError(text)) == plain
    assert str(AnnotationsError([Fault("unreadable-file", "a.json", "file", 1, "2")], text)).endswith(plain)


FOLDER_CALLS = [
    ("convert", "FOLDER.pdparams", "out.safetensors", "--model", "mask_rcnn_r50_fpn_1x_coco"),
    ("predict", "mask_rcnn_r50_fpn_1x_coco", "@FOLDER.txt"),
    ("predict", "FOLDER.onnx", "photo.jpg"),
    ("predict", "mask_rcnn_r50_fpn_1x_coco", "photo.jpg", "--font", "FOLDER.ttf"),
    ("eval", "mask_rcnn_r50_fpn_1x_coco", "FOLDER.json"),
    ("eval", "FOLDER.yml", "data.json", "--from-predictions", "FOLDER.json"),
    ("train", "FOLDER.yml", "FOLDER.json"),
    ("train", "mask_rcnn_r50_fpn_1x_coco", "data.json", "--classes", "FOLDER.yml"),
    ("train", "--resume", "FOLDER.json"),
    ("data", "check", "FOLDER.json"),
    ("data", "stats", "FOLDER.json"),
    ("data", "show", "FOLDER.json"),
    ("data", "split", "FOLDER.json", "parts"),
    ("models", "show", "FOLDER.yml"),
    ("export", "FOLDER.safetensors"),
    ("bench", "FOLDER.yml"),
]


@pytest.mark.parametrize("call", FOLDER_CALLS, ids=" ".join)
def test_a_folder_where_a_file_must_be_is_named_in_plain_words(call, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for suffix in ("pdparams", "txt", "onnx", "ttf", "json", "yml", "safetensors"):
        (tmp_path / f"FOLDER.{suffix}").mkdir()
    (tmp_path / "data.json").write_text('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}')
    (tmp_path / "photo.jpg").write_bytes(b"no photo")
    with pytest.raises(SystemExit) as end:
        main(list(call))
    said = capsys.readouterr().err
    assert end.value.code in (1, 2) and "Errno" not in said and "Traceback" not in said
    assert "FOLDER" in said
