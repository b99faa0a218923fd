import pytest

from maskzoo.errors import ConfigError, MaskzooError
from maskzoo.models.cost import measure_cost
from maskzoo.zoo.rows import (
    BENCHMARK_SIZE,
    find_row,
    list_models,
    name_group,
    names,
    read_row,
    row_text,
    summarize,
    to_markdown,
)
from networks import MORE_OF_PADDLE, PADDLE

DISTINCT = [name for name in PADDLE if "_1x_" in name and "ssld" not in name]
ELSEWHERE = [name for name in names() if "/" in name and name not in MORE_OF_PADDLE]
OWN = [name for name in names() if name_group(name) == "maskzoo"]
DISTINCT += [
    *(name for name in MORE_OF_PADDLE if "ssld" not in name),
    "torchvision/maskrcnn_resnet50_fpn", "torchvision/maskrcnn_resnet50_fpn_v2", "detectron2/mask_rcnn_R_50_C4_1x",
    "detectron2/mask_rcnn_R_50_DC5_1x", "detectron2/mask_rcnn_R_101_C4_3x", "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ",
    "detectron2/Cityscapes_mask_rcnn_R_50_FPN",
    "detectron2/LVISv0.5_mask_rcnn_X_101_32x8d_FPN_1x", "mmdet/mask-rcnn_r50_fpn_1x_coco",
    "mmdet/mask-rcnn_x101-32x4d_fpn_1x_coco", "mmdet/mask-rcnn_x101-64x4d_fpn_1x_coco", *OWN,
]  # fmt: skip


def test_the_rows_come_library_by_library_and_small_networks_first():
    assert names() == [*PADDLE, *MORE_OF_PADDLE, *ELSEWHERE, *OWN] and len(PADDLE) == 12 and len(ELSEWHERE) == 43
    assert OWN == ["maskzoo_r18_fpn_tiny", "maskzoo_r18_fpn_small"]
    assert (PADDLE[0], PADDLE[-1]) == ("mask_rcnn_r50_1x_coco", "mask_rcnn_x101_vd_64x4d_fpn_2x_coco")
    assert [name.partition("/")[0] for name in ELSEWHERE] == ["torchvision"] * 2 + ["detectron2"] * 20 + ["mmdet"] * 21
    detectron = [name.partition("/")[2] for name in ELSEWHERE if name.startswith("detectron2/")]
    assert detectron[0] == "mask_rcnn_R_50_C4_1x" and detectron[-1] == "LVISv0.5_mask_rcnn_X_101_32x8d_FPN_1x"
    assert detectron.index("mask_rcnn_R_50_FPN_400ep_LSJ") < detectron.index("mask_rcnn_R_101_C4_3x")


