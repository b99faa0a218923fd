"""What the pages of the documentation talk about, made small: photos, data sets, weights, a run, files of other libraries.

The rows that the pages name have thin networks here that are sure of what they find; their weights lie in MASKZOO_HOME, as
PaddleDetection publishes them. Everything else is as in the package.
"""

import shutil
import tarfile
from pathlib import Path

import torch
from PIL import Image

import maskzoo
from elsewhere_files import MMDET, make_thin
from library_files import to_paddle
from maskzoo.model_file import dump_config
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.weights.imagenet import list_imagenet_renames
from maskzoo.weights.paddledetection import list_renames
from maskzoo.zoo.rows import read_row
from networks import FPN, SMALL, THIN, make_photo, sure_network
from pdparams_files import write_pdparams
from shared_data import ROOT
from small_runs import TINY, write_data
from videos import write_clip

ROWS = ROOT / "src" / "maskzoo" / "zoo" / "models"
NAMED = (FPN, "mask_rcnn_r50_vd_fpn_ssld_2x_coco")
QUICK = tuple(text.replace(": ", "=", 1) for text in TINY if text.startswith("training."))
QUICK += ("training.learning_rate=0.0001",)  # what was not trained does not take the published one
SLIM = (*SMALL[:-1], *THIN[1:])  # of the depth that their weights have
CLASSES = "classes={1: cat, 2: dog, 3: hen}"
NAMES = "cat\ndog\nhen\n"
PADDLEDETECTION = """
architecture: MaskRCNN
MaskRCNN: {backbone: ResNet, neck: FPN}
ResNet: {depth: 50}
FPN: {out_channel: 16}
RPNHead: {test_proposal: {pre_nms_top_n: 200, post_nms_top_n: 60}}
BBoxHead: {head: TwoFCHead, roi_extractor: {resolution: 7, aligned: True}}
MaskHead: {roi_extractor: {resolution: 14, aligned: True}}
num_classes: 3
TestReader:
  sample_transforms:
  - Decode: {}
  - Resize: {target_size: [64, 160], keep_ratio: True, interp: 2}
  batch_transforms: [PadBatch: {pad_to_stride: 32}]
"""
DETECTRON2 = """
MODEL:
  MASK_ON: true
  BACKBONE: {NAME: build_resnet_fpn_backbone}
  RESNETS: {DEPTH: 50, STRIDE_IN_1X1: false}
  ANCHOR_GENERATOR: {SIZES: [[32], [64], [128], [256], [512]]}
  ROI_HEADS: {NAME: StandardROIHeads, NUM_CLASSES: 3}
  ROI_BOX_HEAD: {POOLER_RESOLUTION: 7}
INPUT: {MIN_SIZE_TEST: 64, MAX_SIZE_TEST: 96}
"""


def write_rows(folder: Path) -> Path:
    """Write the model files of all rows, those that the pages name with thin networks; return their folder."""
    shutil.copytree(ROWS, folder)
    for name in NAMED:
        thin = read_row(name, (*SLIM, *QUICK, "source.sha256=''"))
        (folder / f"{name}.yml").write_text(dump_config(thin))
    return folder


def write_home(home: Path, rows: Path) -> Path:
    """Write the weights of the rows that the pages name, and those of ImageNet, as they are when they were fetched."""
    (home / "weights").mkdir(parents=True)
    for name in NAMED:
        config = read_row(rows / f"{name}.yml")
        state = sure_network(config).state_dict()
        imagenet = list_imagenet_renames(config.network, name)
        for url, lines in ((config.source.weights, list_renames(config.network)), (config.source.imagenet, imagenet)):
            write_pdparams(home / "weights" / url.rpartition("/")[2], to_paddle(lines, state))
    return home


def lay_out(folder: Path, rows: Path, home: Path) -> None:
    """Write everything that the pages name into a folder."""
    write_photos(folder)
    write_data(folder / "my-data")
    write_data(folder / "other-data")
    write_data(folder / "coco")
    maskzoo.convert_dataset(folder / "my-data" / "train.json", folder / "labels", to="labelme", pictures="copy")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(rows / f"{FPN}.yml", folder / "my.yml")
    write_foreign(folder)
    write_clip(folder / "clip.mp4")
    weights = home / "weights" / f"{FPN}.pdparams"
    maskzoo.train(folder / "my.yml", folder / "my-data", folder / "runs/mine", source=weights, epochs=1, workers=0)
    for name in ("mine-2", "before"):
        shutil.copytree(folder / "runs" / "mine", folder / "runs" / name)
    config = read_row(rows / f"{FPN}.yml", ("classes={5: square, 6: disk}",))
    for name in ("my", "old", "new", "r50", "s", "l"):
        write_checkpoint(folder / f"{name}.safetensors", sure_network(config).state_dict(), config, {})


def write_photos(folder: Path) -> None:
    for name in ("photo.jpg", "street.jpg", "city.tif"):
        Image.fromarray(make_photo(120, 160, seed=len(name))).save(folder / name)
    for number, name in enumerate(("photos", "new-photos", "label-studio/media")):
        (folder / name).mkdir(parents=True)
        for place in range(3):
            Image.fromarray(make_photo(90, 120, seed=10 * number + place)).save(folder / name / f"{place}.jpg")
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(folder / "photos", "photos")


def write_foreign(folder: Path) -> None:
    """Write what a user of each library has at the end of a training: weights, config, names of the classes."""
    (folder / "names.txt").write_text(NAMES)
    (folder / "config.yaml").write_text(DETECTRON2)
    (folder / "their.yml").write_text(PADDLEDETECTION)
    torch.save({"model": as_tensors("d2_r50_fpn", CLASSES)}, folder / "model_final.pth")
    torch.save(as_tensors("tv_r50_fpn", CLASSES), folder / "mask_rcnn.pth")
    meta = {"cfg": MMDET.replace("STYLE", "pytorch"), "dataset_meta": {"classes": ("cat", "dog")}, "epoch": 12}
    torch.save({"meta": meta, "state_dict": as_tensors("mm_r50_fpn")}, folder / "epoch_12.pth")
    config = read_row(FPN, (*SLIM, CLASSES))
    write_pdparams(folder / "best_model.pdparams", to_paddle(list_renames(config.network), sure_network(config).state_dict()))


def as_tensors(arch: str, *changes: str) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in make_thin(arch, *changes)[2].items()}
