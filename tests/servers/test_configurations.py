"""The printed configurations at every kind of mount point, and what else they promise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from .applications import Application, Bound
from .columns import Column
from .exchange import HTTPClient, raw_request
from .harness import wait_until
from .site import Site
from .webservers import (
    H2O,
    ApacheCGI,
    ApacheFastcgi,
    ApacheFcgid,
    ApacheProxy,
    Asking,
    Caddy,
    HAProxy,
    Lighttpd,
    Nginx,
    Place,
    WebServer,
)

pytestmark = pytest.mark.servers

MOUNTS = ["", "/app", "/a/b.c"]
SERVERS: dict[str, tuple[WebServer, Application]] = {
    "nginx": (Nginx(), Bound()),
    "apache-proxy": (ApacheProxy(), Bound()),
    "apache-fcgid": (ApacheFcgid(), Application()),
    "apache-fastcgi": (ApacheFastcgi(), Application()),
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
    with site.running():
        yield site


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


@pytest.mark.parametrize("host", ["example.org:81", "example.org", "[::1]:81", "[::1]"])
def test_host_is_the_one_that_the_client_names(site: Site, host: str) -> None:
    """A port may be mapped in front of the Web server, so nobody else knows the client's."""
    with HTTPClient(site.port) as client:
        seen = client.request("GET", f"{site.mount}/environ", headers={"Host": host}).json()
    assert seen["HTTP_HOST"] == host


def test_host_of_the_request_line_counts(site: Site) -> None:
    line = f"GET http://example.org:81{site.mount}/environ HTTP/1.1"
    answer = raw_request(
        site.port, f"{line}\r\nHost: evil:99\r\nConnection: close\r\n\r\n".encode()
    )
    status = answer.split()[1]
    assert status in (b"200", b"400", b"404")
    if status == b"200":
        assert b'"HTTP_HOST": "example.org' in answer
    assert b"evil" not in answer


def test_client_cannot_choose_its_user(site: Site) -> None:
    headers = {"Authorization": "Basic cm9vdDp4", "Remote-User": "root", "Auth-Type": "Basic"}
    with HTTPClient(site.port) as client:
        seen = client.request("GET", f"{site.mount}/environ", headers=headers).json()
    assert not seen.get("REMOTE_USER")
    assert not seen.get("AUTH_TYPE")
    assert seen["HTTP_AUTHORIZATION"] == "Basic cm9vdDp4"


def test_no_rule_is_needed_for_host_user_and_path(site: Site) -> None:
    """H2O cannot say where the application is mounted."""
    with HTTPClient(site.port) as client:
        client.request("GET", f"{site.mount}/environ/a").json()
        client.request("GET", site.mount or "/").json()
    said = re.findall(
        r"rule ([\w-]+): .*\(([A-Z_, ]+)\)\n", site.error_log() + site.application_log()
    )
    needed = {
        rule
        for rule, names in said
        if {"HTTP_HOST", "REMOTE_USER", "SCRIPT_NAME", "PATH_INFO"} & set(names.split(", "))
    }
    assert needed <= ({"mount"} if isinstance(site.column.server, H2O) else set())


def test_status_is_no_header_of_the_response(site: Site) -> None:
    with HTTPClient(site.port) as client:
        reply = client.request("GET", f"{site.mount}/hello")
    assert (reply.status, reply.header("Status")) == (200, None)


def test_response_headers_of_6_kb_pass_without_a_warning(site: Site) -> None:
    with HTTPClient(site.port) as client:
        reply = client.request("GET", f"{site.mount}/large?bytes=6000")
    assert reply.header("X-Large") == "v" * 6000
    assert "header block of" not in site.error_log() + site.application_log()


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


