"""A predictor over a data set: many processes give what one gives, and memory stays where it was."""

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from coco_files import make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.collect import choose_images, collect_results
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.structures import Detections
from maskzoo.system.processes import Processes
from networks import make_photo, small_config

IDS = (1, 3, 7, 18, 90)  # the small network's
OBJECTS = 12  # found on any photo


class Spots(torch.nn.Module):
    """A network in a millisecond: boxes, labels and masks that follow from the pixels and mean nothing."""

    def find(self, batch):
        shades = torch.nn.functional.adaptive_avg_pool2d(batch.pixels, 4).flatten(1).reshape(-1, OBJECTS, 4).sigmoid()
        first = shades[..., :2] * batch.sizes.flip(1)[:, None] * 0.5
        boxes = torch.cat([first, first + shades[..., 2:] * batch.sizes.flip(1)[:, None] * 0.5], dim=-1)
        labels = (shades[..., 1] * 1000).long() % len(IDS)
        everyone = torch.ones(shades.shape[:2], dtype=torch.bool)
        return Detections(boxes, shades[..., 0], labels, torch.zeros_like(labels), everyone), shades

    def add_masks(self, detections, shades):
        waves = torch.linspace(0, 9, 28)
        return detections.with_masks((shades[..., :1, None] * 20 * waves[:, None] + waves).sin() / 2 + 0.5)


@pytest.fixture(scope="module")
def predictor():
    return Predictor(Eager(Spots(), torch.device("cpu"), torch.float32), small_config())


def make_set(folder, images, *, wide=()):
    """Write photos, `wide` ones by place of another shape, and return their annotations; one image has only a crowd."""
    data = make_data(images=images, objects=3, ids=IDS)
    data["annotations"] = [row for row in data["annotations"] if row["iscrowd"] or row["image_id"] != 10 * images]
    for place, image in enumerate(data["images"]):
        image["height"] = 60
        if place in wide:
            image["width"] = 100
        Image.fromarray(make_photo(60, image["width"], place)).save(folder / image["file_name"])
    for row in data["annotations"]:
        if isinstance(row["segmentation"], dict):
            x, y, width, height = row["bbox"]
            row["segmentation"] = [[x, y, x + width, y, x + width, y + height]]
    return pack_annotations(data, "set.json")


def run_as(processes, *arguments, **options):
    """Run every share, rank 0 last, and bring the parts together as processes would."""
    parts = [None] * processes

    class Share(Processes):
        def gather(self, part):
            parts[self.rank] = part
            return list(parts) if self.rank == 0 else None

    for rank in range(1, processes):
        assert collect_results(*arguments, **options, processes=Share(rank, processes)) is None
    return collect_results(*arguments, **options, processes=Share(0, processes))


@pytest.mark.parametrize("batch", [1, 2])
def test_shares_come_together_as_the_bytes_of_one_process(batch, predictor, tmp_path):
    annotations = make_set(tmp_path, 13, wide=(2, 3, 7))
    (tmp_path / "3.png").unlink()
    (tmp_path / "8.png").write_bytes(b"no image")
    options = {"batch": batch, "labels": np.array([1, 0, 2, 4, 3])}
    alone = collect_results(predictor, annotations, tmp_path, **options)
    assert alone.images == 12 and len(alone.results) > 30
    assert [failure.image_id for failure in alone.failed] == sorted(failure.image_id for failure in alone.failed)
    assert {failure.source for failure in alone.failed} == {str(tmp_path / "3.png"), str(tmp_path / "8.png")}
    for processes in (2, 3, 20):
        found = run_as(processes, predictor, annotations, tmp_path, **options)
        assert found.results.to_json(annotations) == alone.results.to_json(annotations)
        assert found.results.areas.tolist() == alone.results.areas.tolist()
        assert (found.failed, found.images) == (alone.failed, alone.images)


def test_images_without_objects_are_run_if_asked_and_each_is_told(predictor, tmp_path):
    annotations = make_set(tmp_path, 4)
    told = []
    evaluated = collect_results(
        predictor, annotations, tmp_path, all_images=True, on_progress=lambda event: told.append((event.done, event.total))
    )
    assert (evaluated.images, told) == (4, [(1, 4), (2, 4), (3, 4), (4, 4)])
    assert set(evaluated.results.images.tolist()) == {0, 1, 2, 3}
    assert choose_images(annotations).tolist() == [True, True, True, False]
    assert choose_images(annotations, limit=2).tolist() == [True, True, False, False]
    assert choose_images(annotations, all_images=True, limit=2).tolist() == [True, True, False, False]


def test_a_photo_of_another_size_is_noted_with_both_sizes(predictor, tmp_path):
    annotations = make_set(tmp_path, 2)
    Image.fromarray(make_photo(80, 60)).save(tmp_path / "1.png")
    (failure,) = collect_results(predictor, annotations, tmp_path).failed
    assert failure.image_id == 10 and "found a photo of 60 x 80" in failure.error and "1.png" in failure.error


def repeat(annotations, times):
    """Return a data set that names the first image's file again and again."""
    first = annotations.select(np.arange(len(annotations)) == 0)
    objects = len(first.ids)
    return replace(
        first,
        image_ids=np.arange(times),
        sizes=first.sizes.repeat(times, 0),
        file_names=first.file_names.take(np.zeros(times, np.int64)),
        first=np.arange(times + 1) * objects,
        image_index=np.arange(times, dtype=np.int32).repeat(objects),
        polygon_first=np.arange(times * objects + 1),
        polygons=first.polygons.take(np.tile(np.arange(objects), times)),
        runs=first.runs.take(np.tile(np.arange(objects), times)),
        **{
            name: np.tile(getattr(first, name), (times, 1) if getattr(first, name).ndim == 2 else times)
            for name in ("ids", "labels", "crowd", "ignore", "area", "bbox", "boxes")
        },
    )


def measure_growth(call, few, many):
    """Return by how many bytes the peak grows with each image."""
    peaks = []
    for number in (few, few, many):  # the first fills caches
        gc.collect()
        tracemalloc.start()
        kept = call(number)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del kept
    return (peaks[2] - peaks[1]) / (many - few)


def test_memory_grows_by_rows_not_by_predictions(predictor, tmp_path):
    annotations = make_set(tmp_path, 2)
    sets = {number: repeat(annotations, number) for number in (10, 310)}

    def run(number):
        return collect_results(predictor, sets[number], tmp_path)

    def keep_predictions(number):
        return list(predictor.predict_each([tmp_path / "1.png"] * number, score=0))

    written = len(run(10).results.to_json(sets[10])) / 10
    assert measure_growth(run, 10, 310) < 2 * written < 15_000  # bytes of an image's rows
    assert measure_growth(keep_predictions, 10, 110) > 30_000  # so the measure sees what would be kept
