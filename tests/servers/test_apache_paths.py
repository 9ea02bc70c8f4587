"""Apache's ways to an application beside a handler of its own: rewriting, error pages, SSI."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .applications import Application, Bound
from .columns import Column
from .exchange import HTTPClient
from .site import Site
from .webservers import ApacheFcgid, ApacheProxy, Place
from .webservers.apache import environment_by

pytestmark = pytest.mark.servers

TO_A_PATH = """\
RewriteRule ^$ app.fcgi [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^(.*)$ app.fcgi/$1 [QSA,L]
"""
TO_THE_SCRIPT = """\
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^ app.fcgi [QSA,L]
"""


@dataclass(frozen=True)
class Rewriting(ApacheFcgid):
    """mod_fcgid with the script below the document root; ``htaccess`` and ``server`` are rules."""

    modules: tuple[str, ...] = ("fcgid", "rewrite", "include")
    htaccess: str = ""
    server: str = ""

    def application(self, place: Place) -> str:
        root = place.root
        if self.htaccess:
            root.write("www/.htaccess", f"RewriteEngine On\n{self.htaccess}")
        root.write("www/page.shtml", '<!--#include virtual="/app.fcgi/environ/pi" -->')
        return f"""\
FcgidIPCDir {root.path}/run
FcgidProcessTableFile {root.path}/run/fcgid_shm
FcgidMaxRequestLen 1000000
{environment_by("FcgidInitialEnv")}
<Directory {root.path}/www>
    AllowOverride All
    Options +ExecCGI +Includes
    <Files app.fcgi>
        SetHandler fcgid-script
    </Files>
    <Files page.shtml>
        SetOutputFilter INCLUDES
    </Files>
</Directory>
ErrorDocument 404 /app.fcgi/upload
RewriteEngine {"On" if self.server else "Off"}
{self.server}"""


WAYS = {
    "htaccess-to-a-path": Rewriting(htaccess=TO_A_PATH),
    "htaccess-to-the-script": Rewriting(htaccess=TO_THE_SCRIPT),
    "virtual-host": Rewriting(server="RewriteRule ^/((?:environ|status).*)$ /app.fcgi/$1 [QSA,PT]"),
}


@pytest.fixture(scope="module", params=WAYS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The application behind one way of rewriting."""
    column = Column(request.param, WAYS[request.param], Application(), mount="")
    site = Site(column, ready="/app.fcgi/hello")
    with site.running():
        yield site


def paths(site: Site, url: str) -> tuple[str, str]:
    with HTTPClient(site.port) as client:
        seen = client.request("GET", url).json()
    return seen["SCRIPT_NAME"], seen["PATH_INFO"]


def test_a_rewritten_path_is_below_the_public_one(site: Site) -> None:
    if site.column.name == "htaccess-to-the-script":
        # Nothing says where the mount point ends, so the script's own path is all that is sure.
        assert paths(site, "/any/path") == ("/app.fcgi", "")
        assert paths(site, "/any/path/") == ("/app.fcgi", "")
    else:
        assert paths(site, "/environ/a/b") == ("", "/environ/a/b")
        assert paths(site, "/environ/caf%C3%A9%20b/") == ("", "/environ/cafÃ© b/")


@pytest.mark.parametrize("site", ["htaccess-to-a-path", "htaccess-to-the-script"], indirect=True)
def test_the_directory_of_the_script_is_its_mount_point(site: Site) -> None:
    """A SCRIPT_NAME that ends in a slash makes an application redirect to itself for ever."""
    assert paths(site, "/") == ("", "/")


@pytest.mark.parametrize("site", ["virtual-host"], indirect=True)
def test_a_path_that_is_not_rewritten_stays(site: Site) -> None:
    assert paths(site, "/app.fcgi/environ/a") == ("/app.fcgi", "/environ/a")


@pytest.mark.parametrize("site", ["virtual-host"], indirect=True)
def test_an_included_page_has_its_path_once(site: Site) -> None:
    with HTTPClient(site.port) as client:
        body = client.request("GET", "/page.shtml").body
    seen = json.loads(body)
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/app.fcgi", "/environ/pi")
    assert seen["SERVER_PROTOCOL"] == "INCLUDED"


@pytest.mark.parametrize("site", ["virtual-host"], indirect=True)
@pytest.mark.parametrize("body", [b"abc", b"x" * 100_000])
def test_an_error_document_after_a_post_has_an_empty_body(site: Site, body: bytes) -> None:
    with HTTPClient(site.port) as client:
        reply = client.request("POST", "/nowhere", body)
    seen = json.loads(reply.body)
    assert (seen["method"], seen["bytes"]) == ("GET", 0)


@dataclass(frozen=True)
class Overriding(ApacheProxy):
    """mod_proxy_fcgi with the error pages of the application's own."""

    def application(self, place: Place) -> str:
        return f"""\
{super().application(place)}
ProxyErrorOverride On
ErrorDocument 503 {place.mount}/upload"""


def test_an_error_page_instead_of_the_applications_has_an_empty_body() -> None:
    site = Site(Column("apache-proxy", Overriding(), Bound()))
    site.start()
    try:
        reply = site.request("POST", "/status?code=503", b"abc")
        assert json.loads(reply.body)["bytes"] == 0
        assert not re.search("was refused", site.application_log())
    finally:
        site.stop()
