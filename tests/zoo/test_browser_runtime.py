"""onnxruntime for browsers comes from npm's package, whole or unpacked."""

import io
import tarfile

import pytest

from maskzoo.errors import DownloadError, ExportError
from maskzoo.progress import say_nothing
from maskzoo.system.files import hash_file
from maskzoo.zoo import browser_runtime
from maskzoo.zoo.browser_runtime import FILES, read_runtime

CONTENT = {theirs: theirs.encode() for theirs in FILES.values()}


def pack(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def wanted():
    return {ours: theirs.encode() for ours, theirs in FILES.items()}


def test_an_archive_and_a_folder_give_the_same_files(tmp_path):
    assert read_runtime(pack(tmp_path / "ort.tgz", CONTENT | {"more.js": b""}), say_nothing) == wanted()
    for place in ("package/dist", "dist", "."):
        folder = tmp_path / place.replace("/", "-")
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name, content in CONTENT.items():
            (folder / place / name).write_bytes(content)
        assert read_runtime(folder, say_nothing) == wanted()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_package_is_refused_with_the_name_of_one_that_is(tmp_path, content):
    path = tmp_path / "ort.tgz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"ort\.tgz: no package of npm .* expected"):
        read_runtime(path, say_nothing)


def test_a_file_that_is_missing_is_named(tmp_path):
    some = {name: content for name, content in CONTENT.items() if not name.endswith(".wasm")}
    with pytest.raises(ExportError, match=r"has no ort-wasm-simd-threaded\.wasm; expected onnxruntime-web"):
        read_runtime(pack(tmp_path / "ort.tgz", some), say_nothing)


def test_the_package_is_fetched_once_and_held_against_its_hash(tmp_path, serve, monkeypatch):
    (tmp_path / "site").mkdir()
    archive = pack(tmp_path / "site" / "ort.tgz", CONTENT)
    monkeypatch.setattr(browser_runtime, "PACKAGE", f"{serve(tmp_path / 'site')}/ort.tgz")
    monkeypatch.setattr(browser_runtime, "SHA256", hash_file(archive))
    events = []
    assert read_runtime(None, events.append) == wanted()
    assert {event.stage for event in events} == {"Fetching onnxruntime-web"}
    archive.unlink()
    assert read_runtime(None, say_nothing) == wanted()


def test_another_package_than_the_pinned_one_is_not_taken(tmp_path, serve, monkeypatch):
    (tmp_path / "site").mkdir()
    pack(tmp_path / "site" / "ort.tgz", CONTENT)
    monkeypatch.setattr(browser_runtime, "PACKAGE", f"{serve(tmp_path / 'site')}/ort.tgz")
    with pytest.raises(DownloadError, match="SHA-256 begins with"):
        read_runtime(None, say_nothing)


def test_offline_the_error_says_where_to_put_the_package():
    with pytest.raises(DownloadError, match=r"MASKZOO_OFFLINE forbids fetching it.*put it at .*onnxruntime-web"):
        read_runtime(None, say_nothing)
