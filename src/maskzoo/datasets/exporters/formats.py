"""The formats that can be written: what each one's OUT is, what it holds beside classes and outlines, and what writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maskzoo.datasets.exporters.class_masks import write_class_masks
from maskzoo.datasets.exporters.coco import write_coco_files
from maskzoo.datasets.exporters.content import ExportJob, PictureMode
from maskzoo.datasets.exporters.csv_table import write_csv
from maskzoo.datasets.exporters.cutouts import write_cutouts
from maskzoo.datasets.exporters.cvat import write_cvat
from maskzoo.datasets.exporters.geojson import write_geojson
from maskzoo.datasets.exporters.label_studio import INTERFACE, write_label_studio
from maskzoo.datasets.exporters.labelme import write_labelme
from maskzoo.datasets.exporters.mask_pngs import write_mask_pngs
from maskzoo.datasets.exporters.via import write_via
from maskzoo.datasets.exporters.voc import write_voc
from maskzoo.datasets.exporters.yolo import write_yolo

__all__ = ["EXPORTERS", "Exporter"]

FLAGS = ("crowds", "ignored", "attributes", "scores")


@dataclass(frozen=True, slots=True)
class Exporter:
    """One format: `write` fills a folder, or the first of `files` with the others beside it.

    `keeps` are the names of LOSSES that it does not lose; `pictures` is what happens to them unless the user says more.
    """

    write: Callable[[ExportJob], dict[str, Path]]
    keeps: frozenset[str]
    pictures: PictureMode = "none"
    files: tuple[str, ...] = ()


EXPORTERS = {
    "coco": Exporter(write_coco_files, frozenset([*FLAGS, "object_ids", "image_ids", "class_ids", "other_fields"])),
    "yolo": Exporter(write_yolo, frozenset(), "link"),
    "labelme": Exporter(write_labelme, frozenset(FLAGS), "link"),
    "voc": Exporter(write_voc, frozenset(["crowds"]), "link"),  # it counts crowds itself: they become void
    "via": Exporter(write_via, frozenset(FLAGS)),
    "cvat": Exporter(write_cvat, frozenset(FLAGS), files=("annotations.xml",)),
    "labelstudio": Exporter(
        write_label_studio, frozenset([*FLAGS, "object_ids", "image_ids"]), files=("tasks.json", INTERFACE)
    ),
    "masks": Exporter(write_mask_pngs, frozenset([*FLAGS, "object_ids"]), "link"),
    "class_masks": Exporter(write_class_masks, frozenset(["crowds"]), "link"),  # a crowd has its class
    "cutouts": Exporter(write_cutouts, frozenset(["scores", "crowds", "object_ids", "image_ids"])),
    "geojson": Exporter(write_geojson, frozenset([*FLAGS, "object_ids", "image_ids"]), files=("objects.geojson",)),
    "csv": Exporter(write_csv, frozenset([*FLAGS, "object_ids", "image_ids"]), files=("table.csv",)),
}
