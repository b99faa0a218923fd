"""Names of pictures as machines, servers and tools write them."""

import unicodedata

import pytest

from maskzoo.datasets.picture_names import drop_upload, fold_name, is_address, plain_name, split_address


def test_addresses_of_every_machine_have_parts():
    assert split_address("C:\\a\\b.jpg") == ["a", "b.jpg"]
    assert split_address("file:///a/b%20c.jpg") == ["a", "b c.jpg"]
    assert split_address("s3://bucket/a/b.jpg") == ["a", "b.jpg"]
    assert split_address("a\0.jpg") == []
    assert split_address("http://[a/b.jpg")[-1] == "b.jpg"


@pytest.mark.parametrize(
    "name", ["C:\\a\\b.jpg", "/a//./b.jpg", "https://x.org/a/b.jpg?c=d/e#f", "/files/?d=a%2Fb.jpg", "C:/a/b.jpg"]
)
def test_the_parts_of_a_path_of_any_system(name):
    assert split_address(name) == ["a", "b.jpg"]


def test_letters_signs_and_prefixes_that_do_not_matter():
    assert fold_name(unicodedata.normalize("NFD", "Größe.JPG")) == fold_name("größe.jpg")
    assert plain_name("A b (1).jpg") == "a_b_1.jpg"
    assert (drop_upload("1a2b3c4d-a-b.jpg"), drop_upload("a-b.jpg")) == ("a-b.jpg", "a-b.jpg")
    assert is_address("s3://a/b.jpg") and is_address("/x/?d=b.jpg") and not is_address("C:\\b.jpg")
