"""Servers of small networks on this machine's own address, each with an event loop in a thread of its own."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from PIL import Image

from maskzoo.serving.app import create_app
from maskzoo.serving.limits import Limits
from maskzoo.serving.server import DrainingServer
from maskzoo.serving.service import Service
from maskzoo.weights.checkpoint import write_checkpoint
from networks import make_photo, small_config, small_network, small_predictor


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


@dataclass
class Started:
    """A server in a process of its own, and what it has written."""

    process: subprocess.Popen
    lines: list = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("Listening on "):
                self.ready.set()
        self.ready.set()

    @property
    def address(self):
        return next(line for line in self.lines if line.startswith("Listening on ")).split()[2]

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    @property
    def log(self):
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def memory(self, name="VmRSS"):
        """Megabytes that the server and the processes that it started hold, or with VmHWM have held."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [self.process.pid, *(int(pid) for task in tasks for pid in task.read_text().split())]
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return sum(int(text.partition(f"{name}:")[2].split()[0]) for text in texts) / 1024

    def stop(self):
        """End the server as a person would, and return its exit status."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(100)


@contextmanager
def started(model, *options, program=("-m", "maskzoo", "serve")):
    """Run the command, with a model, until the block ends."""
    command = [sys.executable, *program, str(model), *options, "--port", "0"]
    one = Started(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
    thread = threading.Thread(target=one.read)
    thread.start()
    try:
        assert one.ready.wait(100) and one.process.poll() is None, one.lines
        yield one
    finally:
        one.stop()
        thread.join(10)
        one.process.stderr.close()


def write_small_model(folder, *overrides):
    """Write the model of `small_predictor`, and return its path."""
    config = small_config("mask_rcnn_r50_fpn_1x_coco", *overrides)
    path = folder / "small.safetensors"
    write_checkpoint(path, small_network(config).state_dict(), config, {})
    return path
