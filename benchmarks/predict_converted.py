"""A library's own network as a contender of predict.py: in the library itself, and converted, in maskzoo."""

import sys
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np


class Library:
    """The library as its users call it, with the settings that were written for it, then run-length masks."""

    def __init__(self, job):
        import torch
        from pycocotools import mask

        torch.set_num_threads(job["threads"])
        source = Path(__file__).parent.parent / "src" / "maskzoo" / "zoo" / "counterparts" / "library_program.py"
        program = module_from_spec(spec := spec_from_file_location("library_program", source))
        spec.loader.exec_module(program)
        files = Path(job["folder"]) / job["library"]
        self.run = program.LOADERS[job["library"]](str(next(files.glob("back.p*"))), str(find_settings(files)))
        self.mode, self.encode = torch.inference_mode, mask.encode
        self.versions = {"torch": torch.__version__, job["library"]: find_version(job["library"])}
        self.counts = {}

    def predict(self, photo):
        with self.mode():
            masks = self.run(photo)[3]
        self.counts["detections"] = len(masks)
        return [self.encode(np.asfortranarray(one.astype(np.uint8))) for one in masks]


class Converted:
    """The same weights in maskzoo, from a photo in memory to run-length masks."""

    def __init__(self, job):
        import torch

        import maskzoo

        torch.set_num_threads(job["threads"])
        if job["keep"] and not maskzoo.keep_freed_memory():
            sys.exit("this platform's allocator cannot keep freed memory")
        self.predictor = maskzoo.load(Path(job["folder"]) / job["library"] / "mine.safetensors", device="cpu", backend="eager")
        self.versions = {"torch": torch.__version__}
        self.counts = {}

    def predict(self, photo):
        prediction = self.predictor.predict(photo, score=0)
        self.counts["detections"] = len(prediction)
        return prediction.masks.rle()


def find_settings(files):
    return next(path for path in files.iterdir() if path.suffix in (".py", ".yaml"))


def find_version(library):
    """detectron2 may be a folder of sources that no installer knows."""
    try:
        return version(library)
    except ImportError:
        return sys.modules[library].__version__
