"""What every request passes first and last: its id, its token, its line in the log, and errors without traces."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.errors import ArgumentError, RequestError, list_some
from maskzoo.serving.metrics import write_log
from maskzoo.serving.schema import Problem
from maskzoo.serving.service import FAILED, Service

__all__ = ["PAGE", "PROBLEM", "Gate", "describe_problem", "hash_tokens", "make_problem"]

PROBLEM = "application/problem+json"
PAGE = "/page/"  # what the page at / refers to
OPEN = frozenset({"/", "/live", "/ready"})  # what asks for these, and for the page's files, has no token
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LINGER = 2.0  # seconds for a refused sender to finish, so that it reads the answer instead of a broken connection


def describe_problem(error: RequestError, request_id: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    title = HTTPStatus(error.status).phrase
    return Problem(title=title, status=error.status, detail=str(error), id=request_id).model_dump()


def make_problem(error: RequestError, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that tells an error."""
    more = dict(headers or {})
    if error.retry_after is not None:
        more["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return Response(Service.to_json(describe_problem(error, request_id)), error.status, more, PROBLEM)


def hash_tokens(tokens: Iterable[str]) -> frozenset[bytes]:
    """Return what the server keeps of its tokens. Raises ArgumentError for one that is too short to be a secret."""
    given = list(tokens)
    if any(len(token) < 16 or not token.isascii() or " " in token for token in given):
        raise ArgumentError(
            "a token is shorter than 16 letters, or has blanks or letters outside ASCII; expected a secret in each line of the "
            "file: make one by `openssl rand -hex 32`"
        )
    return frozenset(map(_hash, (token.encode() for token in given)))


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


class Gate:
    """Wraps the application; `tokens` as `hash_tokens` returns them, none for a server without.

    A request must name one of `hosts`, if there are any: a page of another site whose name leads to this machine
    (DNS rebinding) would send its own.
    """

    def __init__(self, app: ASGIApp, service: Service, tokens: frozenset[bytes], hosts: frozenset[str]) -> None:
        self._app, self._service, self._tokens, self._hosts = app, service, tokens, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._service)
        problem = None
        try:
            problem = self._refuse(scope, visit.headers)
            if problem is None:
                await self._app(scope, visit.receive, visit.send)
        except Exception as error:
            write_log("failed", logging.ERROR, error=error, id=visit.id)
            problem = RequestError(FAILED, 500)
        if problem is not None and not visit.started:
            await make_problem(problem, visit.id)(scope, visit.receive, visit.send)
        visit.note()

    def _refuse(self, scope: Scope, headers: Headers) -> RequestError | None:
        host = headers.get("host", "")
        if self._hosts and _name_host(host) not in self._hosts:
            known = list_some(sorted(self._hosts))
            return RequestError(
                f"the Host header is {host[:80]!r}; expected one of {known}; another name is for --allowed-host",
                421,
            )
        free = scope["path"] in OPEN or scope["path"].startswith(PAGE)
        if self._tokens and not free and not any(map(self._knows, _list_secrets(headers))):
            return RequestError("no token, or not the right one; expected the header Authorization: Bearer TOKEN", 401)
        return None

    def _knows(self, secret: bytes) -> bool:
        found = _hash(secret)
        return any(hmac.compare_digest(found, known) for known in self._tokens)


def _name_host(host: str) -> str:
    """Return the name in a Host header, without its port; that of an IPv6 address has its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _list_secrets(headers: Headers) -> Iterator[bytes]:
    """Yield what may be a token: a bearer's, the password that Label Studio sends, the header of X-AnyLabeling."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    secret = given.strip().encode("utf-8", "surrogateescape")
    if kind.lower() == "bearer":
        yield secret
    elif kind.lower() == "basic":
        with suppress(ValueError):
            yield base64.b64decode(secret, validate=True).partition(b":")[2]
    yield headers.get("token", "").encode("utf-8", "surrogateescape")


class _Visit:
    """One request: what has been read of it, what was answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, service: Service) -> None:
        self.headers, self._scope, self._receive, self._send, self._service = (
            Headers(scope=scope),
            scope,
            receive,
            send,
            service,
        )
        given = self.headers.get("x-request-id", "")
        self.id = given if ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["id"] = self.id
        self.start, self.status, self.read = time.perf_counter(), 0, 0
        self.whole = self.headers.get("content-length", "0") == "0" and "transfer-encoding" not in self.headers

    @property
    def started(self) -> bool:
        return self.status > 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.read += len(message.get("body", b""))
        self.whole = self.whole or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.id
            headers["X-Content-Type-Options"] = "nosniff"
            if not self.whole or self._service.draining:
                headers["Connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and not self.whole:
            await self._send({**message, "more_body": True})
            await self._let_finish()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _let_finish(self) -> None:
        """Read on for a moment what nobody wants, for many a client reads the answer only after it has sent everything."""
        most = self.read + 4 * self._service.limits.max_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self.whole and self.read < most:
                    await self.receive()

    def note(self) -> None:
        route = getattr(self._scope.get("route"), "path", "none")  # not the path: a stranger could invent a million
        seconds = time.perf_counter() - self.start
        self._service.metrics.requests.labels(route, str(self.status)).inc()
        self._service.metrics.seconds.labels(route).observe(seconds)
        write_log(
            "request",
            id=self.id,
            method=self._scope["method"][:20],
            path=self._scope["path"][:200],
            status=self.status,
            ms=round(seconds * 1000, 1),
            bytes=self.read,
            **self._scope["state"].get("facts", {}),
        )
