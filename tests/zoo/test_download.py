import hashlib
import io
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from download_server import BODY, OTHER, SMALL, break_off, give, give_rest, name_file, redirect, serve, stall
from maskzoo.errors import DownloadError, WeightsError
from maskzoo.system.files import home
from maskzoo.zoo import transfer
from maskzoo.zoo.download import fetch, find_fetched
from maskzoo.zoo.rows import read_row
from networks import MORE_OF_PADDLE, PADDLE

QUICK = {"timeout": 0.3}


@pytest.fixture
def server():
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MASKZOO_OFFLINE", raising=False)
    return tmp_path / "home" / "weights"


def fail(url, kind=DownloadError, **options):
    with pytest.raises(kind) as caught:
        fetch(url, **{**QUICK, **options})
    assert type(caught.value) is kind
    return str(caught.value)


def names(folder):
    """The files, without the mark of their address."""
    return {re.sub("^net-[0-9a-f]{8}", "net", path.name) for path in folder.iterdir()} - {"net.pdparams.lock"}


WHOLE = {"net.pdparams", "net.pdparams.sha256"}


# The first download


def test_a_first_fetch_stores_the_file_and_its_checksum_and_nothing_else(server, folder):
    assert find_fetched(server.url) is None
    path = fetch(server.url)
    assert path == folder / server.file == find_fetched(server.url)
    assert path.read_bytes() == BODY
    assert names(folder) == WHOLE
    assert Path(f"{path}.sha256").read_text() == f"{hashlib.sha256(BODY).hexdigest()}  {server.file}\n"


def test_progress_ends_with_all_bytes_of_all(server):
    steps = []
    fetch(server.url, on_progress=lambda event: steps.append((event.done, event.total)))
    assert steps[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in steps] == sorted({done for done, _ in steps}) and len(steps) > 2


def test_a_file_without_stated_length_is_taken(server):
    server.answers = [lambda handler: handler.reply(200, BODY)]
    steps = []
    assert fetch(server.url, on_progress=lambda event: steps.append((event.done, event.total))).read_bytes() == BODY
    assert steps[-1] == (len(BODY), None)


