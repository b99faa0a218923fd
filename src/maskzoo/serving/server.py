"""The process of `maskzoo serve`: it listens, and when it is told to stop it answers what it has accepted."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from maskzoo.errors import ArgumentError, MaskzooError, RequestError
from maskzoo.inference.predictor import Predictor
from maskzoo.serving.app import create_app
from maskzoo.serving.gate import PROBLEM, describe_problem, hash_tokens
from maskzoo.serving.labelling.pictures import LabelStudio
from maskzoo.serving.limits import Limits
from maskzoo.serving.metrics import log_as_json, write_log
from maskzoo.serving.service import Service
from maskzoo.system.files import explained

__all__ = ["check_start", "serve"]

HEADER_SECONDS = 10.0  # for a request's header to arrive
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
READER_SECONDS = 60.0  # in which a reader takes an answer, or as much of it:
READER_BYTES = 500_000
LAST_SECONDS = 0.5  # after the signal to stop, for requests that are on their way


def serve(
    models: Predictor | Mapping[str, Predictor],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | Path | None = None,
    open_to_all: bool = False,
    allowed_hosts: Sequence[str] = (),
    label_studio: LabelStudio | None = None,
    workers: int = 2,
    max_batch: int = 8,
    max_wait_ms: float = 5.0,
    max_queue: int = 64,
    max_pixels: int = 50_000_000,
    max_bytes: int = 32_000_000,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Answer requests for predictions over HTTP until SIGTERM or Ctrl-C; then what was accepted is still answered.

    Args:
        models: One predictor, or several by name, the first being the default.
        host: The address to listen on; anything but this machine's own needs `token_file` or `open_to_all`.
        port: 0 lets the system choose.
        token_file: A file with a token a line; every request but /live and /ready must bring one of them.
        open_to_all: Whoever reaches the address may use it without a token.
        allowed_hosts: More names by which requests may call a server that only this machine reaches. With any, requests
            to a server that others reach must use one of them too.
        label_studio: Serves Label Studio as well, as it says.
        workers: Processes that decode photos.
        max_batch: How many photos of one canvas size are computed together.
        max_wait_ms: How long a photo waits for others that are being decoded.
        max_queue: How many photos may be under way; more are refused with 503.
        max_pixels: Of a photo.
        max_bytes: Of a request's body.
        on_start: Is called with the server's address once it takes requests.

    Raises:
        ArgumentError: A limit, the address or a token is not allowed.
        MaskzooError: A token file cannot be read, or the address is taken.
    """
    tokens = check_start(host, token_file, open_to_all)
    if workers < 1:
        raise ArgumentError(f"workers is {workers}; expected 1 or more")
    limits = Limits(max_batch, max_wait_ms, max_queue, max_pixels, max_bytes)
    named = {models.config.name: models} if isinstance(models, Predictor) else dict(models)
    if not named:
        raise ArgumentError("models is empty; expected a predictor, or several by name")
    hosts = _name_hosts(host, allowed_hosts)
    app, service = create_app(named, limits, tokens=tokens, hosts=hosts, label_studio=label_studio, decoders=workers)
    asyncio.run(_run(app, service, host, port, on_start))


async def _run(app: ASGIApp, service: Service, host: str, port: int, on_start: Callable[[str], None] | None) -> None:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = error.strerror or str(error)
        raise MaskzooError(f"cannot listen on {host}, port {port}: {why}; choose another by --host and --port") from error
    log_as_json()
    _allow_connections()
    address = _name_address(host, listener.getsockname()[1])
    server = DrainingServer(app, service, lambda: on_start(address) if on_start else None)
    await server.serve([listener])
    write_log("stopped")


