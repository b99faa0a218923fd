import io
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from maskzoo.errors import ImageError, SourceError
from maskzoo.images import sources
from maskzoo.images.sources import find_sources, read_list, read_tar


def make_png(seed=0):
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 6, 3), seed, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path, members, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("source", ["http://host/a.jpg", "@https://host/list.txt", "s3://b/photos.tar", "rtsp://c/*"])
def test_an_address_is_no_source_and_is_called_one(source):
    with pytest.raises(SourceError, match=rf"^{re.escape(source.removeprefix('@'))}: is an address .*expected a file"):
        find_sources([source])


def test_a_list_names_files_relative_to_its_folder_and_empty_lines_are_passed_over(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("b.png\n\n  sub/a b.jpg  \n/abs/c.png\n")
    assert [str(found) for found in read_list(path)] == [
        str(tmp_path / "b.png"), str(tmp_path / "sub" / "a b.jpg"), "/abs/c.png",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\xfa"])
def test_a_list_without_a_path_or_that_is_no_text_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.txt"):
        read_list(path)
    with pytest.raises(SourceError, match=r"none\.txt"):
        read_list(tmp_path / "none.txt")


def test_pictures_of_an_archive_come_in_its_order_and_labels_are_left(tmp_path):
    members = [("b.png", make_png(1)), ("b.json", b"{}"), ("deep/a.png", make_png(2)), ("./._b.png", b"x"), (".c/d.png", b"")]
    found = read_tar(write_tar(tmp_path / "shard.tar", members))
    assert [(member.name, member.read()) for member in found] == [members[0], members[2]]
    assert str(found[1]) == f"{tmp_path / 'shard.tar'}/deep/a.png"


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a\\b.png", "a/../../b.png", "a\nb.png"])
def test_an_unsafe_name_in_an_archive_is_refused(tmp_path, name):
    with pytest.raises(SourceError, match="unsafe name"):
        read_tar(write_tar(tmp_path / "bad.tar", [("ok.png", make_png()), (name, make_png())]))


def test_a_link_in_an_archive_is_refused(tmp_path):
    with pytest.raises(SourceError, match="a link"):
        read_tar(write_tar(tmp_path / "bad.tar", [("a.png", b"")], tarfile.SYMTYPE))


def test_an_archive_that_is_damaged_compressed_or_without_images_is_refused(tmp_path):
    no_tar = tmp_path / "no.tar"
    no_tar.write_bytes(b"no archive" * 100)
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    for path in (no_tar, packed, write_tar(tmp_path / "empty.tar", [("a.txt", b"x")])):
        with pytest.raises(SourceError, match=path.name):
            read_tar(path)


def test_a_member_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    (member,) = read_tar(write_tar(tmp_path / "a.tar", [("a.png", make_png())]))
    monkeypatch.setattr(sources, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(ImageError, match=r"a\.png: [0-9]+ bytes; expected at most 10"):
        member.read()


def test_an_archive_cut_off_meanwhile_is_named(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a.png", make_png())])
    (member,) = read_tar(path)
    path.write_bytes(path.read_bytes()[:550])
    with pytest.raises(ImageError, match="the archive ends after"):
        member.read()


def test_lists_archives_and_files_mix_in_the_order_they_are_named(tmp_path):
    (tmp_path / "x.png").write_bytes(make_png())
    (tmp_path / "y.png").write_bytes(make_png())
    (tmp_path / "list.txt").write_text("y.png\n")
    archive = write_tar(tmp_path / "a.tar", [("m.png", make_png())])
    named = [str(tmp_path / "x.png"), f"@{tmp_path / 'list.txt'}", str(archive), str(tmp_path / "y.png")]
    found = [str(source).removeprefix(str(tmp_path)) for source in find_sources(named)]
    assert found == ["/x.png", "/y.png", "/a.tar/m.png"]
