"""The printed configurations at every kind of mount point, and what else they promise."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gfcgi.configurations import configuration

from .applications import Application, Bound
from .columns import Column
from .exchange import HTTPClient
from .harness import wait_until
from .site import Site
from .webservers import (
    H2O,
    ApacheCGI,
    ApacheFcgid,
    ApacheProxy,
    Caddy,
    HAProxy,
    Lighttpd,
    Nginx,
    WebServer,
)

pytestmark = pytest.mark.servers

MOUNTS = ["", "/app", "/a/b.c"]
SERVERS: dict[str, tuple[WebServer, Application]] = {
    "nginx": (Nginx(), Bound()),
    "apache-proxy": (ApacheProxy(), Bound()),
    "apache-fcgid": (ApacheFcgid(), Application()),
    "apache-cgi": (ApacheCGI(), Application()),
    "lighttpd": (Lighttpd(), Bound()),
    "lighttpd-spawn": (Lighttpd(spawn=True), Application()),
    "caddy": (Caddy(), Bound()),
    "h2o-spawn": (H2O(spawn=True), Application()),
    "haproxy": (HAProxy(), Bound()),
}
EVERYWHERE = [
    Column(f"{name}-at-{mount or '/'}", server, application, mount=mount)
    for mount in MOUNTS
    for name, (server, application) in SERVERS.items()
] + [
    Column(f"h2o-at-{mount or '/'}", H2O(), Bound(arguments=("--script-name", mount or "/")), mount)
    for mount in MOUNTS
]
WITH_A_PROCESS_OF_ITS_OWN = [
    column
    for column in EVERYWHERE
    if column.mount == "/app" and isinstance(column.application, Bound)
]


@pytest.fixture(scope="module", params=EVERYWHERE, ids=str)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One server with the application at one mount point."""
    site = Site(request.param)
    site.start()
    yield site
    faults = site.stop()
    assert not faults, faults


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/environ/a/b/",
        "/environ/a b/50%/x;y,z",
        "/environ/café/€",
        "/environ/index.html",
        "/environ/x.php/y.fcgi/z",
        "/environ/app/a/b.c/app",
    ],
)
def test_path_is_divided_at_the_mount_point(site: Site, path: str) -> None:
    with HTTPClient(site.port) as client:
        seen = client.request("GET", site.mount + quote(path)).json()
    wanted = (site.mount, path.encode().decode("latin-1"))
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == wanted


def test_mount_point_itself_has_an_empty_path_info(site: Site) -> None:
    with HTTPClient(site.port) as client:
        seen = client.request("GET", site.mount or "/").json()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, "" if site.mount else "/")


def test_path_with_a_newline_is_divided_or_refused(site: Site) -> None:
    with HTTPClient(site.port) as client:
        reply = client.request("GET", site.mount + "/environ/a%0Ab")
    if isinstance(site.column.server, HAProxy):
        assert reply.status == 500  # its documentation: forbidden with path-info
    elif reply.status != 200:
        assert reply.status in (400, 403, 404)
        assert not isinstance(site.column.server, Nginx)
    else:
        wanted = (site.mount, "/environ/a\nb")
        assert (reply.json()["SCRIPT_NAME"], reply.json()["PATH_INFO"]) == wanted


def test_what_is_beside_the_mount_point_is_not_the_applications(site: Site) -> None:
    """At the root there is nothing beside it: every path is the application's."""
    beside = [(site.mount or "/") + "x", (site.mount or "/") + "x/environ", "/environ", "/", "/a"]
    if "." in site.mount:
        beside.append(site.mount.replace(".", "x") + "/environ")
    with HTTPClient(site.port) as client:
        for path in beside:
            body = client.request("GET", path).body
            reached = b"SCRIPT_NAME" in body or b"no such action" in body
            assert reached is (not site.mount), path


@pytest.mark.parametrize("site", WITH_A_PROCESS_OF_ITS_OWN, ids=str, indirect=True)
def test_process_that_comes_back_is_used_again_soon(site: Site) -> None:
    """Nobody has to restart the Web server, nor to wait until it looks again."""
    assert site.application is not None
    assert not site.application.stop()
    assert site.get("/hello").status >= 500
    script = site.root.path / "www" / site.source.name
    again = site.column.application.start(site.root, script, site.address)
    assert again is not None
    site.programs[site.programs.index(site.application)] = again
    site.application = again
    wait_until(lambda: site.get("/hello").status == 200, "the process to be used again", 15.0)


@pytest.mark.parametrize("target", ["script", "module"])
def test_systemd_finds_no_fault_with_its_units(tmp_path: Path, target: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    script = tmp_path / "hello.fcgi"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    named = str(script) if target == "script" else "hello.wsgi"
    printed = configuration("systemd", named, url="/app", python="/bin/sh", directory=str(tmp_path))
    socket, comment, service = printed.partition("# /etc/systemd/system/hello.service\n")
    units = [tmp_path / "hello.socket", tmp_path / "hello.service"]
    for unit, text in zip(units, [socket, comment + service], strict=True):
        unit.write_text(text)
    found = subprocess.run(
        [analyze, "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