@pytest.mark.parametrize("broken", [break_off, stall])
@pytest.mark.parametrize("version", [{"ETag": '"1"'}, {"Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, {}])
def test_a_download_that_breaks_off_or_stalls_is_resumed_with_only_the_rest(server, folder, broken, version):
    server.answers = [broken(150_000, **version), give_rest(**version)]
    assert fetch(server.url, **QUICK).read_bytes() == BODY
    (_, first), (_, second) = server.seen
    assert "Range" not in first
    start = int(re.fullmatch(r"bytes=(\d+)-", second["Range"])[1])
    assert 0 < start <= 150_000
    assert second.get("If-Range") == next(iter(version.values()), None)
    assert names(folder) == WHOLE


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, folder):
    server.answers = [break_off(150_000, ETag='"1"'), give(b"", 500)]
    fail(server.url, retries=1)
    assert "net.pdparams.part" in names(folder) and find_fetched(server.url) is None
    server.answers = [give_rest(ETag='"1"')]
    assert fetch(server.url).read_bytes() == BODY
    assert server.seen[-1][1]["Range"].startswith("bytes=1")


def test_a_part_without_its_note_is_not_trusted(server, folder):
    folder.mkdir(parents=True)
    (folder / f"{server.file}.part").write_bytes(b"left by somebody")
    server.answers = [give_rest(ETag='"1"')]
    assert fetch(server.url).read_bytes() == BODY
    assert "Range" not in server.seen[0][1]


def test_a_server_that_ignores_ranges_sends_everything_again(server):
    server.answers = [break_off(150_000, ETag='"1"'), give(ETag='"1"')]
    assert fetch(server.url, **QUICK).read_bytes() == BODY
    assert "Range" in server.seen[1][1]


@pytest.mark.parametrize("strict", [True, False], ids=["a server that heeds If-Range", "one that does not"])
@pytest.mark.parametrize("version", [{"ETag": '"1"'}, {}], ids=["ETag", "size only"])
def test_a_file_that_changes_between_tries_is_never_mixed(server, strict, version):
    later = {"ETag": '"2"'} if version else {}
    server.answers = [break_off(150_000, **version), give_rest(OTHER, strict, **later)]
    assert fetch(server.url, **QUICK).read_bytes() == OTHER


def test_a_file_that_has_shrunk_below_the_part_starts_again(server):
    server.answers = [break_off(150_000), give_rest(SMALL)]
    assert fetch(server.url, **QUICK).read_bytes() == SMALL
    assert [("Range" in headers) for _, headers in server.seen] == [False, True, False]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(server, status):
    server.answers = [give(b"", status), give(b"", status), give()]
    assert fetch(server.url, **QUICK).read_bytes() == BODY
    assert len(server.seen) == 3


@pytest.mark.parametrize("answer", [give(b"", 502), break_off(1000), give(b"")], ids=["502", "cut short", "empty"])
def test_tries_are_bounded(server, answer):
    server.answers = [answer]
    assert "3 tries" in fail(server.url, retries=2, timeout=0.1)
    assert len(server.seen) == 3
    assert find_fetched(server.url) is None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_fails_at_once(server, status):
    server.answers = [give(b"gone", status)]
    assert f"answered {status}" in fail(server.url)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        give(Content_Type="text/html; charset=utf-8"),
        give(b"<!DOCTYPE html><html>log in</html>"),
        give(b"\n <HTML><body>log in"),
        give(b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'),
        give(b'{"error": "no such file"}', Content_Type="application/octet-stream"),
        give(b"please try later", Content_Type="text/plain"),
    ],
)
def test_a_page_is_not_taken_for_weights(server, folder, answer):
    server.answers = [answer]
    assert "not a weights file" in fail(server.url)
    assert len(server.seen) == 1
    server.answers = [give(Content_Type="text/plain")]  # what some servers say of any unknown file
    assert fetch(server.url).read_bytes() == BODY


def test_a_file_that_is_too_large_is_refused_before_it_is_fetched(server, folder):
    server.answers = [give(b"\x80", Content_Length=1 << 40)]
    assert "expected at most" in fail(server.url)
    assert (folder / f"{server.file}.part").stat().st_size == 0


# Files that are not whole, and answers that are not meant well


@pytest.mark.parametrize("count", [1, 2, 3, 100, 150_000, len(BODY) - 1])
def test_a_file_of_unknown_length_that_breaks_off_is_never_kept(server, folder, count):
    cut = lambda handler: handler.reply(200, BODY[:count])  # noqa: E731
    server.answers = [cut, cut, lambda handler: handler.reply(200, BODY)]
    assert fetch(server.url, **QUICK).read_bytes() == BODY
    assert names(folder) == WHOLE and len(server.seen) == 3
    (folder / server.file).unlink()
    server.answers = [cut]
    assert "2 tries" in fail(server.url, retries=1)
    assert find_fetched(server.url) is None


def test_any_cut_of_any_length_is_noticed(server, folder):
    draw = random.Random(18)
    for _ in range(40):
        body = BODY[: draw.randrange(1, len(BODY))]
        server.answers = [lambda handler, body=body: handler.reply(200, body)]
        fail(server.url, retries=0)
        assert find_fetched(server.url) is None


@pytest.mark.parametrize("body", [b"\x80\x04garbage", bytes(5000), BODY[:-1], BODY[:5] + b"\xff" + BODY[6:]], ids=len)
def test_a_whole_answer_that_is_no_weights_file_is_refused_at_once(server, folder, body):
    server.answers = [give(body)]
    assert "no whole weights file" in fail(server.url)
    assert len(server.seen) == 1 and find_fetched(server.url) is None
    server.answers = [give()]
    assert fetch(server.url).read_bytes() == BODY


@pytest.mark.parametrize("remembered", [True, False])
def test_a_bad_file_that_was_kept_once_is_put_aside_and_fetched_anew(server, folder, monkeypatch, remembered):
    """Whether its checksum was remembered, as older versions did, or it was put there by hand."""
    folder.mkdir(parents=True)
    path, bad = folder / server.file, BODY[:99_000]
    path.write_bytes(bad)
    if remembered:
        Path(f"{path}.sha256").write_text(f"{hashlib.sha256(bad).hexdigest()}  {server.file}\n")
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")
    assert "MASKZOO_OFFLINE" in fail(server.url) and path.read_bytes() == bad
    monkeypatch.setenv("MASKZOO_OFFLINE", "0")
    server.answers = [give(b"", 404)]
    fail(server.url)
    assert path.read_bytes() == bad
    server.answers, notes = [give()], []
    assert fetch(server.url, on_progress=lambda event: notes.append(event.note)).read_bytes() == BODY
    assert Path(f"{path}.bad").read_bytes() == bad and any("put aside as" in note for note in notes)
    assert fetch(server.url).read_bytes() == BODY and names(folder) == {*WHOLE, "net.pdparams.bad"}


@pytest.mark.parametrize(
    "target",
    ["http://[::1", "http://[x]/a", "http://a..b/", "http://" + "a" * 70 + ".b/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/",
     "http:///", "//", "http://%zz/", "http://\xff\xfe/", "http://a b/", "https://" + "a" * 5000, "http://.:1/", "\x00", "http://\u200b/"],
    ids=ascii,
)  # fmt: skip
def test_a_redirect_to_no_address_is_an_error_of_ours(server, target):
    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target.encode() + b"\r\n\r\n")

    server.answers = [answer]
    fail(server.url, retries=0)


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 19, "-1", "1e3", "0x10", "five", ""], ids=lambda text: text[:5])
@pytest.mark.parametrize("header", ["Content-Length", "Content-Range"])
def test_a_length_that_is_none_is_an_error_of_ours_or_no_length(server, length, header):
    def answer(handler):
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{header}: {length}\r\n\r\n".encode() + BODY)
        handler.close_connection = True

    server.answers = [answer]
    try:
        assert fetch(server.url, retries=0, timeout=0.5).read_bytes() == BODY
    except DownloadError:
        assert find_fetched(server.url) is None


