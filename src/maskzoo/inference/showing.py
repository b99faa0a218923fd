"""Showing a picture to the person who asked for it."""

from __future__ import annotations

import sys
from importlib import import_module

from PIL import Image

from maskzoo.errors import MaskzooError

__all__ = ["show_picture", "shrink_for_notebook"]

NOTEBOOK_SIDE = 1024  # pixels: a photo of a camera would be megabytes in the notebook's file


def shrink_for_notebook(picture: Image.Image) -> Image.Image:
    """Return the picture with sides of at most 1,024 pixels."""
    small = picture.copy()
    small.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
    return small


def show_picture(picture: Image.Image) -> None:
    """Show it below a notebook's cell, elsewhere in this machine's program for pictures. Raises MaskzooError without one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        import_module("IPython.display").display(shrink_for_notebook(picture))
        return
    from PIL import ImageShow  # which imports IPython where it is installed

    if not ImageShow.show(picture):
        raise MaskzooError(
            "no program that shows pictures was found here; save it instead: prediction.draw().save('found.png')"
        )
