"""The model file of another library's weights: from the file, the toolkit's config, and what its published models have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, ConfigError, list_some
from maskzoo.model_file import parse_config
from maskzoo.models.resnet import DEEP
from maskzoo.system.files import hash_file
from maskzoo.weights.foreign import ForeignFile
from maskzoo.weights.recognition import Recognised
from maskzoo.zoo.choices import Draft
from maskzoo.zoo.class_names import find_class_names, set_class_names, set_classes
from maskzoo.zoo.detectron2_config import translate_detectron2
from maskzoo.zoo.mmdetection_config import translate_mmdetection
from maskzoo.zoo.paddledetection_config import translate_paddledetection
from maskzoo.zoo.rows import FOLDER
from maskzoo.zoo.toolkit_configs import parse_python_config, read_python_config, read_yaml_config
from maskzoo.zoo.torchvision_options import translate_torchvision

__all__ = ["draft_model"]

PUBLISHED_CLASSES = 90  # of torchvision's published networks: COCO's ids, ten of them not used
GREY = 1 / 255
_PUBLISHED_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")  # torchvision and mmdetection write the SHA-256's beginning there


def draft_model(
    source: Path,
    file: ForeignFile,
    found: Recognised,
    *,
    config: str | Path | None,
    classes: str | Path | Sequence[str] | None,
    style: str | None,
    options: Sequence[str],
) -> Draft:
    """Put together what is known of a weights file's network; arguments as for `convert`.

    Raises:
        ConfigError: Something that must be known is not, or does not belong to these weights.
        ArgumentError: `classes` are no list of names.
    """
    if style is not None and found.library != "mmdetection":
        raise ArgumentError(f"style (--style) is for mmdetection's files, and {source} is {found.library}'s; leave it out")
    if options and found.library != "torchvision":
        raise ArgumentError(f"options (--option) are torchvision's, and {source} is {found.library}'s; use --config or --set")
    if style not in (None, "caffe", "pytorch"):
        raise ArgumentError(f"style is {style!r}; expected caffe or pytorch")
    published = _find_published(source.name)
    values, origin = _read_config(found.library, file, config, published)
    row = published or _choose_row(found, style if style or values is None else "pytorch", source)
    known = f"published model {row}, as the file is called" if published else f"default of {row}"
    draft = Draft(_read_row(row), known)
    for key, (value, shown) in found.settings.items():
        if found.library == "mmdetection" and key == "network.backbone.norm":
            continue  # theirs are one kind, frozen by the config
        if (value, draft.get(key)) != ("bn", "sync_bn"):  # which differ in training alone
            draft.set(key, value, f"file: {shown}")
    _name(draft, source, found, published)
    if published and (digest := _PUBLISHED_HASH.search(source.name)) and not hash_file(source).startswith(digest[1]):
        draft.notes.append(
            f"the file is called as {published} was published, and its SHA-256 does not begin with {digest[1]}: it is another "
            "file. If it is not that model, give it another name"
        )
    if classes is not None:
        set_class_names(draft, found, classes)
    else:
        set_classes(draft, found, *find_class_names(draft, found, file, values, published))
    if found.library in ("torchvision", "Detectron"):
        _set_epsilon(draft, found, published)
    if style is not None:
        deep = draft.get("network.backbone.depth") >= DEEP
        draft.set("network.backbone.stride_in_1x1", style == "caffe" and deep, "--style")
    elif found.library == "detectron2" and values is None and not published:
        _guess_detectron2(draft)
    if found.library == "mmdetection" and values is None and not published and draft.get("network.backbone.group_width") == 8:
        source_of_rules = "mmdetection's own models of 32x8d, whose backbone was detectron2's"
        draft.set("input.order", "bgr", source_of_rules)
        draft.set("input.std", [0.229, 0.224, 0.225], source_of_rules)
    if values is not None:
        _translate(found.library, values, origin, draft)
    if found.library == "PaddleDetection":
        draft.notes.append(
            "photos are resized by one_factor, as PaddleDetection did before 2.6.1; no file says which trained it: if 2.6.1 or "
            "later did, --set input.resize=rounded"
        )
    if values is None and found.library == "mmdetection" and not published:
        draft.notes.append("the file has no config: sides, limits and anchors are taken as mmdetection's usual ones")
    _set_statistics(draft, found)
    translate_torchvision(options, draft)
    return draft


# Which row has the first values


def _find_published(name: str) -> str | None:
    """Return the row whose published file has this name."""
    if not name.endswith((".pth", ".pkl")) or name.startswith("model_final.") or len(name) < 12:
        return None
    for path in sorted(FOLDER.glob("*/*.yml")):
        if f"/{name}\n" in path.read_text(encoding="utf-8"):
            return f"{path.parent.name}/{path.stem}"
    return None


def _choose_row(found: Recognised, style: str | None, source: Path) -> str:
    shape = {key.rpartition(".")[2]: value for key, (value, _) in found.settings.items()}
    if found.library == "torchvision":
        plain = found.settings["network.norm"][0] == "none"
        return "torchvision/maskrcnn_resnet50_fpn" if plain else "torchvision/maskrcnn_resnet50_fpn_v2"
    if found.library in ("detectron2", "Detectron"):
        if shape["heads"] == "c4":
            return "detectron2/mask_rcnn_R_50_C4_3x"
        if shape["heads"] == "dc5":
            return f"detectron2/mask_rcnn_R_{shape['depth']}_DC5_3x"
        if shape["groups"] > 1:
            return "detectron2/mask_rcnn_X_101_32x8d_FPN_3x"
        if shape["box_head"] == "4conv1fc":
            return "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ"
        return f"detectron2/mask_rcnn_R_{101 if shape['depth'] == 101 else 50}_FPN_3x"
    if found.library == "PaddleDetection":
        return _choose_paddle_row(shape)
    if style is None:
        raise ConfigError(
            f"{source}: a model of mmdetection without its config. Networks of caffe and of pytorch style have the same names "
            "and shapes and compute other things; say which: --style caffe or --style pytorch, or give the config that it was "
            "trained with (--config my_config.py). A file that mmdetection published is known by its own name"
        )
    return "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco" if style == "caffe" else "mmdet/mask-rcnn_r50_fpn_1x_coco"


def _choose_paddle_row(shape: Mapping[str, Any]) -> str:
    if shape["heads"] == "c4":
        return "mask_rcnn_r50_1x_coco"
    if shape["groups"] > 1:
        return "mask_rcnn_x101_vd_64x4d_fpn_1x_coco"
    if shape["norm"] == "gn":
        return f"paddle/{'cascade_' if shape['box_stages'] > 1 else ''}mask_rcnn_r50_fpn_gn_2x_coco"
    if shape["box_stages"] > 1:
        return "paddle/cascade_mask_rcnn_r50_fpn_1x_coco"
    return f"mask_rcnn_r{shape['depth']}{'_vd' if shape['variant'] == 'd' else ''}_fpn_1x_coco"


def _read_row(name: str) -> ModelConfig:
    return parse_config((FOLDER / f"{name}.yml").read_text(encoding="utf-8"), name)


# What only the library's kind tells


def _name(draft: Draft, source: Path, found: Recognised, published: str | None) -> None:
    if published:
        return
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem).strip("-._") or "converted"
    draft.data["name"], draft.data["schedule"] = name, "own"
    draft.data["source"] = {
        "weights": "",
        "imagenet": draft.data["source"]["imagenet"],
        "licence": f"yours; trained with {found.library}",
        "published": None,
    }


def _set_epsilon(draft: Draft, found: Recognised, published: str | None) -> None:
    """torchvision sets 0 in networks with its published weights of version 1, which have frozen norms."""
    key = "network.backbone.epsilon"
    if found.library == "Detectron":
        draft.set(key, 1e-5, "Detectron's norms are a factor and a shift, written as statistics with this epsilon")
        draft.notes.append("Detectron's weights are computed as detectron2 computes them: without its boxes a pixel wider")
        return
    frozen = draft.get("network.backbone.norm") == "frozen"
    if published or draft.get("network.norm") != "none":
        return
    if frozen and found.classes == PUBLISHED_CLASSES:
        draft.set(key, 0.0, "torchvision sets 0 with its published COCO_V1: frozen norms, 91 classes")
        draft.notes.append(
            "epsilon 0, as torchvision has it with its published weights COCO_V1 (91 classes, frozen norms). If you trained "
            "these 91 classes from other weights: --set network.backbone.epsilon=1.0e-5"
        )
    elif frozen:
        draft.set(key, 1e-5, "torchvision's FrozenBatchNorm2d, in a training of your own")
        draft.notes.append(
            "epsilon 1e-5, that of torchvision's frozen norms. If you built the model for prediction with weights=COCO_V1 (or "
            "DEFAULT), as torchvision's tutorial does, torchvision had set it to 0: --set network.backbone.epsilon=0.0"
        )
    else:
        draft.set(key, 1e-5, "torch's BatchNorm2d, whose counters are in the file")


def _guess_detectron2(draft: Draft) -> None:
    groups = draft.get("network.backbone.groups")
    caffe = groups == 1 and draft.get("network.backbone.depth") >= DEEP
    draft.set(
        "network.backbone.stride_in_1x1",
        caffe,
        f"default of detectron2 for {'ResNet-50 and 101' if caffe else 'this backbone'}; no name or shape shows it",
    )
    draft.notes.append(
        "the file does not say where blocks stride, nor order, mean and deviation of colours; they are those of detectron2's "
        "own models. If your config changed them (as for backbones of torchvision): give it with --config"
    )


def _set_statistics(draft: Draft, found: Recognised) -> None:
    """Mean and deviation in a detectron2 file are what it was trained with, in the order of its channels."""
    for name, key in (("pixel_mean", "input.mean"), ("pixel_std", "input.std")):
        values = found.statistics.get(name)
        if values is None:
            continue
        if len(values) != 3:
            raise ConfigError(f"{name} in the file has {len(values)} values; expected three: only colour photos are read")
        ordered = values[::-1] if draft.get("input.order") == "bgr" else values
        draft.set(key, [value * GREY for value in ordered], f"file: {name}")


# The toolkit's config


def _read_config(
    library: str, file: ForeignFile, config: str | Path | None, published: str | None
) -> tuple[dict[str, Any] | None, str]:
    """Return a config's values and its name; None without one. A published model's rules are known without."""
    if config is not None:
        path = Path(config)
        python = path.suffix == ".py"
        if library in ("torchvision", "Detectron") or python != (library == "mmdetection"):
            wanted = {"mmdetection": "a .py file", "torchvision": "none: torchvision has no configs; use --option"}
            told = wanted.get(library, "a .yml or .yaml file")
            raise ConfigError(f"{path}: not a config of {library}, whose weights these are; expected {told}")
        return (read_python_config(path) if python else read_yaml_config(path)), path.name
    meta = file.said.get("meta")
    if library == "mmdetection" and isinstance(meta, Mapping) and not published:
        for key in ("cfg", "config"):
            if isinstance(meta.get(key), str) and meta[key].strip():
                return parse_python_config(meta[key], f"meta.{key}"), f"meta.{key}"
    return None, ""


def _translate(library: str, values: Mapping[str, Any], origin: str, draft: Draft) -> None:
    if library == "mmdetection":
        translate_mmdetection(values, origin, draft)
    elif library == "detectron2":
        translate_detectron2(values, origin, draft)
    else:
        unused = translate_paddledetection(values, origin, draft)
        draft.notes.append(f"{origin}: not used: {list_some(sorted(unused), 20)}")
