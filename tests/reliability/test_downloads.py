"""Downloads from a server that cuts, stalls, lies and changes its mind: a file is kept only if it is one that was published."""

import collections
import hashlib
import os
import random
import signal

import pytest

from download_server import BODY, OTHER, break_off, give, give_rest, redirect, serve, stall
from maskzoo.errors import MaskzooError
from maskzoo.zoo.download import fetch, find_fetched

COUNT = int(os.environ.get("MASKZOO_DOWNLOADS", "500"))
SEED = 26
HASH, WRONG = hashlib.sha256(BODY).hexdigest(), "0" * 64
PUBLISHED = {BODY, OTHER}

resource = pytest.importorskip("resource", reason="a full disk is a limit of what a process may write")


def garble(body, draw):
    """Return as many bytes of which some are others."""
    changed = bytearray(body)
    for _ in range(draw.choice([1, 3, 1000])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def send(text, body=b"", hang=0.0):
    """Answer with exactly these bytes."""

    def answer(handler):
        handler.wfile.write(text.encode("latin1") + body)
        handler.wfile.flush()
        handler.server.over.wait(hang)
        handler.close_connection = True

    return answer


def draw_answer(draw, whole, stated):
    """Return a name and an answer of a server that does not give the file `whole` as it should.

    Numbers that are not what they were are noticed only where the publisher's hash is `stated`.
    """
    cut, tag = draw.randrange(1, len(whole)), draw.choice([{}, {"ETag": '"1"'}, {"ETag": '"2"'}, {"ETag": 'W/"1"'}])
    head, length = "HTTP/1.1 200 OK\r\nConnection: close\r\n", f"Content-Length: {len(whole)}\r\n"
    chunks = b"%x\r\n" % len(whole) + whole[:cut]
    answers = {
        "cut": break_off(cut, whole, **tag),
        "cut without a length": lambda handler: handler.reply(200, whole[:cut]),
        "stalled": stall(min(cut, 150_000), **tag),
        "cut in a chunk": send(head + "Transfer-Encoding: chunked\r\n\r\n", chunks),
        "garbage": give(draw.randbytes(draw.choice([1, 100, 100_000])), **tag),
        "zeros": give(bytes(len(whole)), **tag),
        "too long": give(whole + b"more", Content_Length=len(whole) + 4),
        "announced too short": give(whole, Content_Length=cut),
        "a page": give(b"<html>log in</html>", Content_Type=draw.choice(["text/html", "application/octet-stream"])),
        "an error": give(b"", draw.choice([400, 403, 404, 418, 429, 500, 503])),
        "a loop": redirect("/models/net.pdparams"),
        "a long way": redirect(f"/{draw.random()}"),
        "a range that nobody asked for": give(whole[cut:], 206, Content_Range=f"bytes {cut}-{len(whole) - 1}/{len(whole)}"),
        "another range": give(whole[cut:], 206, Content_Range=f"bytes 0-{len(whole) - cut}/{len(whole)}", **tag),
        "a range beyond": give(b"", 416, Content_Range=f"bytes */{cut}"),
        "said to be packed": give(whole[:cut], Content_Encoding=draw.choice(["gzip", "deflate", "br", "nonsense"])),
        "no answer": send("", hang=0.3),
        "half a head": send(head[: draw.randrange(1, len(head))]),
        "two lengths": send(head + length + f"Content-Length: {cut}\r\n\r\n", whole[:cut]),
        "length and chunks": send(head + length + "Transfer-Encoding: chunked\r\n\r\n", chunks),
        "no HTTP": send("", draw.randbytes(300)),
        "a head without an end": send(head + "X: a\r\n" * 500),
        "the end of the other": give(OTHER[:cut] + BODY[cut:], **tag),
    }
    if stated:
        answers["garbled"] = give(garble(whole, draw), **tag)
    name = draw.choice([*answers])
    return name, answers[name]


def in_child(work, limit=None):
    """Run `work` in a process of its own, whose files may have `limit` bytes; it ends with 0, 3 (an error of ours) or 1."""
    child = os.fork()
    if child == 0:
        try:
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            work()
            os._exit(0)
        except MaskzooError:
            os._exit(3)
        finally:
            os._exit(1)
    return child


def run_once(server, home, number):
    """Fetch through a few bad answers, by one or two processes, with room on the disk or without; return what was tried."""
    draw = random.Random(SEED * 1_000_003 + number)
    os.environ["MASKZOO_HOME"] = str(home / str(number))
    stated = draw.choice(["", HASH[:8], HASH, WRONG])
    named = [draw_answer(draw, BODY, stated) for _ in range(draw.choice([1, 1, 2, 3]))]
    server.answers = [answer for _, answer in named]
    if ends := draw.random() < 0.5:  # then it gives the file at last
        server.answers.append(draw.choice([give(ETag='"1"'), give_rest(ETag='"1"'), give_rest(), give_rest(OTHER, ETag='"2"')]))
    limit = draw.choice([None, None, None, draw.randrange(len(BODY))])
    processes = 2 if draw.random() < 0.2 else 1

    def work():
        path = fetch(server.url, stated, retries=3, timeout=0.1)
        assert path.read_bytes() in PUBLISHED

    children = [in_child(work, limit) for _ in range(processes)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    tried = [name for name, _ in named] + ["full disk"] * (limit is not None) + ["two processes"] * (processes == 2)
    assert {*codes} <= {0, 3}, (number, tried, codes)
    path = find_fetched(server.url)
    assert (path is not None) >= (0 in codes), (number, tried, codes)
    if path is not None:
        kept = path.read_bytes()
        assert kept in PUBLISHED and hashlib.sha256(kept).hexdigest().startswith(stated), (number, tried)
        assert 0 in codes and limit is None, (number, tried, codes)
    server.answers = [give()]
    if stated != WRONG and path is None:  # what was left of the tries stands in nobody's way
        assert fetch(server.url, stated, timeout=1.0).read_bytes() == BODY, (number, tried)
    return tried, "fetched" if path else "refused", ends


def try_downloads(folder, numbers):
    seen = collections.Counter()
    with serve() as server:
        for number in numbers:
            tried, outcome, ends = run_once(server, folder, number)
            seen.update([*tried, outcome])
            assert ends or outcome == "refused", (number, tried)
    return seen


@pytest.fixture(autouse=True)
def local(monkeypatch, tmp_path):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MASKZOO_OFFLINE", raising=False)


def test_no_wrong_file_is_kept(tmp_path):
    seen = try_downloads(tmp_path, range(4, 10))
    assert seen["refused"]


@pytest.mark.reliability
def test_hundreds_of_downloads(tmp_path):
    print(f"{COUNT} downloads: {try_downloads(tmp_path, range(COUNT))}")
