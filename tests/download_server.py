"""A server on this machine that gives weights, as its answers say: whole, cut, stalled, as something else."""

import contextlib
import hashlib
import http.server
import pickle
import re
import threading

import numpy as np


def pack(step, count):
    """The bytes of a weights file whose arrays count up or down."""
    arrays = {f"w{number}": np.arange(count, dtype=np.float32)[::step] + number for number in range(10)}
    return pickle.dumps(arrays, protocol=4)


BODY = pack(1, 7700)
OTHER = pack(-1, 8300)
SMALL = pack(1, 20)


def name_file(url):
    return f"net-{hashlib.sha256(url.encode()).hexdigest()[:8]}.pdparams"


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with the next of `answers`; the last one stays."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [give()]
        self.seen = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/models/net.pdparams"
        self.file = name_file(self.url)

    def handle_error(self, request, client_address):
        """Clients that hang up are part of these tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answers = self.server.answers
        self.server.seen.append((self.path, dict(self.headers)))
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, format, *args):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def give(body=BODY, status=200, **headers):
    return lambda handler: handler.reply(status, body, **{"Content_Length": len(body), **headers})


def break_off(count, body=BODY, **headers):
    return give(body[:count], Content_Length=len(body), **headers)


def stall(count, **headers):
    def answer(handler):
        break_off(count, **headers)(handler)
        handler.server.over.wait(5)

    return answer


def give_rest(body=BODY, strict=True, **headers):
    """Serve ranges; `strict` heeds If-Range, as a server should."""

    def answer(handler):
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        current = headers.get("ETag") or headers.get("Last_Modified")
        if not asked or (strict and handler.headers.get("If-Range", current) != current):
            return give(body, **headers)(handler)
        start = int(asked[1])
        if start >= len(body):
            return give(b"", 416, Content_Range=f"bytes */{len(body)}")(handler)
        return give(body[start:], 206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}", **headers)(handler)

    return answer


def redirect(target, status=302):
    return give(b"", status, Location=target)


@contextlib.contextmanager
def serve():
    """Yield a server that runs."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
