"""What stands in a picture's place is called what it is, with what to do."""

import pytest

from maskzoo.errors import ImageError
from maskzoo.images.other_kinds import describe_kind
from maskzoo.images.read import read_image


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC picture, as phones take them; save it as JPEG or PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git LFS pointer; run `git lfs pull`"),
        (b"<!DOCTYPE html><html>", "a web page; download the picture itself"),
        (b"<svg xmlns='x'/>", "SVG or other XML"),
        (b"%PDF-1.7 and more text", "a PDF"),
        (b"PK\x03\x04 and more text", "an archive; unpack it"),
    ],
)
def test_other_kinds_of_files_are_called_by_their_names(tmp_path, content, said):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg: not an image that maskzoo reads: it is") as error:
        read_image(tmp_path / "a.jpg")
    assert said in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"Hello, I am none", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x1cftypavif"]
)
def test_pictures_and_what_is_not_known_have_no_other_name(content):
    assert describe_kind(content) is None
