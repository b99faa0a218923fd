"""GeoJSON of georeferenced pictures: a feature for each object, its outline on the map.

Coordinates are those of the pictures' own coordinate system, named in a `crs` member as GDAL, QGIS and GeoPandas read it:
RFC 7946 knows only longitude and latitude, for which it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.exporters.content import ExportJob, LabelledObject, LabelledPicture
from maskzoo.datasets.exporters.outlines import find_pixels
from maskzoo.datasets.polygons import Polygon, find_polygons
from maskzoo.errors import count_words
from maskzoo.images.georeference import Georeference, read_georeference
from maskzoo.system.files import check_target, write_file

__all__ = ["write_geojson"]

WGS84 = 4326
DIGITS = 12  # that count of a coordinate: hundredths of a millimetre on the ground


def write_geojson(job: ExportJob) -> dict[str, Path]:
    """Write the features to `out`, or to a file for each coordinate system (`NAME-32633.geojson`) if there are several."""
    features: dict[int | None, list[str]] = {}
    unplaced: list[str] = []
    for split in job.splits:
        for picture in job.pictures(split):
            place = read_georeference(picture.path) if picture.path is not None else None
            if place is None:
                unplaced.append(picture.name)
                job.lost["unplaced"] += len(picture.objects)
                continue
            found = features.setdefault(place.epsg, [])
            found += [json.dumps(row, ensure_ascii=False) for row in _describe(job, split, picture, place)]
    files = {epsg: job.out if len(features) < 2 else _name(job.out, epsg) for epsg in features or {None: []}}
    for epsg, file in files.items():
        check_target(file, force=job.force)
        write_file(file, (text.encode() for text in _collect(features.get(epsg, []), epsg)))
    if len(files) > 1:
        job.notes.append(f"Each coordinate system has a file of its own: {', '.join(str(file) for file in files.values())}")
    if None in features:
        job.notes.append(f"{files[None]}: world files say no coordinate system; tell your GIS program which it is")
    if unplaced:
        count = count_words(len(unplaced), "picture")
        job.notes.append(f"No GeoTIFF tags and no world file: {count}, such as {unplaced[0]}")
    return dict.fromkeys(job.splits, next(iter(files.values())))


def _name(out: Path, epsg: int | None) -> Path:
    return out.with_name(f"{out.stem}-{epsg or 'unknown'}{out.suffix}")


def _collect(features: Sequence[str], epsg: int | None) -> list[str]:
    name = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    crs = f'"crs": {json.dumps(name)}, ' if epsg not in (None, WGS84) else ""
    return [f'{{"type": "FeatureCollection", {crs}"features": [\n', ",\n".join(features), "\n]}\n"]


def _describe(job: ExportJob, split: str, picture: LabelledPicture, place: Georeference) -> list[dict[str, Any]]:
    rows = []
    for one in picture.objects:
        pixels = find_pixels(one, picture.size)
        if pixels is None:
            job.lost["empty"] += 1
            continue
        parts = [_to_rings(part, place) for part in find_polygons(pixels.mask, (pixels.left, pixels.top))]
        facts = {"class": job.classes[one.label], "picture": picture.name, "split": split, "pixels": int(pixels.mask.sum())}
        rows.append(
            {
                "type": "Feature",
                "id": one.number,
                "properties": facts | {"image_id": picture.number} | _tell(one),
                "geometry": {"type": "MultiPolygon", "coordinates": parts},
            }
        )
    return rows


def _tell(one: LabelledObject) -> dict[str, Any]:
    return {"score": one.score} | ({"attributes": about} if (about := one.attributes | _flags(one)) else {})


def _flags(one: LabelledObject) -> dict[str, Any]:
    return {name: True for name, there in (("iscrowd", one.crowd), ("ignore", one.ignore)) if there}


def _to_rings(part: Polygon, place: Georeference) -> list[list[list[float]]]:
    """Return closed rings, the exterior counterclockwise on the map and holes clockwise, as RFC 7946 wants them."""
    a, b, _, d, e, _ = place.affine
    turn = 1 if a * e - b * d > 0 else -1  # the map's y mostly goes up, which turns the way round
    return [_close(place.to_map(ring)[::turn]) for ring in (part.exterior, *part.holes)]


def _close(ring: NDArray[np.float64]) -> list[list[float]]:
    points = [[float(f"{value:.{DIGITS}g}") for value in point] for point in ring.tolist()]
    return [*points, points[0]]
