"""The picked photos on one page, each with its objects and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskzoo.drawing.picture_file import encode_picture
from maskzoo.html.page_frame import write_page
from maskzoo.images.read import read_image
from maskzoo.inference.prediction import draw_prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.picking.pick import PickedImage, PickedImages
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["write_pick_page"]

SIDE = 640  # pixels of a picture on the page
SCORE = 0.3  # objects from here on are drawn: doubtful ones too


def write_pick_page(
    path: str | Path, picked: PickedImages, predictor: Predictor, *, on_progress: OnProgress = say_nothing
) -> None:
    """Write the picked photos as an HTML page that stands alone.

    Args:
        path: The page.
        picked: What `pick_images` returned.
        predictor: Its predictor, which predicts them once more.
        on_progress: Is called for each image.

    Raises:
        ImageError: A photo cannot be read any more.
        MaskzooError: The page cannot be written.
    """
    rows = []
    for done, one in enumerate(picked.picked, 1):
        rows.append(_show(one, predictor))
        on_progress(ProgressEvent("Drawing", done, len(picked.picked)))
    write_page(Path(path), "picking/pick.html", title="Photos to label next", rows=rows, picked=picked, score=SCORE)


def _show(one: PickedImage, predictor: Predictor) -> dict[str, Any]:
    pixels = read_image(one.path)
    picture = draw_prediction(predictor.predict(pixels, score=SCORE), pixels)
    picture.thumbnail((SIDE, SIDE))
    return {"name": one.path.name, "path": str(one.path), "reason": one.explain(), "jpeg": encode_picture(picture)}