@pytest.mark.parametrize("mark", [b"1", b";", b"\r\n", b"zz\r\n", b"1\r\na\r\n"], ids=ascii)
def test_chunks_that_come_letter_by_letter_have_an_end(server, mark):
    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(100):
            handler.wfile.write(mark[number % len(mark) :][:1])
            if handler.server.over.wait(0.05):
                return

    server.answers = [answer]
    began = time.monotonic()
    fail(server.url, retries=1, timeout=0.3)
    assert time.monotonic() - began < 4


def test_a_file_that_comes_just_fast_enough_has_a_deadline(server, monkeypatch):
    monkeypatch.setattr(transfer, "LONGEST", 3)

    def answer(handler):
        handler.reply(200, Content_Length=10**7)
        drip(handler, bytes(2000))

    server.answers = [answer]
    began = time.monotonic()
    assert "deadline" in fail(server.url, timeout=0.3)
    assert 0.8 < time.monotonic() - began < 4


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_the_name_stays(server, folder, status):
    server.answers = [redirect("/elsewhere/file?id=7", status), give()]
    assert fetch(server.url) == folder / server.file
    assert [path for path, _ in server.seen] == ["/models/net.pdparams", "/elsewhere/file?id=7"]


def test_a_resumed_download_follows_redirects_too(server):
    server.answers = [redirect("/b"), break_off(150_000, ETag='"1"'), redirect("/b"), give_rest(ETag='"1"')]
    assert fetch(server.url, **QUICK).read_bytes() == BODY
    assert "Range" in server.seen[3][1]


def test_a_loop_of_redirects_ends(server):
    server.answers = [redirect("/again")]
    assert "redirects" in fail(server.url)
    assert len(server.seen) == transfer.MAX_REDIRECTS + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/net.pdparams"])
def test_a_redirect_leads_to_no_other_protocol(server, target):
    server.answers = [redirect(target)]
    assert target in fail(server.url)
    assert len(server.seen) == 1


def test_https_is_never_left_for_http(server):
    class Downgrade(requests.adapters.BaseAdapter):
        """A transport that stands for a server with a certificate."""

        def send(self, request, **_):
            response = requests.Response()
            response.status_code, response.headers["Location"], response.url = 302, server.url, request.url
            response.raw = io.BytesIO()
            return response

        def close(self):
            pass

    with transfer._Session() as session:
        session.mount("https://", Downgrade())
        with pytest.raises(DownloadError, match="expected an https address"):
            transfer._open(session, "https://127.0.0.1/net.pdparams", {}, 1.0)
    assert server.seen == []


