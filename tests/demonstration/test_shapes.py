import numpy as np

from maskzoo.dataset_checks.check import check_dataset
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.demonstration.shapes import make_shapes


def test_the_made_up_set_passes_its_own_check_and_comes_out_the_same_again(tmp_path):
    for name in ("a", "b"):
        make_shapes(tmp_path / name, train=6, val=3)
    report = check_dataset(tmp_path / "a")
    assert not report.problems and {name: facts.images for name, facts in report.splits.items()} == {"train": 6, "val": 3}
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 11
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_outlines_are_of_what_can_be_seen(tmp_path):
    """No two masks of a picture overlap by more than the pixels that outlines cut."""
    make_shapes(tmp_path, train=12, val=1, seed=3)
    annotations = read_annotations(tmp_path / "train.json")
    pictures = np.bincount(annotations.image_index, weights=annotations.area, minlength=len(annotations))
    assert pictures.max() <= 96 * 96 and annotations.area.min() >= 12
