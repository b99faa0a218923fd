"""What every request passes first and last: its id, its token, its line in the log, and errors without traces."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.errors import ArgumentError, RequestError
from maskzoo.serving.metrics import write_log
from maskzoo.serving.schema import Problem
from maskzoo.serving.service import Service

__all__ = ["FAILED", "PAGE", "PROBLEM", "Gate", "describe_problem", "hash_tokens", "make_problem"]

PROBLEM = "application/problem+json"
PAGE = "/page/"  # what the page at / refers to
OPEN = frozenset({"/", "/live", "/ready"})  # what asks for these, and for the page's files, has no token
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
FAILED = "the server failed; its log has the reason under this id"
LINGER = 2.0  # seconds for a refused sender to finish, so that it reads the answer instead of a broken connection
READER = 120.0  # seconds that a reader of an answer may pause


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
    """Wraps the application; `tokens` as `hash_tokens` returns them, none for a server without."""

    def __init__(self, app: ASGIApp, service: Service, tokens: frozenset[bytes]) -> None:
        self._app, self._service, self._tokens = app, service, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._service)
        problem = None
        try:
            if self._may_enter(scope, visit.headers):
                await self._app(scope, visit.receive, visit.send)
            else:
                problem = RequestError("no token, or not the right one; expected the header Authorization: Bearer TOKEN", 401)
        except Exception as error:
            write_log("failed", logging.ERROR, error=error, id=visit.id)
            problem = RequestError(FAILED, 500)
        if problem is not None and not visit.started:
            await make_problem(problem, visit.id)(scope, visit.receive, visit.send)
        visit.note()

    def _may_enter(self, scope: Scope, headers: Headers) -> bool:
        if not self._tokens or scope["path"] in OPEN or scope["path"].startswith(PAGE):
            return True
        kind, _, token = headers.get("authorization", "").partition(" ")
        found = _hash(token.strip().encode("utf-8", "surrogateescape"))
        return kind.lower() == "bearer" and any(hmac.compare_digest(found, known) for known in self._tokens)


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
        async with asyncio.timeout(READER):
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
            method=self._scope["method"],
            path=self._scope["path"][:200],
            status=self.status,
            ms=round(seconds * 1000, 1),
            bytes=self.read,
            **self._scope["state"].get("facts", {}),
        )
