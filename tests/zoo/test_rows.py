import pytest

from maskzoo.errors import ConfigError, MaskzooError
from maskzoo.models.cost import measure_cost
from maskzoo.zoo.rows import BENCHMARK_SIZE, library_names, names, read_row, row_text, summarize, to_markdown

DISTINCT = [name for name in names() if "_1x_" in name and "ssld" not in name]


def test_there_are_twelve_rows_small_networks_first():
    assert len(names()) == 12
    assert names()[0] == "mask_rcnn_r50_1x_coco"
    assert names()[-1] == "mask_rcnn_x101_vd_64x4d_fpn_2x_coco"


def test_rows_of_other_libraries_are_named_after_them_and_listed_apart():
    assert {name.partition("/")[0] for name in library_names()} == {"detectron2", "mmdet", "torchvision"}
    assert "torchvision/maskrcnn_resnet50_fpn" in library_names() and not set(library_names()) & set(names())
    with pytest.raises(ConfigError, match="did you mean torchvision/maskrcnn_resnet50_fpn"):
        read_row("torchvision/maskrcnn_resnet50_fp")


@pytest.mark.parametrize("name", [*DISTINCT, *library_names()])
def test_the_costs_in_a_file_are_what_its_network_costs(name):
    config = read_row(name)
    cost = measure_cost(config.network, len(config.classes), config.limits, BENCHMARK_SIZE)
    assert cost == (config.source.published.parameters, config.source.published.gflops)


def convolve(cells, inputs, outputs, kernel=1):
    """Operations of a convolution: a product and a sum for each weight in each cell of its output."""
    return 2 * cells * inputs * outputs * kernel**2


def test_the_work_of_r50_fpn_counted_by_hand_is_the_published_figure():
    """A ResNet-50 of 800 x 1216 pixels with a pyramid of 256 channels, 1,000 proposals and 100 masks; no norm counts."""
    work = convolve(400 * 608, 3, 64, 7)
    channels, cells, levels = 64, 200 * 304, []
    for width, blocks, size in ((64, 3, 200 * 304), (128, 4, 100 * 152), (256, 6, 50 * 76), (512, 3, 25 * 38)):
        work += convolve(size, channels, 4 * width)  # the first block's shortcut
        for _ in range(blocks):
            work += convolve(cells, channels, width) + convolve(size, width, width, 3) + convolve(size, width, 4 * width)
            channels, cells = 4 * width, size
        work += convolve(size, channels, 256) + convolve(size, 256, 256, 3)  # lateral and output of the pyramid
        levels.append(size)
    for size in [*levels, 13 * 19]:
        work += convolve(size, 256, 256, 3) + convolve(size, 256, 3 + 3 * 4)  # three anchors a cell
    work += 1000 * (convolve(1, 7 * 7 * 256, 1024) + convolve(1, 1024, 1024) + convolve(1, 1024, 81 + 80 * 4))
    work += 100 * (4 * convolve(14 * 14, 256, 256, 3) + convolve(14 * 14, 256, 4 * 256) + convolve(28 * 28, 256, 1))
    assert round(work / 1e9, 1) == read_row("mask_rcnn_r50_fpn_1x_coco").source.published.gflops == 496.3


def test_rows_of_one_network_state_the_same_costs():
    for name in names():
        first = summarize(read_row(name.replace("_ssld", "").replace("_2x_", "_1x_")))
        row = summarize(read_row(name))
        assert (row.parameters, row.gflops, row.backbone) == (first.parameters, first.gflops, first.backbone)


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
        ("inference.pdiparams", bytes(20) + b"\x08", r"holds tensors without names, .*expected the \.pdparams file"),
    ],
)
def test_weights_given_as_the_model_are_told_what_they_are_and_what_to_do(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MaskzooError, match=says):
        read_row(tmp_path / name)


def test_a_checkpoint_is_not_taken_for_a_name():
    with pytest.raises(ConfigError, match=r"best\.safetensors: a checkpoint; expected .*--from runs/a/best\.safetensors"):
        read_row("runs/a/best.safetensors")


def test_weights_that_are_not_there_are_not_taken_for_a_name(tmp_path):
    with pytest.raises(MaskzooError, match=r"gone\.pdparams: no such file; expected the path of a weights file"):
        read_row(tmp_path / "gone.pdparams")
    with pytest.raises(MaskzooError, match=r"is an address \(https\).*download or copy it to a file first"):
        read_row("https://host/model_final.pdparams")


def test_markdown_has_a_line_for_every_row():
    table = to_markdown([summarize(read_row(name)) for name in names()])
    assert all(f"`{name}`" in table for name in names())
    assert len(table.splitlines()) == 14
