"""examples/authorizer.py decides who sees a file and who reaches an application."""

from __future__ import annotations

import base64
import runpy
from collections.abc import Iterator

import pytest

from .applications import Bound
from .columns import Column
from .exchange import Reply
from .harness import REPOSITORY, wait_until
from .site import Site
from .webservers import WebServer
from .webservers.authorizers import FILE, ApacheAuthnz, ApacheFastcgiAuthorizer, LighttpdAuthorizer

pytestmark = pytest.mark.servers


EXAMPLE = REPOSITORY / "examples" / "authorizer.py"
COOKIE = runpy.run_path(str(EXAMPLE))["cookie"]


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": "Basic " + encoded}


ADA = basic("ada", "lovelace")
VISITORS = {
    "nobody": {},
    "ada, by her cookie": {"Cookie": "other=1; " + COOKIE("ada")},
    "eve, by her cookie": {"Cookie": COOKIE("eve")},
    "ada, by a forged cookie": {"Cookie": "visitor=ada.0123456789abcdef"},
    "ada, by her password": ADA,
    "ada, by a wrong password": basic("ada", "byron"),
    "eve, by her password": basic("eve", "apple"),
}

# Ada belongs to the staff, Eve does not. Where Apache wants a password, cookies count for
# nothing, and it answers every refusal with 401 and asks again.
LOOKS_ITSELF = dict(zip(VISITORS, (401, 200, 403, 401, 200, 401, 403), strict=True))
BY_PASSWORD = dict(zip(VISITORS, (401, 401, 401, 401, 200, 401, 401), strict=True))
# mod_fastcgi makes 403 of every refusal of an access checker.
ACCESS_CHECKER = dict(zip(VISITORS, (403, 200, 403, 403, 200, 403, 403), strict=True))


def guarded_by(name: str, server: WebServer) -> Column:
    return Column(name, server, Bound(tcp=True), mount="")


GUARDED = [
    (guarded_by("authnz-access", ApacheAuthnz(kind="access")), LOOKS_ITSELF),
    (guarded_by("authnz-authn", ApacheAuthnz(kind="authn")), BY_PASSWORD),
    (guarded_by("authnz-authz", ApacheAuthnz(kind="authz")), BY_PASSWORD),
    (guarded_by("authnz-authnz", ApacheAuthnz(kind="authnz")), BY_PASSWORD),
    (guarded_by("fastcgi-access", ApacheFastcgiAuthorizer(kind="access")), ACCESS_CHECKER),
    (guarded_by("fastcgi-authn", ApacheFastcgiAuthorizer(kind="authn")), BY_PASSWORD),
    (guarded_by("fastcgi-authz", ApacheFastcgiAuthorizer(kind="authz")), BY_PASSWORD),
    (guarded_by("lighttpd", LighttpdAuthorizer()), LOOKS_ITSELF),
]


@pytest.fixture(scope="module", params=GUARDED, ids=lambda guarded: str(guarded[0]))
def guarded(request: pytest.FixtureRequest) -> Iterator[tuple[Site, dict[str, int]]]:
    """A Web server whose /private an authorizer guards, and the statuses it is to answer with."""
    column, statuses = request.param
    site = Site(column, EXAMPLE, ready="/file.txt")
    with site.running():
        wait_until(lambda: "listening on" in site.application_log(), "the authorizer to listen")
        yield site, statuses


@pytest.fixture
def site(guarded: tuple[Site, dict[str, int]]) -> Site:
    return guarded[0]


@pytest.fixture
def statuses(guarded: tuple[Site, dict[str, int]]) -> dict[str, int]:
    return guarded[1]


def ask(
    site: Site, path: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None
) -> Reply:
    with site.client() as client:
        return client.request(method, path, body, headers)


@pytest.mark.parametrize("visitor", VISITORS)
def test_file_is_for_the_staff_alone(site: Site, statuses: dict[str, int], visitor: str) -> None:
    reply = ask(site, "/private/file.txt", VISITORS[visitor])
    assert reply.status == statuses[visitor]
    assert (reply.body == FILE) is (reply.status == 200)
    assert FILE[:10] not in reply.body or reply.status == 200


def test_whoever_is_refused_is_asked_for_a_password(site: Site) -> None:
    reply = ask(site, "/private/file.txt", {})
    (challenge,) = reply.header_values("WWW-Authenticate")
    assert challenge.startswith("Basic realm=")


def test_head_is_decided_on_as_get_is(site: Site, statuses: dict[str, int]) -> None:
    assert ask(site, "/private/file.txt", ADA, "HEAD").status == 200
    assert ask(site, "/private/file.txt", {}, "HEAD").status == statuses["nobody"]


def test_what_is_behind_is_told_who_it_is(site: Site) -> None:
    lines = ask(site, "/private/behind.cgi", ADA).body.decode().splitlines()
    assert "AUTH_GROUP=staff" in lines
    assert "REMOTE_USER=ada" in lines


def test_body_is_for_what_is_behind(site: Site) -> None:
    """The authorizer is asked before; it neither gets the body nor waits for it."""
    body = b"0123456789" * 5000 + b"the end"
    reply = ask(site, "/private/behind.cgi", ADA, "POST", body)
    assert reply.status == 200
    assert reply.body.endswith(body)
    assert body[-10:] not in ask(site, "/private/behind.cgi", {}, "POST", body).body


def test_nobody_is_let_in_while_the_authorizer_is_away(site: Site) -> None:
    """The last, for it does not come back."""
    assert site.application is not None
    assert not site.application.stop()
    reply = ask(site, "/private/file.txt", ADA)
    assert reply.status in (500, 503)
    assert FILE[:10] not in reply.body
    assert ask(site, "/file.txt", {}).status == 200
