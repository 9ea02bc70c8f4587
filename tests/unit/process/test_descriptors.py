"""gfcgi.process.descriptors: room for the connections that are allowed."""

from __future__ import annotations

import logging
import resource

import pytest

from gfcgi.options import Options
from gfcgi.process.descriptors import OWN_DESCRIPTORS, make_room


@pytest.fixture
def limits(monkeypatch):
    """Stands in for the kernel's limits: [soft, hard]."""
    now = [1024, 4096]
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: now.__setitem__(slice(2), pair))
    return now


@pytest.mark.parametrize(
    ("connections", "soft", "hard", "raised", "warned"),
    [
        (100, 1024, 4096, 1024, False),
        (2000, 1024, 4096, 2000 + OWN_DESCRIPTORS, False),
        (2000, 1024, resource.RLIM_INFINITY, 2000 + OWN_DESCRIPTORS, False),
        (2000, resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, False),
        (10000, 1024, 4096, 4096, True),
        (10000, 4096, 4096, 4096, True),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_possible(
    limits, caplog, connections, soft, hard, raised, warned
):
    limits[:] = soft, hard
    with caplog.at_level(logging.WARNING, "gfcgi"):
        make_room(Options(max_connections=connections))
    assert limits == [raised, hard]
    assert ("max_connections=10000 needs 10256 open files" in caplog.text) is warned
