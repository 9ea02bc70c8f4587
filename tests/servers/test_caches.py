"""What a Web server's own cache keeps, and that it keeps no response that broke off."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from .caches import CACHING
from .columns import Column
from .exchange import Reply
from .site import Site

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=CACHING, ids=str)
def caching(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A Web server with its cache on; what it serves is stopped after the cases."""
    column: Column = request.param
    site = Site(column)
    with site.running():
        yield site


def ask(site: Site, path: str) -> Reply | None:
    """The answer, or None where it broke off."""
    try:
        return site.get(path)
    except (OSError, http.client.HTTPException):
        return None


def test_a_whole_response_is_kept(caching: Site) -> None:
    """Else the other case would show nothing."""
    token = caching.token()
    for _ in range(2):
        reply = ask(caching, f"/broken?whole=1&length=1&token={token}")
        assert reply is not None
        assert len(reply.body) == 12000
    assert len(caching.notes(token, "broken")) == 1


@pytest.mark.parametrize("length", ["", "1"], ids=["without a length", "with a length"])
def test_a_response_that_broke_off_is_not_kept(caching: Site, length: str) -> None:
    token = caching.token()
    for _ in range(2):
        ask(caching, f"/broken?length={length}&pause=0.3&token={token}")
    assert len(caching.notes(token, "broken")) == 2