def _allow_connections() -> None:
    """Let this process have as many open sockets as it may: many systems begin with 1,024."""
    with suppress(ImportError, OSError, ValueError):  # no such limit here, or not ours to change
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_start(host: str, token_file: str | Path | None, open_to_all: bool) -> list[str]:
    """Return the tokens, before anything that takes time. Raises as `serve` does."""
    tokens = _read_tokens(Path(token_file)) if token_file is not None else []
    hash_tokens(tokens)
    _check_address(host, bool(tokens) or open_to_all)
    return tokens


def _check_address(host: str, allowed: bool) -> None:
    """Raise ArgumentError if strangers could reach a server without a token."""
    if not _is_local(host) and not allowed:
        raise ArgumentError(
            f"{host} can be reached from other machines, and there is no token; give --token-file FILE, or --open if whoever "
            "reaches it may use it"
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_hosts(host: str, allowed: Sequence[str]) -> list[str]:
    """Return the names by which requests may call the server, none if any will do."""
    if not allowed and not _is_local(host):
        return []
    return [*LOCAL_NAMES, f"[{host}]" if ":" in host else host, *allowed]


def _read_tokens(path: Path) -> list[str]:
    """Return the tokens of a file, one a line. Raises MaskzooError if it cannot be read, ArgumentError if it has none."""
    with explained(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    tokens = [line.strip() for line in text.splitlines() if line.strip()]
    if not tokens:
        raise ArgumentError(f"{path}: has no token; expected one in each line: make one by `openssl rand -hex 32`")
    return tokens


def _name_address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class DrainingServer(uvicorn.Server):
    """Tells the service when it is asked to stop, and ends without an error then."""

    def __init__(self, app: ASGIApp, service: Service, on_start: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=PromptProtocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=64 * 1024,
        )
        super().__init__(config)
        self._service, self._on_start = service, on_start

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start the service, then listen."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is there stays: to look for garbage among torch's objects would stop all answers for 0.1 s and more
        write_log("listening", models=list(self._service.models))
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop. A second signal does not hurry it: its sender may kill."""
        self._service.draining = self.should_exit = True

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Stop to listen, and answer what was accepted."""
        write_log("stopping", photos=self._service.slots.taken)
        await super().shutdown(sockets)
        gc.unfreeze()


class _Connection(h11.Connection):
    """h11's, which reads no request whose end two programs could see at different places."""

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
                raise h11.RemoteProtocolError("Transfer-Encoding beside Content-Length, or in HTTP 1.0")
        return event


class PromptProtocol(H11Protocol):
    """uvicorn's HTTP, with limits on the time that a header and the reader of an answer may take, and errors as JSON."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = _Connection(h11.SERVER, self.config.h11_max_incomplete_event_size or 0)
        self._header_timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does it for sockets that were made for TCP by name only. Without it an answer's body, which is written after
        # its header, waits until the client has confirmed the header: 40 ms by most systems.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` tells of each byte that is not taken
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()
        self._stop_watching_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching_reader()

    def shutdown(self) -> None:
        """Close the connection after its answer, and a silent one a little later: a request may be on its way."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _should_upgrade(self) -> bool:
        return False  # and no advice to install what would

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_watching()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_watching(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _watch_reader(self) -> None:
        """Cut the connection unless enough is taken of what waits in memory, which would stay there for good."""
        most = max(0, self.transport.get_write_buffer_size() - READER_BYTES)
        self._reader_timer = self.loop.call_later(READER_SECONDS, self._check_reader, most)

    def _check_reader(self, most: int) -> None:
        if self.transport.get_write_buffer_size() > most:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_watching_reader(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP. A request that it interrupts has no other answer: its sender counts as gone."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = secrets.token_hex(8)
        error = RequestError("this is no HTTP that the server reads; see /openapi.json", 400)
        body = Service.to_json(describe_problem(error, request_id))
        headers = [("Content-Type", PROBLEM), ("Content-Length", str(len(body))), ("Connection", "close")]
        headers.append(("X-Request-ID", request_id))
        write_log("no HTTP", logging.WARNING, id=request_id, status=400)
        try:
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass  # an answer is half way out
        self.transport.close()
