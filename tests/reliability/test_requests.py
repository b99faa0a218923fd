"""Requests of strangers, drawn at random and damaged: each has an answer that was planned, and none tells what is inside."""

import asyncio
import json
import logging
import os
import random
import re
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from descriptions import check_description
from maskzoo import LabelStudio
from maskzoo.serving import server as serving
from maskzoo.serving.metrics import LOG
from networks import make_photo
from servers import encode, running, some_photo

COUNT = int(os.environ.get("MASKZOO_REQUESTS", "20000"))
EXAMPLES = int(os.environ.get("MASKZOO_EXAMPLES", "200"))  # for each address
SEED = 26
PLANNED = {200, 400, 401, 404, 405, 408, 413, 415, 421, 422, 503}
SECRETS = [word.encode() for word in ("Traceback", ".py", "site-packages", sys.prefix, str(Path.cwd()), "/tmp", "/home/")]
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
ADDRESSES = (
    b"/v1/predict", b"/v1/predict", b"/v1/predict/batch", b"/v1/models", b"/live", b"/ready", b"/", b"/page/page.js",
    b"/metrics", b"/openapi.json", b"/setup", b"/predict", b"/webhook", b"/health", b"/x-anylabeling/v1/models",
    b"/x-anylabeling/v1/predict", b"/nothing", b"/v1/../page/%2e%2e/app.py", b"//live", b"/live/", b"/%00", b"/%ff%fe",
    b"http://evil.example/live", b"*", b"/v1/predict;x=1", b"/page/../../etc/passwd", b"/page/%2e%2e%2fpage.js",
)  # fmt: skip
METHODS = (
    b"GET", b"POST", b"POST", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"get",
    b"PROPFIND",
    b"X" * 2000,
)  # fmt: skip
PIECES = (
    b"model=small", b"model=%00", b"model=" + b"s" * 9000, b"score=0", b"score=nan", b"score=1e309", b"score=-0", b"score=0x1",
    b"classes=dog", b"classes=%FF", b"classes=", b"classes[]=dog", b"masks=rle", b"masks=png", b"masks=polygon", b"masks=map",
    b"masks=none", b"masks=RLE", b"answer=jpeg", b"answer=png", b"answer=json", b"%", b"=", b"&&&", b"a=" + b"b" * 3000,
    b"score=0.5;score=1", b"\xe2", b"__proto__=1", b"d=../../etc/passwd",
)  # fmt: skip
HEADERS = (
    b"X-Request-ID: mine-1", b"X-Request-ID: a b", b"X-Request-ID: " + b"x" * 5000, b"Authorization: Basic %%%",
    b"Token: \xff\xfe",
    b"Authorization: Bearer", b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Accept-Encoding: gzip, br",
    b"Expect: 100-continue", b"Expect: 200-ok", b"Connection: close", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket",
    b"Upgrade: h2c", b"Range: bytes=0-", b"If-None-Match: *", b"Origin: http://evil.example", b"X-Forwarded-For: 1.2.3.4",
    b"X-HTTP-Method-Override: DELETE", b"Cookie: " + b"a=b; " * 500, b"Accept: application/xml", b"Folded: a\r\n b", b"A:",
    b"Content-Type: image/png; charset=utf-7", b"Content-Type: application/json", b"Content-Type: \xff", b"Te: trailers",
)  # fmt: skip
HOSTS = (b"evil.example", b"", b"[::1", b"\xff", b"a:", b"a:99999", b"a@evil.example", b"a, a")
TYPES = (
    b"image/png",
    b"",
    b"application/octet-stream",
    b"application/json",
    b"text/plain",
    b"IMAGE/*",
    b"multipart/mixed; boundary=x",
)
JSON = (
    b"{}", b"[]", b"null", b"1e999", b"[" * 5000, b'{"a":' * 5000, b'{"tasks":[],"label_config":""}', b'{"schema":"<a"}',
    b'{"tasks":[{"data":{"image":"http://127.0.0.1:9/x.png"}}],"label_config":"<View><Image name=\'i\' value=\'$image\'/>'
    b"<RectangleLabels name='l' toName='i'><Label value='dog'/></RectangleLabels></View>\"}",
    b'{"tasks":[{"data":{"image":"/data/local-files/?d=../../etc/passwd"}}],"label_config":"<View><Image name=\'i\' '
    b"value='$image'/><BrushLabels name='l' toName='i'><Label value='dog'/></BrushLabels></View>\"}",
    b'{"schema":"<!DOCTYPE a [<!ENTITY b SYSTEM \'file:///etc/passwd\'>]><View>&b;</View>"}', b'{"action":"START"}',
    b"\xff\xfe{",
    b'{"model":"small","image":"data:image/png;base64,AAAA","params":{"conf_threshold":NaN}}',
    b'{"schema":"' + b"<View>" * 900 + b'"}',
    b'{"model":"small","image":"data:,","params":{"filter_classes":["\\ud800"]}}', b'{"model":"\\ud800","image":""}',
)  # fmt: skip
CHARSETS = (
    b"",
    b"; charset=utf-7",
    b"; charset=punycode",
    b"; charset=idna",
    b"; charset=rot13",
    b"; charset=\x01",
    b'; a="',
    b";;=",
)
DISPOSITIONS = (
    b'form-data; name="image"; filename="a.png"', b"form-data; name=image; filename=", b"form-data", b"",
    b"attachment; name*=x''image",
    b'form-data; name="image"; filename*=undefined-7\'\'%ff', b'form-data; name="' + b"n" * 6000 + b'"',
    b'form-data; name="image',
    b'form-data; name="im\\"age"; filename="../../etc/passwd"', b"form-data; name=\xff\xfe; filename=\x00", b";" * 500,
    b"form-data; name=image; filename=C:\\a.png", b'form-data; name="score"',
)  # fmt: skip


