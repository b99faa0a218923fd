"""Servers of small networks on this machine's own address, each with an event loop in a thread of its own."""

import asyncio
import io
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from PIL import Image

from maskzoo.serving.app import create_app
from maskzoo.serving.limits import Limits
from maskzoo.serving.server import DrainingServer
from maskzoo.serving.service import Service
from networks import make_photo, small_predictor


@dataclass
class Running:
    address: str
    port: int
    service: Service
    server: DrainingServer
    thread: threading.Thread

    def http(self, **options):
        return httpx.Client(base_url=self.address, trust_env=False, timeout=60, **options)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def running(models=None, *, tokens=(), hosts=(), label_studio=None, decoders=1, **limits):
    """Serve small networks, on a port that is free, until the block ends."""
    named = models or {"small": small_predictor()}
    options = {"tokens": tokens, "hosts": hosts, "label_studio": label_studio, "decoders": decoders}
    app, service = create_app(named, Limits(**limits), **options)
    started = threading.Event()
    server = DrainingServer(app, service, started.set)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        assert started.wait(60)
        port = listener.getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", port, service, server, thread)
    finally:
        server.handle_exit(15, None)
        thread.join(60)
        assert not thread.is_alive()


def encode(photo, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, kind)
    return stream.getvalue()


def some_photo(height=60, width=80, seed=0):
    return encode(make_photo(height, width, seed))


def post(http, content, path="/v1/predict", **query):
    return http.post(path, params=query, content=content, headers={"Content-Type": "image/png"})
