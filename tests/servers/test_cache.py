"""nginx's fastcgi_cache, with the key that the guide says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from .applications import Bound
from .columns import Column
from .harness import REPOSITORY
from .site import Site
from .webservers import Nginx, Place

pytestmark = pytest.mark.servers

GUIDE = REPOSITORY / "docs" / "howto" / "nginx.md"


class CachingPlace(Place):
    """A place whose printed configuration has a cache added by hand."""

    def printed(self, server: str, **asked: Any) -> str:
        key = re.search(r"`(fastcgi_cache_key [^`]*)`", GUIDE.read_text("utf-8"))
        assert key is not None
        cache = f"{key[1]}; fastcgi_cache pages; fastcgi_cache_valid 1m;"
        path = f"fastcgi_cache_path {self.root.path}/tmp/cache keys_zone=pages:1m;\n"
        printed = super().printed(server, **asked)
        return path + printed.replace("fastcgi_pass ", f"{cache}\n        fastcgi_pass ")


@dataclass(frozen=True)
class Caching(Nginx):
    """nginx with that cache."""

    def command(self, place: Place) -> list[str]:
        return super().command(CachingPlace(**vars(place)))


def test_a_get_behind_a_head_has_its_body() -> None:
    """Without the method in the key it would wait for the body until it gives up."""
    site = Site(Column("nginx-cache", Caching(), Bound()))
    site.start()
    try:
        path = "/hello?name=cache"
        assert site.request("HEAD", path).body == b""
        assert site.get(path).body == b"hello cache"
        # It was the cache: the application is not asked again.
        assert site.application is not None
        assert not site.application.stop()
        assert site.get(path).body == b"hello cache"
        assert site.request("HEAD", path).header("Content-Length") == "11"
    finally:
        site.stop()
