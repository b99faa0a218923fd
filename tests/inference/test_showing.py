"""A picture reaches the person who asked for it, or an error does."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image, ImageShow

from maskzoo.errors import MaskzooError
from networks import make_photo, small_predictor


@pytest.fixture
def prediction():
    return small_predictor().predict(make_photo(60, 90), score=0)


def test_outside_notebooks_the_machines_own_program_shows_it(prediction, monkeypatch):
    shown = []
    monkeypatch.setattr(ImageShow, "show", lambda picture: shown.append(picture) or True)
    prediction.show(boxes=False)
    assert shown[0].tobytes() == prediction.draw(boxes=False).tobytes()


def test_where_no_program_shows_pictures_the_error_says_how_to_save_it(prediction, monkeypatch):
    monkeypatch.setattr(ImageShow, "_viewers", [])
    with pytest.raises(MaskzooError, match=r"draw\(\)\.save"):
        prediction.show()


@pytest.mark.parametrize("kernel", [True, False])
def test_in_a_notebook_it_stands_below_the_cell_and_not_in_a_terminal_of_ipython(monkeypatch, kernel):
    below, elsewhere = [], []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=1) if kernel else SimpleNamespace()
    display.display = below.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(ImageShow, "show", lambda picture: elsewhere.append(picture) or True)
    small_predictor().predict(Image.new("RGB", (2048, 100)), score=0).show()
    assert [picture.size for picture in below] == ([(1024, 50)] if kernel else [])
    assert len(elsewhere) == (not kernel)
