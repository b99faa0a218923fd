import sys

import numpy as np

from maskzoo.images.read import read_image
from maskzoo.images.sample import sample_photo
from maskzoo.images.sources import find_sources
from shared_data import ROOT


def test_the_photo_is_the_one_that_the_example_paints(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    from still_life import make_photo

    painted, found = np.asarray(make_photo()[0]), read_image(sample_photo())
    monkeypatch.delitem(sys.modules, "still_life")
    assert found.shape == painted.shape and np.abs(found.astype(int) - painted).mean() < 3  # JPEG's rounding


def test_the_word_sample_is_the_photo_unless_something_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_sources(["sample"]) == [sample_photo()]
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "mine.png").write_bytes(sample_photo().read_bytes())
    assert [path.as_posix() for path in find_sources(["sample"])] == ["sample/mine.png"]
