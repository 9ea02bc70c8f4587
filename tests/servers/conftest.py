"""The running columns as a fixture, and the matrix that a run can leave behind.

``GFCGI_SERVERS_MATRIX=FILE`` in the environment writes the table of what was seen to FILE.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .columns import COLUMNS, Column
from .matrix import Matrix
from .site import Site

MATRIX = pytest.StashKey[Matrix]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MATRIX] = Matrix()


@pytest.fixture(scope="module", params=COLUMNS, ids=str)
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One column, started for the cases of one module and stopped after them.

    That everything stops when told to, and leaves no process behind, is part of the test.
    """
    column: Column = request.param
    request.config.stash[MATRIX].saw(column)
    site = Site(column)
    site.start()
    yield site
    faults = site.stop()
    assert not faults, faults


@pytest.fixture
def site(running: Site, request: pytest.FixtureRequest) -> Site:
    """The running column, for a case that is possible there."""
    case = request.node.originalname
    column = running.column
    reason = column.impossible.get(case)
    if reason:
        request.node.user_properties.append(("note", reason))
        pytest.skip(reason)
    dead = [program.name for program in running.programs if program.exited()]
    assert not dead, f"{dead} ended in an earlier case:\n{running.root.read_logs()}"
    return running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "running" in callspec.params:
        column: Column = callspec.params["running"]
        variant = callspec.id.removeprefix(column.name)
        case = getattr(item, "originalname", item.name) + variant.replace("-", "_")
        item.config.stash[MATRIX].add(column, case, report)
    arguments = getattr(item, "funcargs", {})
    if report.failed and call.when == "call" and "site" in arguments:
        site: Site = arguments["site"]
        report.sections.append(("logs of " + site.column.name, site.root.read_logs()))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get("GFCGI_SERVERS_MATRIX")
    if path:
        Path(path).write_text(session.config.stash[MATRIX].markdown())
