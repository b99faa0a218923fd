import contextlib
import io
import os
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo.errors import ImageError, SourceError
from maskzoo.images import sources
from maskzoo.images.read import read_image
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
    path.write_text(f"b.png\n\n  sub/a b.jpg  \n{tmp_path}/c.png\n")
    assert read_list(path) == [tmp_path / "b.png", tmp_path / "sub" / "a b.jpg", tmp_path / "c.png"]


@pytest.mark.parametrize("line", ["../a.png", "/abs/c.png", "link/c.png"])
def test_a_list_names_files_of_other_folders_only_where_the_user_names_these(tmp_path, line):
    path = tmp_path / "lists" / "list.txt"
    path.parent.mkdir()
    (path.parent / "link").symlink_to(tmp_path)
    path.write_text(f"b.png\n{line}\n")
    with pytest.raises(SourceError, match=r"list\.txt: 1 of 2 pictures .* --images /"):
        read_list(path)
    above = Path("/abs") if line.startswith("/") else tmp_path
    assert find_sources([f"@{path}"], above) == [path.parent / "b.png", path.parent / line]


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


def write_headers(path, *changes, body=b""):
    """Write an archive whose first header has pieces put in by hand, with its sum made right."""
    info = tarfile.TarInfo("a.png")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for place, piece in changes:
        header[place : place + len(piece)] = piece
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + body + bytes(1024))


def base256(number):
    return (number % (1 << 96)).to_bytes(12, "big") if number < 0 else b"\x80" + number.to_bytes(11, "big")


SIZE, TYPE = 124, 156


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [2**62, 2**63 - 512, 2**63, 2**64, 2**80, -512, -1, -1024, -(2**62)])
@pytest.mark.parametrize("kind", [b"0", b"L", b"K", b"x", b"g", b"S", b"1", b"5"])
def test_sizes_that_no_file_has_are_refused(tmp_path, number, kind):
    write_headers(tmp_path / "a.tar", (SIZE, base256(number)), (TYPE, kind), body=bytes(2048))
    with pytest.raises(SourceError) as caught:
        read_tar(tmp_path / "a.tar")
    assert len(str(caught.value)) < 1000


@pytest.mark.timeout(60)
def test_a_name_of_gigabytes_is_refused_without_its_memory(tmp_path):
    for kind in (b"L", b"K", b"x", b"g"):
        write_headers(tmp_path / "a.tar", (SIZE, base256(60_000_000_000)), (TYPE, kind))
        with (tmp_path / "a.tar").open("r+b") as file:
            file.truncate(70_000_000_000)  # no room is taken
        with pytest.raises(SourceError, match="a header of 60,000,000"):
            read_tar(tmp_path / "a.tar")


@pytest.mark.timeout(120)
def test_any_damage_to_an_archive_is_an_error_of_ours_or_harmless(tmp_path):
    """Seeded: bytes of its headers changed, the sums made right."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.png", "b" * 150 + ".png", "\u00e4.png"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    whole, draw = buffer.getvalue(), random.Random(18)
    starts = [place for place in range(0, len(whole), 512) if whole[place + 257 : place + 262] == b"ustar"]
    for _ in range(1500):
        damaged, start = bytearray(whole), draw.choice(starts)
        for _ in range(draw.randrange(1, 4)):
            place = draw.choice([draw.randrange(512), SIZE + draw.randrange(12), TYPE])
            damaged[start + place] = draw.choice([0, 48, 55, 45, 128, 255, draw.randrange(256)])
        damaged[start + 148 : start + 156] = b" " * 8
        damaged[start + 148 : start + 156] = b"%06o\0 " % sum(damaged[start : start + 512])
        (tmp_path / "a.tar").write_bytes(damaged)
        with contextlib.suppress(SourceError):
            read_tar(tmp_path / "a.tar")


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_never_waited_for(tmp_path):
    for name in ("a.png", "a.tar", "list.txt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="a pipe"):
        read_image(tmp_path / "a.png")
    with pytest.raises(SourceError, match="no plain file"):
        find_sources([f"@{tmp_path / 'list.txt'}"])


@pytest.mark.parametrize("text", ["a\0.png", "ok.png\n\0\n"])
def test_a_null_character_in_a_list_is_named_by_its_line(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(SourceError, match=r"line \d holds a null"):
        find_sources([f"@{tmp_path / 'list.txt'}"])


def test_a_picture_in_an_archive_may_have_fewer_pixels_than_ones_own(tmp_path):
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("large.png")
        info.size = len(file.getvalue())
        archive.addfile(info, io.BytesIO(file.getvalue()))
    (member,) = read_tar(tmp_path / "a.tar")
    with pytest.raises(ImageError, match="expected at most 50,000,000"):
        member.read()
