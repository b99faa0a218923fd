"""VGG Image Annotator 2: a project, which VIA opens and its annotations' import takes too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskzoo.datasets.coco_writer import encode_json
from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture, to_text
from maskzoo.datasets.exporters.outlines import draw_polygons
from maskzoo.system.files import make_folder, write_file

__all__ = ["FILE", "write_via"]

FILE = "via_region_data.json"
OWN = ("class", "group_id")  # attributes with a meaning here; an object's own of these names are lost


def write_via(job: ExportJob) -> dict[str, Path]:
    """Write a project for each split, which names the pictures where they are.

    Each polygon is a region. Its attribute `class` is a choice; regions of one object have the same `group_id`.
    """
    files = {split: job.out / split / FILE if len(job.splits) > 1 else job.out / FILE for split in job.splits}
    for split, file in files.items():
        regions = {}
        for picture in job.pictures(split):
            bytes_ = picture.path.stat().st_size if picture.path else -1
            entry = {"filename": picture.name, "size": bytes_, "regions": _list_regions(job, picture), "file_attributes": {}}
            regions[f"{picture.name}{bytes_}"] = entry
        make_folder(file.parent)
        write_file(file, encode_json(_make_project(job, split, regions), file))
        folder = _find_folder(job, split)
        where = f"with the pictures in {folder}" if folder else "and say where the pictures are"
        job.notes.append(f"Open VIA 2, then Project > Load {file}, {where}")
    return files


def _list_regions(job: ExportJob, picture: LabelledPicture) -> list[dict[str, Any]]:
    regions = []
    for one in picture.objects:
        polygons = draw_polygons(one, picture.size)
        job.lost["empty"] += not polygons
        about = _describe(job, one) | ({"group_id": str(one.number)} if len(polygons) > 1 else {})
        for polygon in polygons:
            shape = {"name": "polygon", "all_points_x": polygon[0::2].tolist(), "all_points_y": polygon[1::2].tolist()}
            regions.append({"shape_attributes": shape, "region_attributes": about})
    return regions


def _describe(job: ExportJob, one: LabelledObject) -> dict[str, str]:
    job.lost["attributes"] += not one.attributes.keys().isdisjoint(OWN)
    one.attributes.pop("group_id", None)
    return {name: to_text(value) for name, value in one.describe().items()} | {"class": job.classes[one.label]}


def _make_project(job: ExportJob, split: str, regions: dict[str, Any]) -> dict[str, Any]:
    folder = _find_folder(job, split)
    others = {name for entry in regions.values() for region in entry["regions"] for name in region["region_attributes"]}
    choice = {"type": "dropdown", "description": "", "options": dict.fromkeys(job.classes, ""), "default_options": {}}
    texts = {name: {"type": "text", "description": "", "default_value": ""} for name in sorted(others - {"class"})}
    settings = {
        "ui": {
            "annotation_editor_height": 25, "annotation_editor_fontsize": 0.8, "leftsidebar_width": 18,
            "image_grid": {
                "img_height": 80, "rshape_fill": "none", "rshape_fill_opacity": 0.3, "rshape_stroke": "yellow",
                "rshape_stroke_width": 2, "show_region_shape": True, "show_image_policy": "all",
            },
            "image": {
                "region_label": "class", "region_color": "class", "region_label_font": "10px Sans",
                "on_image_annotation_editor_placement": "NEAR_REGION",
            },
        },
        "core": {"buffer_size": 18, "filepath": {}, "default_filepath": f"{folder}/" if folder else ""},
        "project": {"name": job.out.name},
    }  # fmt: skip
    return {
        "_via_settings": settings,
        "_via_img_metadata": regions,
        "_via_attributes": {"region": {"class": choice} | texts, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(regions),
    }


def _find_folder(job: ExportJob, split: str) -> str | None:
    """Return the folder that the pictures' names start from, if the first one is found."""
    picture = next(iter(job.splits[split].pictures()), None)
    if picture is None or picture.path is None or not picture.path.as_posix().endswith(picture.name):
        return None
    return picture.path.absolute().as_posix().removesuffix(picture.name).rstrip("/") or "/"
