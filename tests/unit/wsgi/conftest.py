"""A Gateway and requests to it, without a server."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import webserver_side as wire
from wsgi_side import Request

from gfcgi.wsgi.advice import said_in_process
from gfcgi.wsgi.gateway import Gateway


@pytest.fixture(autouse=True)
def quiet_but_for_warnings(caplog):
    """What a hop-by-hop header says once for the process is said once for each test."""
    said_in_process.clear()
    caplog.set_level(logging.WARNING, "gfcgi.wsgi")


class Asking:
    """Ask an application, by ``cgi_params`` and what Request takes; gives the request.

    ``request`` is the one that runs, for an application that does to it what a Web server would.
    """

    request: Request

    def __call__(
        self,
        application: Any,
        method: str = "GET",
        path: str = "/",
        body: Any = b"",
        *,
        gateway: dict[str, Any] | None = None,
        request: dict[str, Any] | None = None,
        **params: str,
    ) -> Request:
        octets = body if isinstance(body, bytes) else b"".join(body)
        values = wire.cgi_params(method, path, body=octets, **params)
        self.request = Request(values, body, **(request or {}))
        Gateway(application, **(gateway or {}))(self.request)
        return self.request


@pytest.fixture
def ask() -> Asking:
    return Asking()


class Body:
    """An iterable that keeps whether it was closed, and breaks where it is told to."""

    def __init__(self, *chunks: Any, error: BaseException | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.closed = 0

    def __iter__(self) -> Any:
        yield from self.chunks
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def body() -> type[Body]:
    return Body