def split_chunks(draw, body):
    """Return a body in chunks."""
    parts = []
    while body:
        size = draw.choice((1, 7, 1000, 100_000))
        part, body = body[:size], body[size:]
        ending = draw.choice((b"", b"", b";a=b", b';a="' + b"x" * 200 + b'"'))
        parts.append(b"%x%b\r\n%b\r\n" % (len(part), ending, part))
        if len(parts) > 50:
            parts.append(b"%X\r\n%b\r\n" % (len(body), body) if body else b"")
            break
    return b"".join(parts) + b"0\r\n" + draw.choice((b"", b"Trailer: x\r\n")) + b"\r\n"


def make_form(draw, photos):
    """Return the type and the body of a form, more or less."""
    boundary = draw.choice((b"b", b"b" * 70, b"-" * 30, b"\xff", b"b" * 300, b'"a b"', b""))
    bare = boundary.strip(b'"')
    parts = []
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3, 80))):
        lines = [b"Content-Disposition: " + draw.choice(DISPOSITIONS)]
        lines += draw.choices(
            (b"Content-Type: image/png", b"X: " + b"y" * 9000, b"Content-Transfer-Encoding: base64", b"bad"), k=1
        )
        content = draw.choice((draw.choice(photos), b"", b"\r\n--" + bare[:-1], b"\r\n-" * 500, b"--" + bare + b"--"))
        parts.append(b"--" + bare + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + content + b"\r\n")
    end = draw.choice((b"--" + bare + b"--\r\n", b"--" + bare + b"--", b"", b"--" + bare))
    kind = draw.choice((b"multipart/form-data", b"multipart/form-data", b"Multipart/Form-Data", b"multipart/mixed"))
    return kind + draw.choice((b"; boundary=" + boundary, b"; boundary=" + boundary, b"")) + draw.choice(CHARSETS), b"".join(
        parts
    ) + end


