"""The running columns as a fixture, and the page of the docs that a run can leave behind.

``GFCGI_SERVERS_MATRIX=FILE`` in the environment writes the page of what was seen to FILE; with
``--collect-only``, the same page with no outcome in its cells.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from .columns import COLUMNS, Column
from .harness import HERE
from .matrix import AUTHORIZERS, REQUESTS, Matrix
from .site import Site

MATRIX = pytest.StashKey[Matrix]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MATRIX] = Matrix()
    if "GFCGI_SERVERS_MATRIX" in os.environ and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("GFCGI_SERVERS_MATRIX wants to see all of the run: add -n 0")


@pytest.fixture(scope="module", params=COLUMNS, ids=str)
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One column, started for the cases of one module and stopped after them.

    That everything stops when told to, and leaves no process behind, is part of the test.
    """
    column: Column = request.param
    site = Site(column)
    with site.running():
        yield site


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


def cell_of(item: pytest.Item) -> tuple[str, Column, str] | None:
    """The table, the column and the case that a test stands for; None where it is in no table."""
    callspec = getattr(item, "callspec", None)
    if callspec is None or not item.path.is_relative_to(HERE):
        return None
    if "running" in callspec.params:
        title, column = REQUESTS, callspec.params["running"]
    elif "guarded" in callspec.params:
        title, column = AUTHORIZERS, callspec.params["guarded"][0]
    else:
        return None
    variant = callspec.id.removeprefix(column.name)
    return title, column, getattr(item, "originalname", item.name) + variant.replace("-", "_")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        cell = cell_of(item)
        if cell is not None:
            title, column, case = cell
            config.stash[MATRIX].tables[title].declare(column, case)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cell = cell_of(item)
    if cell is not None:
        title, column, case = cell
        item.config.stash[MATRIX].tables[title].add(column, case, report)
    arguments = getattr(item, "funcargs", {})
    if report.failed and call.when == "call" and "site" in arguments:
        site: Site = arguments["site"]
        report.sections.append(("logs of " + site.column.name, site.root.read_logs()))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get("GFCGI_SERVERS_MATRIX")
    if path:
        run = not session.config.option.collectonly
        page = session.config.stash[MATRIX].page(run=run)
        (session.config.invocation_params.dir / path).write_text(page, "utf-8")