@pytest.mark.parametrize("name", ["nginx", "nginx-root", "apache-proxy", "apache-proxy-root"])
@pytest.mark.parametrize(
    "path", ["/environ//a///b", "/environ/a%2Fb", "//environ/%2F/", "/%2Fenviron"]
)
def test_slashes_can_be_kept(name: str, path: str) -> None:
    """As an HTTP server for WSGI would have them: // stays, and %2F is decoded."""
    server, application = SERVERS[name.removesuffix("-root")]
    mount = "" if name.endswith("-root") else "/app"
    site = Site(
        Column(name, Asking(server, lambda _: {"keep_slashes": True}), application, mount=mount)
    )
    site.start()
    try:
        with HTTPClient(site.port) as client:
            reply = client.request("GET", mount + path)
        seen = reply.json()
        wanted = path.replace("%2F", "/")
        if name == "apache-proxy-root":
            wanted = f"/{wanted.lstrip('/')}"  # only at the beginning of the whole path
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (mount, wanted)
    finally:
        site.stop()


STATIC = [name for name in SERVERS if name != "haproxy"] + ["h2o"]


def files_of(place: Place) -> dict[str, Any]:
    """Files below the mount point, and files beside it, which have a dot in their URL."""
    root = place.root
    root.directory("files")
    root.directory("files/sub")
    root.write("files/a b.css", "a {}\n")
    root.write("files/sub/b.js", "b()\n")
    root.write("secret", "secret")
    root.write("www/secret", "secret")
    return {
        "static": [f"{place.mount}/static={root.path}/files", f"/m.x/={root.path}/files/sub"],
        "directory": str(root.path),
    }


@pytest.fixture(
    scope="module",
    params=[(name, mount) for name in STATIC for mount in ("", "/app")],
    ids=lambda value: f"{value[0]}-at-{value[1] or '/'}",
)
def site_with_files(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One server that sends files by itself."""
    name, mount = request.param
    if name == "h2o":
        server: WebServer = H2O()
        application: Application = Bound(arguments=("--script-name", mount or "/"))
    else:
        server, application = SERVERS[name]
    site = Site(Column(name, Asking(server, files_of), application, mount=mount))
    with site.running():
        yield site


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("~/static/a%20b.css", "text/css", b"a {}\n"),
        ("~/static/sub/b.js", "javascript", b"b()\n"),
        ("/m.x/b.js", "javascript", b"b()\n"),
    ],
)
def test_web_server_sends_files_by_itself(
    site_with_files: Site, path: str, kind: str, body: bytes
) -> None:
    site = site_with_files
    with site.client() as client:
        reply = client.request("GET", path.replace("~", site.mount))
        assert (reply.status, reply.body) == (200, body)
        assert kind in (reply.header("Content-Type") or "")
        since = reply.header("Last-Modified")
        assert since is not None
        again = client.request(
            "GET", path.replace("~", site.mount), headers={"If-Modified-Since": since}
        )
        assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "~/static/",
        "~/static/sub/",
        "~/static/nothing.css",
        "~/static/../secret",
        "~/static/..%2Fsecret",
        "~/static/%2e%2e/secret",
        "~/static../secret",
        "~/static..%2Fsecret",
        "/m.x../secret",
        "/mxx/b.js",
        "~/staticx/a%20b.css",
        "~/static",
    ],
)
def test_nobody_gets_what_is_beside_the_files_nor_a_list_of_them(
    site_with_files: Site, path: str
) -> None:
    line = f"GET {path.replace('~', site_with_files.mount)} HTTP/1.1"
    answer = raw_request(
        site_with_files.port, f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    body = answer.partition(b"\r\n\r\n")[2]
    if body:  # Caddy answers 200 with nothing where it has nothing
        assert answer.split()[1] in (b"301", b"302", b"400", b"403", b"404"), answer
    assert b"secret" not in body.replace(b"../secret", b"")
    assert b"b.js" not in body.replace(b"/mxx/b.js", b"")


def test_application_has_what_is_no_file(site_with_files: Site) -> None:
    site = site_with_files
    for path in ("/environ/static/a", "/environ/m.x/b.js"):
        seen = site.get(path).json()
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, path)
