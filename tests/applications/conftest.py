"""One application, as its module says, at the root and below a path, under everyone's server.

A module has ``SITE``, the name of a directory in ``sites/``, ``READY``, a path that answers 200,
and ``session(port, mount)``, which does what a person would do and returns what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.site import Site

from .deployments import WAYS, Project, behind, own_server, prepare


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The module's application with its empty databases."""
    return prepare(request.module.SITE, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module", params=["", "/app"], ids=["at-root", "at-app"])
def mount(request: pytest.FixtureRequest) -> str:
    """Where the application is mounted."""
    return str(request.param)


@pytest.fixture(scope="module")
def under_its_own_server(request: pytest.FixtureRequest, project: Project, mount: str) -> list[str]:
    """What is to be seen."""
    with own_server(project, mount, request.module.READY) as port:
        seen: list[str] = request.module.session(port, mount)
        return seen


@pytest.fixture(params=WAYS)
def site(request: pytest.FixtureRequest, project: Project, mount: str) -> Iterator[Site]:
    """The same application, by gfcgi behind a Web server."""
    with behind(request.param, project, mount, request.module.READY) as site:
        yield site


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if call.when == "call" and report.failed and isinstance(site, Site):
        report.sections.append(("logs", site.root.read_logs()))
    return report