def drip(handler, piece, limit=400):
    """Send a piece again and again, never as late as a reader's limit, until it hangs up."""
    sent = 0
    try:
        while sent < limit * len(piece) and not handler.server.over.wait(0.02):
            handler.wfile.write(piece)
            handler.wfile.flush()
            sent += len(piece)
    finally:
        handler.server.sent = sent


def endless(status, **headers):
    """An answer whose body does not end: a megabyte at a time."""

    def answer(handler):
        handler.reply(status, **headers)
        drip(handler, bytes(1 << 20))

    return answer


@pytest.mark.parametrize("status", [302, 404, 500])
def test_the_body_of_a_redirect_or_an_error_is_not_read(server, status):
    server.answers = [endless(status, Location="/elsewhere" if status == 302 else ""), give()]
    began = time.monotonic()
    if status == 404:
        assert "answered 404" in fail(server.url)
    else:
        assert fetch(server.url, timeout=2.0).read_bytes() == BODY
    assert time.monotonic() - began < 4


def test_an_answer_or_a_file_that_comes_byte_by_byte_has_an_end(server):
    def crawl(handler):
        handler.reply(200, Content_Length=1000)
        drip(handler, b"\x80")

    def never_begin(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        drip(handler, b"a")

    for answer, says in ((crawl, "expected 1000 in each"), (never_begin, "did not answer within")):
        server.answers = [answer]
        began = time.monotonic()
        assert says in fail(server.url, retries=1, timeout=0.2)
        assert time.monotonic() - began < 4


# Files that are here


def test_two_addresses_with_the_same_last_name_have_a_file_each(server, folder):
    other = server.url.replace("/models/", "/models/mine/")
    server.answers = [give(BODY), give(OTHER)]
    assert fetch(server.url).read_bytes() == BODY and find_fetched(other) is None
    assert fetch(other).read_bytes() == OTHER and fetch(server.url).read_bytes() == BODY
    assert {fetch(server.url).name, fetch(other).name} == {name_file(server.url), name_file(other)}
    assert fetch(f"{server.url}?v=2") != fetch(server.url)


def test_published_files_have_their_plain_names_and_no_two_the_same(folder):
    """So that one which was put there by hand is found; a file of that name from elsewhere is not taken for it."""
    sources = [read_row(row).source for row in (*PADDLE, *MORE_OF_PADDLE)]
    urls = {source.weights for source in sources} | {source.imagenet for source in sources}
    plain = {url.rpartition("/")[2] for url in urls}
    assert len(plain) == len(urls)
    folder.mkdir(parents=True)
    for name in plain:
        (folder / name).write_bytes(OTHER)
    assert {find_fetched(url) for url in urls} == {folder / name for name in plain}
    for url in urls:
        assert fetch(url).read_bytes() == OTHER
        assert find_fetched(url.replace("paddledet", "mirror")) is None
        assert find_fetched(url.replace("/models/", "/models/elsewhere/")) is None


@pytest.mark.parametrize("digits", [8, 64])
def test_a_file_whose_publisher_states_its_hash_is_compared_with_that(server, folder, digits):
    stated = hashlib.sha256(BODY).hexdigest()[:digits]
    assert fetch(server.url, stated).read_bytes() == BODY
    assert fetch(server.url, stated) == folder / server.file


def test_another_file_than_the_publishers_is_deleted_and_fetched_again_the_next_time(server, folder):
    stated = hashlib.sha256(BODY).hexdigest()[:8]
    server.answers = [give(OTHER), give(BODY)]
    message = fail(server.url, sha256=stated)
    assert f"expected {stated}, which its publisher states" in message
    assert not any(name.endswith((".pdparams", ".part", ".note")) for name in names(folder))
    assert fetch(server.url, stated).read_bytes() == BODY


def test_another_file_put_there_by_hand_is_not_taken_for_the_publishers(server, folder):
    folder.mkdir(parents=True)
    (folder / server.file).write_bytes(OTHER)
    assert "or give the weights that you mean with --weights" in fail(server.url, WeightsError, sha256="0ebd1859")
    assert (folder / server.file).read_bytes() == OTHER  # the user's own file stays


def test_a_later_fetch_connects_to_nobody(server):
    path = fetch(server.url)
    assert fetch(server.url) == path
    assert len(server.seen) == 1


def test_a_file_that_has_changed_is_refused_with_both_sums(server):
    path = fetch(server.url)
    path.write_bytes(OTHER)
    message = fail(server.url, WeightsError)
    assert message.startswith(str(path)) and "Delete it" in message
    assert hashlib.sha256(BODY).hexdigest() in message and hashlib.sha256(OTHER).hexdigest() in message
    path.unlink()
    assert fetch(server.url).read_bytes() == BODY


@pytest.mark.parametrize("content", ["", "nonsense\n", b"\xff\xfe".decode("latin1")])
def test_a_damaged_checksum_file_does_not_pass(server, content):
    path = fetch(server.url)
    Path(f"{path}.sha256").write_text(content, encoding="latin1")
    assert f"{server.file}.sha256" in fail(server.url, WeightsError)


def test_a_file_put_there_by_hand_is_taken_and_watched_from_then_on(server, folder):
    folder.mkdir(parents=True)
    (folder / server.file).write_bytes(OTHER)
    assert find_fetched(server.url) == fetch(server.url) == folder / server.file
    assert server.seen == []
    (folder / server.file).write_bytes(BODY)
    fail(server.url, WeightsError)


def test_a_checksum_of_a_file_that_was_deleted_does_not_stop_a_new_download(server, folder):
    fetch(server.url).unlink()
    server.answers = [give(OTHER)]
    assert fetch(server.url).read_bytes() == fetch(server.url).read_bytes() == OTHER


# Without a network, without a disk


def test_without_a_connection_the_error_says_what_to_put_where(server, folder):
    server.server_close()
    message = fail(server.url, retries=1, timeout=0.1)
    for part in (server.url, str(folder / server.file), "MASKZOO_HOME"):
        assert part in message


def test_offline_means_that_nobody_is_asked(server, folder, monkeypatch):
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")
    message = fail(server.url)
    assert server.seen == []
    assert "MASKZOO_OFFLINE" in message and str(folder / server.file) in message
    monkeypatch.setenv("MASKZOO_OFFLINE", "0")
    path = fetch(server.url)
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")
    assert fetch(server.url) == path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_called_by_its_name(server, folder):
    folder.mkdir(parents=True)
    (folder / f"{server.file}.part").symlink_to("/dev/full")
    assert "the disk is full" in fail(server.url)
    assert find_fetched(server.url) is None


@pytest.mark.parametrize("target", ["missing", "", None], ids=["nowhere", "a circle", "a folder"])
def test_what_is_no_file_is_refused_before_the_download(server, folder, target):
    folder.mkdir(parents=True)
    (folder / server.file).mkdir() if target is None else (folder / server.file).symlink_to(target or server.file)
    assert "not a file, but a folder or a broken link" in fail(server.url)
    assert server.seen == []


def test_a_home_of_too_long_a_name_is_reported(server, folder, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(folder / ("n" * 256)))
    assert "file name too long" in fail(server.url) and server.seen == []


def test_a_home_that_is_a_file_is_reported_with_its_path(server, folder):
    folder.parent.write_bytes(b"")
    assert str(folder) in fail(server.url)


def test_home_follows_the_environment(monkeypatch, tmp_path):
    assert home() == tmp_path / "home"
    monkeypatch.delenv("MASKZOO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert home() == tmp_path / "cache" / "maskzoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "maskzoo"


@pytest.mark.parametrize(
    "url",
    ["", "net.pdparams", "file:///etc/passwd", "http://", "http://[a/b", "https://host/", "https://host/..",
     "https://host/a/%2e%2e%2fb", "https://host/.hidden", "https://host/a.pdparams.part", "https://host/a%00b"],
)  # fmt: skip
def test_an_address_that_names_no_plain_file_is_refused(url):
    fail(url)
    with pytest.raises(DownloadError):
        find_fetched(url)


def test_two_processes_at_once_fetch_one_file_once(server, folder):
    def slow(handler):
        break_off(150_000)(handler)
        handler.server.over.wait(1.0)
        handler.wfile.write(BODY[150_000:])

    server.answers = [slow]
    program = f"from maskzoo.zoo.download import fetch; print(fetch({server.url!r}))"
    runs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(2)
    ]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == [str(folder / server.file)] * 2
    assert (folder / server.file).read_bytes() == BODY
    assert len(server.seen) == 1
    assert names(folder) == WHOLE
