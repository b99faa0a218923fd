"""The project's own small rows do all that the published ones do, but for weights: they begin with random ones."""

import numpy as np
import pytest

import maskzoo
from maskzoo.zoo.rows import GROUPS, name_group, read_row
from small_runs import write_data

OWN = [name for name in maskzoo.names() if name_group(name) == GROUPS[-1]]
QUICK = ("input.short_side=64", "input.long_side=96", "training.short_sides=[64]", "training.long_side=96")

GREY = np.full((70, 90, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("small"), train=4, val=2)


@pytest.mark.parametrize("name", OWN)
def test_a_small_row_trains_goes_on_and_predicts(name, data, tmp_path):
    run = maskzoo.train(name, data, tmp_path, epochs=1, batch=2, workers=0, overrides=QUICK)
    assert run.iterations == 2 and run.dropped == 0 and run.best["mask"]["AP"] is not None
    longer = maskzoo.train(resume=tmp_path, epochs=2)
    assert longer.iterations == 4
    assert maskzoo.load(tmp_path).predict(GREY).size == (70, 90)
    assert maskzoo.evaluate(tmp_path, data).comparison is None  # nothing was published


@pytest.mark.slow
def test_a_small_row_is_exported_and_predicts_as_before(data, tmp_path):
    pytest.importorskip("onnxruntime")
    maskzoo.train(OWN[0], data, tmp_path, epochs=1, batch=2, workers=0, overrides=QUICK)
    exported = maskzoo.export(tmp_path, tmp_path / "tiny.onnx")
    found, before = (maskzoo.load(path).predict(GREY, score=0) for path in (exported.file, tmp_path))
    assert len(found) == len(before) > 0 and np.allclose(found.scores, before.scores, atol=1e-4)


@pytest.mark.parametrize("name", OWN)
def test_all_of_a_small_row_learns_and_no_weights_are_claimed(name):
    config = read_row(name)
    assert config.network.backbone.frozen == () and config.network.backbone.norm == "bn"
    assert not config.source.weights and not config.source.imagenet and config.source.published.mask_ap is None
    with pytest.raises(maskzoo.WeightsError, match="names no published weights"):
        maskzoo.load(name)
