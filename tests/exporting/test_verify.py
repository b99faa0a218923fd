"""What `verify` finds: nothing where both are the same, and the place where they are not."""

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.exporting.verify import verify
from maskzoo.inference.predictor import Predictor
from networks import make_photo, small_predictor


class Moved:
    """The network's own backend, with its detections changed on the way out."""

    name, dtype = "moved", "float32"

    def __init__(self, predictor, change, dtype="float32"):
        self.backend, self.change, self.dtype = predictor.backend, change, dtype

    def detect(self, batch):
        found = self.backend.detect(batch)
        with torch.inference_mode():
            self.change(found)
        return found


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        Image.fromarray(make_photo(60, 90, number)).save(path)
    return paths


def run(photos, change, dtype="float32"):
    network = small_predictor()
    return verify(network, Predictor(Moved(network, change, dtype), network.config), photos)


def test_the_same_network_has_no_faults(photos):
    seen = []
    network = small_predictor()
    report = verify(network, network, photos, seen.append)
    assert report.faults == [] and report.photos == 2 and [(event.done, event.total) for event in seen] == [(1, 2), (2, 2)]
    assert report.objects == report.matched > 0
    assert report.largest_box_error == 0 and report.least_mask_iou == 1


def test_a_moved_box_is_named_with_photo_object_and_distance(photos):
    report = run(photos, lambda found: found.boxes.add_(0.01))
    assert f"{photos[0]}, alone" in report.faults[0] and "box off by" in report.faults[0]
    assert any("mirrored" in fault for fault in report.faults)
    assert not report.to_dict()["passed"]


def test_other_masks_and_missing_objects_are_faults(photos):
    assert any("mask IoU" in fault for fault in run(photos, lambda found: found.masks.sub_(0.2)).faults)

    def lose(found):
        found.valid[:, 0] = False

    assert any("the file misses" in fault for fault in run(photos, lose).faults)

    def rename(found):
        found.labels.add_(1).remainder_(5)

    faults = run(photos, rename).faults
    assert any("only the file finds" in fault for fault in faults)


def test_a_reduced_type_is_judged_by_the_mean_of_its_masks(photos):
    small = run(photos, lambda found: found.boxes.add_(0.002), "bfloat16")
    assert small.faults == [] and small.mean_mask_iou > 0.98
    large = run(photos, lambda found: found.masks.sub_(0.2), "int8")
    assert len(large.faults) == 1 and "int8 requires 0.95" in large.faults[0]
    assert np.isclose(large.mean_mask_iou, float(large.faults[0].split("by ")[1].split(" ")[0]), atol=1e-4)
