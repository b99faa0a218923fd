import pytest

from maskzoo.errors import ConfigError, MaskzooError
from maskzoo.zoo.table import measure, names, read_row, row_text, summarize, to_markdown

DISTINCT = [name for name in names() if "_1x_" in name and "ssld" not in name]


def test_there_are_twelve_rows_small_networks_first():
    assert len(names()) == 12
    assert names()[0] == "mask_rcnn_r50_1x_coco"
    assert names()[-1] == "mask_rcnn_x101_vd_64x4d_fpn_2x_coco"


@pytest.mark.parametrize("name", DISTINCT)
def test_the_costs_in_a_file_are_what_its_network_costs(name):
    config = read_row(name)
    assert measure(config) == (config.source.published.parameters, config.source.published.gflops)


def test_rows_of_one_network_state_the_same_costs():
    for name in names():
        first = summarize(read_row(name.replace("_ssld", "").replace("_2x_", "_1x_")))
        row = summarize(read_row(name))
        assert (row.parameters, row.gflops, row.backbone) == (first.parameters, first.gflops, first.backbone)


def test_the_whole_work_of_a_row_is_about_500_gflop():
    assert 490 < summarize(read_row("mask_rcnn_r50_fpn_1x_coco")).gflops < 510


def test_a_summary_says_whether_the_weights_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    config = read_row("mask_rcnn_r50_1x_coco")
    assert summarize(config).weights is None
    file = tmp_path / "weights" / "mask_rcnn_r50_1x_coco.pdparams"
    file.parent.mkdir()
    file.write_bytes(b"some bytes")
    assert summarize(config).weights == file


def test_a_file_without_published_figures_is_measured():
    config = read_row("mask_rcnn_r50_1x_coco", ["source.published=null", "classes={1: cat}"])
    row = summarize(config)
    assert row.box_ap is None
    assert row.parameters < 35_962_732


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="mask_rcnn_r50_fpn_1x_coco"):
        row_text("mask_rcnn_r50_fpn_1x")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model_final.pdparams", b"\x80\x04}.", r"MODEL --weights .*model_final\.pdparams.*maskzoo convert"),
        (f"{names()[0]}.pdparams", b"\x80\x04}.", rf"your \.yml: {names()[0]} --weights "),
        ("maskrcnn_resnet50_fpn.pth", b"PK\x03\x04", r"such as torchvision's \.pth; expected PaddleDetection's"),
        ("inference.json", b'{"base_code":{"magic":"pir"', r"a network that PaddlePaddle exported"),
    ],
)
def test_weights_given_as_the_model_are_told_what_they_are_and_what_to_do(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MaskzooError, match=says):
        read_row(tmp_path / name)


def test_markdown_has_a_line_for_every_row():
    table = to_markdown([summarize(read_row(name)) for name in names()])
    assert all(f"`{name}`" in table for name in names())
    assert len(table.splitlines()) == 14
