"""The files of drawn pictures, with a mark by which a later call knows that they may be overwritten."""

from __future__ import annotations

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["MARK", "encode_picture"]

MARK = b"drawn by maskzoo predict"  # stands in the comment of every picture: only such a file is ever overwritten


def encode_picture(picture: Image.Image, suffix: str = ".jpg") -> bytes:
    """Return the file of a drawn picture, PNG for the suffix `.png`, else JPEG."""
    stream = io.BytesIO()
    if suffix == ".png":
        comment = PngInfo()
        comment.add_text("Comment", MARK.decode("ascii"))
        picture.save(stream, "PNG", pnginfo=comment)
    else:
        picture.save(stream, "JPEG", quality=92, comment=MARK)
    return stream.getvalue()
