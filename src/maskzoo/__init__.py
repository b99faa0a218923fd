"""The Mask R-CNN model zoo in PyTorch: published networks, safe weights, one command.

>>> import maskzoo
>>> predictor = maskzoo.load("mask_rcnn_r50_fpn_1x_coco")
>>> prediction = predictor.predict("street.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskzoo.errors import (
    AnnotationsError,
    ArgumentError,
    ConfigError,
    DownloadError,
    ExportError,
    ImageError,
    MaskzooError,
    MissingPackageError,
    RequestError,
    SnapshotError,
    SourceError,
    TrainingError,
    WeightsError,
)
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.waiting import choose_waiting

if TYPE_CHECKING:
    from maskzoo.bench.runner import BenchmarkRun, benchmark
    from maskzoo.config import ModelConfig
    from maskzoo.dataset_checks.check import check_dataset
    from maskzoo.dataset_checks.judgement import Judgement
    from maskzoo.dataset_checks.report import DatasetReport
    from maskzoo.datasets.converted import ConvertedDataset
    from maskzoo.datasets.draw import DrawnDataset, draw_dataset
    from maskzoo.datasets.importers.convert import convert_dataset
    from maskzoo.datasets.polygons import Polygon
    from maskzoo.datasets.split import SplitDataset, split_dataset
    from maskzoo.datasets.statistics import Statistics, dataset_statistics
    from maskzoo.demonstration.demo import DemoRun, demo
    from maskzoo.doctor import Diagnosis, diagnose
    from maskzoo.evaluation.difference import ComparedModels
    from maskzoo.evaluation.job import EvaluationRun, evaluate
    from maskzoo.exporting.verify import Verification
    from maskzoo.faults import Fault
    from maskzoo.images.read import read_image
    from maskzoo.images.sample import sample_photo
    from maskzoo.inference.augmented import augment
    from maskzoo.inference.folder_run import FolderRun, ImageResult, predict_folder
    from maskzoo.inference.prediction import Masks, Prediction
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.video_run import VideoRun, predict_video
    from maskzoo.picking.page import write_pick_page
    from maskzoo.picking.pick import PickedImage, PickedImages, pick_images
    from maskzoo.publishing.push import Pushed, push
    from maskzoo.reports.page import write_report
    from maskzoo.serving.client import Client
    from maskzoo.serving.labelling.pictures import LabelStudio
    from maskzoo.serving.server import serve
    from maskzoo.system.memory import keep_freed_memory
    from maskzoo.system.processes import join_processes
    from maskzoo.training.auto_recipe.plan_training import TrainingPlan, plan_training
    from maskzoo.training.compare import compare
    from maskzoo.training.draw import DrawnAugmentation, draw_augmented
    from maskzoo.training.run import TrainingRun, train
    from maskzoo.weights.checkpoint import Checkpoint
    from maskzoo.zoo.conversion import Conversion, convert
    from maskzoo.zoo.counterparts.convert import WrittenModel, convert_to
    from maskzoo.zoo.counterparts.verify import Comparison, PhotoComparison, verify
    from maskzoo.zoo.export_model import Exported, export
    from maskzoo.zoo.hub import Pulled, pull
    from maskzoo.zoo.import_config import ImportedConfig, import_config
    from maskzoo.zoo.load import load
    from maskzoo.zoo.rows import RowSummary, list_models, names

__all__ = [
    "AnnotationsError",
    "ArgumentError",
    "BenchmarkRun",
    "Checkpoint",
    "Client",
    "ComparedModels",
    "Comparison",
    "ConfigError",
    "Conversion",
    "ConvertedDataset",
    "DatasetReport",
    "DemoRun",
    "Diagnosis",
    "DownloadError",
    "DrawnAugmentation",
    "DrawnDataset",
    "EvaluationRun",
    "ExportError",
    "Exported",
    "Fault",
    "FolderRun",
    "ImageError",
    "ImageResult",
    "ImportedConfig",
    "Judgement",
    "LabelStudio",
    "Masks",
    "MaskzooError",
    "MissingPackageError",
    "ModelConfig",
    "OnProgress",
    "PhotoComparison",
    "PickedImage",
    "PickedImages",
    "Polygon",
    "Prediction",
    "Predictor",
    "ProgressEvent",
    "Pulled",
    "Pushed",
    "RequestError",
    "RowSummary",
    "SnapshotError",
    "SourceError",
    "SplitDataset",
    "Statistics",
    "TrainingError",
    "TrainingPlan",
    "TrainingRun",
    "Verification",
    "VideoRun",
    "WeightsError",
    "WrittenModel",
    "augment",
    "benchmark",
    "check_dataset",
    "compare",
    "convert",
    "convert_dataset",
    "convert_to",
    "dataset_statistics",
    "demo",
    "diagnose",
    "draw_augmented",
    "draw_dataset",
    "evaluate",
    "export",
    "import_config",
    "join_processes",
    "keep_freed_memory",
    "list_models",
    "load",
    "names",
    "pick_images",
    "plan_training",
    "predict_folder",
    "predict_video",
    "pull",
    "push",
    "read_image",
    "sample_photo",
    "serve",
    "split_dataset",
    "train",
    "verify",
    "write_pick_page",
    "write_report",
]

_HOMES = {
    "BenchmarkRun": "bench.runner",
    "Checkpoint": "weights.checkpoint",
    "Client": "serving.client",
    "ComparedModels": "evaluation.difference",
    "Comparison": "zoo.counterparts.verify",
    "Conversion": "zoo.conversion",
    "ConvertedDataset": "datasets.converted",
    "DatasetReport": "dataset_checks.report",
    "DemoRun": "demonstration.demo",
    "Diagnosis": "doctor",
    "DrawnAugmentation": "training.draw",
    "DrawnDataset": "datasets.draw",
    "EvaluationRun": "evaluation.job",
    "Exported": "zoo.export_model",
    "Fault": "faults",
    "FolderRun": "inference.folder_run",
    "ImageResult": "inference.folder_run",
    "ImportedConfig": "zoo.import_config",
    "Judgement": "dataset_checks.judgement",
    "LabelStudio": "serving.labelling.pictures",
    "Masks": "inference.prediction",
    "ModelConfig": "config",
    "PhotoComparison": "zoo.counterparts.verify",
    "PickedImage": "picking.pick",
    "PickedImages": "picking.pick",
    "Polygon": "datasets.polygons",
    "Prediction": "inference.prediction",
    "Predictor": "inference.predictor",
    "Pulled": "zoo.hub",
    "Pushed": "publishing.push",
    "RowSummary": "zoo.rows",
    "SplitDataset": "datasets.split",
    "Statistics": "datasets.statistics",
    "TrainingPlan": "training.auto_recipe.plan_training",
    "TrainingRun": "training.run",
    "Verification": "exporting.verify",
    "VideoRun": "inference.video_run",
    "WrittenModel": "zoo.counterparts.convert",
    "augment": "inference.augmented",
    "benchmark": "bench.runner",
    "check_dataset": "dataset_checks.check",
    "compare": "training.compare",
    "convert": "zoo.conversion",
    "convert_dataset": "datasets.importers.convert",
    "convert_to": "zoo.counterparts.convert",
    "dataset_statistics": "datasets.statistics",
    "demo": "demonstration.demo",
    "diagnose": "doctor",
    "draw_augmented": "training.draw",
    "draw_dataset": "datasets.draw",
    "evaluate": "evaluation.job",
    "export": "zoo.export_model",
    "import_config": "zoo.import_config",
    "join_processes": "system.processes",
    "keep_freed_memory": "system.memory",
    "list_models": "zoo.rows",
    "load": "zoo.load",
    "names": "zoo.rows",
    "pick_images": "picking.pick",
    "plan_training": "training.auto_recipe.plan_training",
    "predict_folder": "inference.folder_run",
    "pull": "zoo.hub",
    "push": "publishing.push",
    "predict_video": "inference.video_run",
    "read_image": "images.read",
    "sample_photo": "images.sample",
    "serve": "serving.server",
    "split_dataset": "datasets.split",
    "train": "training.run",
    "verify": "zoo.counterparts.verify",
    "write_pick_page": "picking.page",
    "write_report": "reports.page",
}

choose_waiting()  # before anything here imports torch


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: torch takes seconds, and not every use of the package needs it."""
    if name == "__version__":
        from maskzoo.system.machine import find_version

        return find_version("maskzoo") or "0+unknown"  # a source tree that runs without being installed
    if name not in _HOMES:
        raise AttributeError(f"module 'maskzoo' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"maskzoo.{_HOMES[name]}"), name)
    except ImportError as error:
        from maskzoo.system.packages import explain_missing

        raise explain_missing(error) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
