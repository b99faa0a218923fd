"""Exported files that are made once and kept: a backend other than PyTorch needs one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from maskzoo.config import ModelConfig
from maskzoo.errors import ExportError
from maskzoo.exporting.onnx import Facts, write_onnx
from maskzoo.exporting.openvino import write_openvino
from maskzoo.exporting.program import Inputs, Program
from maskzoo.model_file import dump_config
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.system.files import explained, fit_name, make_folder

__all__ = ["export_once"]


def export_once(network: MaskRCNN, config: ModelConfig, folder: Path, calibration: Iterable[Inputs] | None = None) -> Path:
    """Return the network's `.onnx` file in `folder`, or its int8 `.xml` file where there is `calibration`.

    The file is made unless one of the same weights, config, calibration photos and version stands there. Takes
    ownership of the network. Raises ExportError.
    """
    photos = None if calibration is None else list(calibration)
    make_folder(folder, ExportError)
    ending = f"-{_hash(network, config, photos)}{'.onnx' if photos is None else '.xml'}"
    lock = folder / fit_name(config.name, f"{ending}.lock", folder)
    path = lock.with_suffix("")
    with explained(path, ExportError), FileLock(lock):
        if not path.is_file():
            facts = Facts(config, fixed=None, provenance={"maskzoo_version": version("maskzoo")})
            if photos is None:
                write_onnx(Program(network), facts, path)
            else:
                write_openvino(Program(network), facts, path, photos)
    return path


def _hash(network: MaskRCNN, config: ModelConfig, photos: list[Inputs] | None) -> str:
    digest = hashlib.sha256(f"{version('maskzoo')}\n{dump_config(config)}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().data)
    for photo in photos or ():
        for values in photo.values():
            digest.update(values.data)
    return digest.hexdigest()[:16]