# Published figures of some rows of each library, and the address's end.
FIGURES = {
    "torchvision/maskrcnn_resnet50_fpn": (37.9, 34.6, "bf2d0c1e.pth"),
    "torchvision/maskrcnn_resnet50_fpn_v2": (47.4, 41.8, "73cbd019.pth"),
    "detectron2/mask_rcnn_R_50_C4_1x": (36.8, 32.2, "137259246/model_final_9243eb.pkl"),
    "detectron2/mask_rcnn_R_101_C4_3x": (42.6, 36.7, "138363239/model_final_a2914c.pkl"),
    "detectron2/mask_rcnn_R_50_FPN_3x": (41.0, 37.2, "137849600/model_final_f10217.pkl"),
    "detectron2/mask_rcnn_X_101_32x8d_FPN_3x": (44.3, 39.5, "139653917/model_final_2d9806.pkl"),
    "detectron2/mask_rcnn_R_101_FPN_400ep_LSJ": (48.9, 43.7, "42073830/model_final_f96b26.pkl"),
    "detectron2/LVISv0.5_mask_rcnn_R_50_FPN_1x": (23.6, 24.4, "144219072/model_final_571f7c.pkl"),
    "detectron2/Cityscapes_mask_rcnn_R_50_FPN": (None, 36.5, "142423278/model_final_af9cf5.pkl"),
    "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco": (38.0, 34.4, "20200504_231812-0ebd1859.pth"),
    "mmdet/mask-rcnn_x101-32x8d_fpn_ms-poly-3x_coco": (44.3, None, "20210607_161042-8bd2c639.pth"),
    "mmdet/mask-rcnn_x101-64x4d_fpn_ms-poly_3x_coco": (44.5, 39.7, "20210526_120447-c376f129.pth"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_row_of_another_library_states_its_figures_and_address(name):
    source = read_row(name).source
    assert (source.published.box_ap, source.published.mask_ap) == FIGURES[name][:2]
    assert source.weights.endswith(FIGURES[name][2])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_sets_libraries_and_networks_apart_stands_in_each_row(name):
    config, library = read_row(name), name.partition("/")[0]
    network, backbone, source = config.network, config.network.backbone, config.source
    resize, hosts, licence = {
        "torchvision": ("float", "https://download.pytorch.org/models/", "not stated"),
        "detectron2": ("pillow", "https://dl.fbaipublicfiles.com/detectron2/", "CC-BY-SA-3.0"),
        "mmdet": ("opencv", "https://download.openmmlab.com/mmdetection/v2.0/", "Apache-2.0"),
    }[library]
    assert config.input.resize == resize and source.weights.startswith(hosts) and source.licence.startswith(licence)
    assert (source.sha256 in source.weights and len(source.sha256) == 8) or (library == "detectron2" and not source.sha256)
    wide = "32x8d" in name
    caffe = "caffe" in name or (library == "detectron2" and not wide)
    assert backbone.stride_in_1x1 == caffe and (config.input.order == "bgr") == (caffe or wide)
    assert (max(config.input.std) < 0.01) == caffe  # pixels in grey levels
    assert backbone.depth == (101 if "101" in name else 50)
    assert (backbone.groups, backbone.group_width) == next(
        (shape for text, shape in (("32x8d", (32, 8)), ("32x4d", (32, 4)), ("64x4d", (64, 4))) if text in name), (1, 64)
    )
    assert network.anchors.whole == (library == "torchvision") != network.roi_align.aligned
    assert network.shrinking_capped == (library == "mmdet")
    assert (backbone.epsilon == 0) == (name == "torchvision/maskrcnn_resnet50_fpn")
    new = "LSJ" in name or name.endswith("_v2")
    assert (network.box_head, network.rpn_convs) == (("4conv1fc", 2) if new else ("2fc", 1))
    assert (network.heads == "c4") == ("C4" in name)
    assert config.limits.detections.order == "score"
    classes = {"LVIS": 1230, "Cityscapes": 8}
    count = next((number for text, number in classes.items() if text in name), 90 if library == "torchvision" else 80)
    assert len(config.classes) == count


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("MaskRCNN-ResNet50", "mask_rcnn_r50_1x_coco"),
        ("MaskRCNN-ResNet50-FPN", "mask_rcnn_r50_fpn_1x_coco"),
        ("MaskRCNN-ResNet50-vd-SSLDv2-FPN", "mask_rcnn_r50_vd_fpn_ssld_1x_coco"),
        ("MaskRCNN-ResNeXt101-vd-FPN", "mask_rcnn_x101_vd_64x4d_fpn_1x_coco"),
        ("mask_rcnn_r50_fpn_gn_2x_coco", "paddle/mask_rcnn_r50_fpn_gn_2x_coco"),
        ("Cascade-MaskRCNN-ResNet50-vd-SSLDv2-FPN", "paddle/cascade_mask_rcnn_r50_vd_fpn_ssld_1x_coco"),
        ("cascade_mask_rcnn_r50_fpn_1x_coco", "paddle/cascade_mask_rcnn_r50_fpn_1x_coco"),
        ("detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x", "detectron2/mask_rcnn_R_50_FPN_3x"),
        ("detectron2/new_baselines/mask_rcnn_R_50_FPN_400ep_LSJ", "detectron2/mask_rcnn_R_50_FPN_400ep_LSJ"),
        ("detectron2/Cityscapes/mask_rcnn_R_50_FPN", "detectron2/Cityscapes_mask_rcnn_R_50_FPN"),
        ("detectron2/LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", "detectron2/LVISv0.5_mask_rcnn_R_50_FPN_1x"),
        ("mmdet/mask_rcnn_r50_fpn_1x_coco", "mmdet/mask-rcnn_r50_fpn_1x_coco"),
        ("mmdet/mask_rcnn_r50_caffe_fpn_mstrain-poly_3x_coco", "mmdet/mask-rcnn_r50-caffe_fpn_ms-poly-3x_coco"),
        ("mask_rcnn_R_50_FPN_3x", None), ("Mask-RT-DETR-M", None), ("", None), ("detectron2/", None),
    ],
)  # fmt: skip
def test_names_that_others_give_to_a_row_find_it(name, row):
    assert find_row(name) == row


def test_a_name_without_its_library_is_answered_with_the_whole_one():
    with pytest.raises(ConfigError, match=r"did you mean detectron2/mask_rcnn_R_50_FPN_3x\?"):
        row_text("mask_rcnn_R_50_FPN_3x")


def test_a_name_in_capitals_is_answered_with_the_one_that_is_meant():
    with pytest.raises(ConfigError, match=r"did you mean mask_rcnn_r50_fpn_1x_coco"):
        row_text("MASK_RCNN_R50_FPN_1X_COCO")


def test_a_file_that_is_no_model_is_not_called_absent(tmp_path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(ConfigError, match=r"photo\.png: a file that is no model; expected \.yml"):
        row_text(str(tmp_path / "photo.png"))


def test_one_row_each_is_marked_for_its_size_and_for_its_work():
    rows = list_models()
    coco = [row for row in rows if row.data == "COCO val2017" and row.mask_ap]
    marked = {mark: row for row in rows for mark in row.best}
    assert len(rows) == len(names())
    assert sorted(marked) == ["GFLOP", "megabyte"] == sorted(mark for row in rows for mark in row.best)
    for mark, cost in (("megabyte", "parameters"), ("GFLOP", "gflops")):
        ratio = marked[mark].mask_ap / getattr(marked[mark], cost)
        assert all(row.mask_ap / getattr(row, cost) <= ratio for row in coco)


@pytest.mark.parametrize("name", DISTINCT)
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
    for name in PADDLE:
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
        (
            "maskrcnn_resnet50_fpn.pth",
            b"PK\x03\x04",
            r"another library's weights.*maskzoo convert .*maskrcnn_resnet50_fpn\.pth maskrcnn_resnet50_fpn\.safetensors",
        ),
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
    table = to_markdown(list_models())
    assert all(f"`{name}`" in table for name in names())
    assert len(table.splitlines()) == len(names()) + 2
    assert table.count(" *") == 2 and "| - | 36.5 |" in table and "None" not in table
