"""Every test here waits for other greenlets: none may wait for ever."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with gevent.Timeout(DEADLINE_SECONDS):
        yield