def make_ambiguous(draw):
    """Return a request whose end two programs could see at different places; none may be read, nor what it hides."""
    chunks = b"0\r\n\r\n" + HIDDEN
    length = b"Content-Length: %d" % len(chunks)
    lines = draw.choice((
        [length, b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", length], [b"Content-Length: 5, %d" % len(chunks)], [b"Content-Length: +5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: -1"], [b"Content-Length: 5 5"], [b"Content-Length: " + b"9" * 30], [b"Content-Length:"],
        [b"Transfer-Encoding: chunked, identity"], [b"Transfer-Encoding: identity, chunked"], [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: gzip, chunked"], [b"Transfer-Encoding: \x0bchunked"], [b"Transfer_Encoding : chunked", b"X y: z"],
    ))  # fmt: skip
    method, address = draw.choice((b"POST", b"GET", b"PUT")), draw.choice(ADDRESSES[:6])
    return b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (method, address, b"\r\n".join(lines), chunks)


def make_bad_chunks(draw):
    """Return a request whose chunks are none; nothing after the wrong one may be read."""
    bad = draw.choice((
        b"-1\r\n", b"0x5\r\n", b"5\n", b"fffffffffffffffffffff\r\n", b" 5\r\n", b"5 5\r\n", b"\r\n", b"g\r\n",
        b"1\r\nab\r\n", b"3\r\nabc0\r\n",
        b"1;\n\r\nHTTP\n", b"_1\r\n", b"+1\r\n", b"1\r\na\n\r\n",
    ))  # fmt: skip
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + draw.choice((b"", b"2\r\nab\r\n")) + bad + b"0\r\n\r\n" + HIDDEN


def make_request(draw, photos):
    """Return a request that may be valid: some of its pieces are strange, or many."""
    strange = draw.choice((0.03, 0.1, 0.5))

    def pick(usual, others):
        return draw.choice(others) if draw.random() < strange else draw.choice(usual)

    kind, body = pick(TYPES[:3], TYPES), pick((draw.choice(photos),), (*JSON, b"", b"x" * draw.randrange(30_000)))
    if (chance := draw.random()) < 0.3:
        kind, body = make_form(draw, photos)
    elif chance < 0.5:
        kind, body = pick((b"application/json",), TYPES), draw.choice(JSON)
    elif chance < 0.6:
        kind, body = b"", b""
    method = pick((b"POST" if body else b"GET",), METHODS)
    target = pick(ADDRESSES[4:10] if not body else ADDRESSES[10:16] if b"json" in kind else ADDRESSES[:3], ADDRESSES)
    query = b"&".join(draw.choices(PIECES, k=pick((0, 0, 1), (0, 1, 2, 5))))
    lines = [b"Host: " + pick((b"a", b"localhost:8000"), HOSTS)] if draw.random() > strange / 10 else []
    lines += draw.choices(HEADERS, k=pick((0, 0, 1), (0, 1, 3, 30)))
    if kind:
        lines.append(b"Content-Type: " + kind)
    if draw.random() < 0.3:
        lines.append(b"Transfer-Encoding: chunked")
        body = split_chunks(draw, body)
    elif body:
        lines.append(b"Content-Length: %d" % len(body))
    draw.shuffle(lines)
    version = pick((b"1.1",), (b"1.0", b"2.0", b"1.2"))
    target += b"?" + query if query else b""
    return b"%b %b HTTP/%b\r\n%b\r\n\r\n%b" % (method, target, version, b"\r\n".join(lines), body)


def damage(draw, request):
    """Return a request with bytes lost, added or changed, most of them in its header."""
    damaged = bytearray(request)
    for _ in range(draw.choice((1, 1, 3, 20))):
        place = draw.randrange(min(len(damaged), 400 if draw.random() < 0.7 else len(damaged)))
        other = draw.choice((b"", b"\r\n", b"\x00", b"\xff", b"\n", b":", bytes([draw.randrange(256)])))
        damaged[place : place + draw.choice((0, 1, 1, 4))] = other
    return bytes(damaged)


def draw_request(draw, photos):
    """Return a request, and what is known of it: ambiguous, damaged or neither."""
    kind = draw.random()
    if kind < 0.1:
        return make_ambiguous(draw), "ambiguous"
    if kind < 0.15:
        return make_bad_chunks(draw), "damaged"
    request = make_request(draw, photos)
    return (damage(draw, request), "damaged") if kind < 0.4 else (request, "sound")


async def ask(port, request):
    """Send a request, and return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:  # refused while it was being sent
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def check(request, kind, received):
    """Judge what came back; return the statuses."""
    statuses, rest = [], received
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        assert found, (request, received)
        status = int(found[1])
        if status == 100:
            continue
        assert status in PLANNED, (request, received)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        without = request.startswith(b"HEAD ") and not rest.startswith(b"{")  # what is no HTTP is no HEAD either
        size = 0 if without else int(headers[b"content-length"])
        body, rest = rest[:size], rest[size:]
        assert headers[b"x-request-id"] and len(body) == size, (request, received)
        if status >= 400:
            assert headers[b"content-type"] == b"application/problem+json", (request, received)
            assert not [word for word in SECRETS if word in head + body], (request, received)
            if size:
                told = json.loads(body)
                assert told["status"] == status and told["id"].lower().encode() == headers[b"x-request-id"], received
        statuses.append(status)
    assert kind != "sound" or statuses or not received, (request, received)
    assert kind != "ambiguous" or statuses in ([400], []), (request, received)
    return statuses


class _Offences(logging.Handler):
    """What a log should not have: failures, and what was hidden in the body of a request."""

    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        fields = getattr(record, "fields", {})
        if record.levelno >= logging.ERROR or fields.get("path") == "/hidden":
            self.found.append((record.getMessage(), fields, record.exc_info))


def send_many(count, monkeypatch):
    """Send so many requests, sixty-four at a time; return how often each status was answered."""
    monkeypatch.setattr(serving, "HEADER_SECONDS", 0.5)
    draw, counts, offences = random.Random(SEED), Counter(), _Offences()
    photos = [some_photo(*size) for size in ((1, 1), (9, 300), (60, 80))]
    photos += [encode(make_photo(40, 50), kind) for kind in ("JPEG", "WEBP", "GIF")]
    photos += [photo[: draw.randrange(len(photo))] for photo in photos] + [os.urandom(500), b"http://127.0.0.1:9/a.png"]

    async def work(port):
        for _ in numbers:  # which all share
            request, kind = draw_request(draw, photos)
            statuses = check(request, kind, await ask(port, request))
            counts.update(statuses or ["none"])
            counts[kind] += 1

    numbers = iter(range(count))
    options = {"label_studio": LabelStudio(), "hosts": ["a", "localhost"], "patience_seconds": 1.0, "max_bytes": 200_000}
    loggers = [LOG, logging.getLogger("uvicorn"), logging.getLogger("asyncio")]
    with running(**options) as server:
        server.server.config.timeout_keep_alive = 0.2

        async def all_of_it():
            await asyncio.gather(*(work(server.port) for _ in range(64)))

        LOG.setLevel(logging.INFO)
        for logger in loggers:
            logger.addHandler(offences)
            logger.propagate = False
        try:
            asyncio.run(all_of_it())
        finally:
            LOG.setLevel(logging.NOTSET)
            for logger in loggers:
                logger.removeHandler(offences)
                logger.propagate = True
    assert server.service.slots.taken == server.service.slots.arriving == 0
    assert not offences.found, offences.found[:3]
    assert counts["none"] < 0.2 * count
    return counts


def test_strange_requests_have_planned_answers(monkeypatch):
    counts = send_many(300, monkeypatch)
    assert {200, 400, 404, 405, 415, 421, 422} <= set(counts)


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_many_strange_requests(monkeypatch):
    print(sorted(send_many(COUNT, monkeypatch).items(), key=str))


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_many_requests_that_the_description_allows_and_does_not():
    with running(label_studio=LabelStudio(), hosts=["127.0.0.1"]) as server:
        check_description(server.address, EXAMPLES)
