"""A running server with its default options, one for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running import RunningServer
from webserver_side import TransportConnection


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server that one file's tests share."""
    with RunningServer() as running:
        yield running


@pytest.fixture
def connection(server: RunningServer) -> Iterator[TransportConnection]:
    """A transport connection of a test's own."""
    with server.connect() as connected:
        yield connected
