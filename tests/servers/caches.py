"""Web servers whose own cache keeps what the application answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .columns import Column
from .webservers import ApacheProxy, HAProxy, Nginx, Place

NGINX_CACHE = """\
fastcgi_cache kept;
fastcgi_cache_valid 200 10m;
fastcgi_cache_key $request_method$request_uri;
"""
HAPROXY_CACHE = """
cache kept
    total-max-size 4
    max-object-size 100000
    max-age 600
"""


@dataclass(frozen=True)
class CachingNginx(Nginx):
    """With fastcgi_cache."""

    def site(self, place: Place) -> str:
        path = f"fastcgi_cache_path {place.root.path}/tmp/cache keys_zone=kept:1m;\n"
        return path + super().site(place).replace("fastcgi_pass", NGINX_CACHE + "fastcgi_pass", 1)


@dataclass(frozen=True)
class CachingApache(ApacheProxy):
    """With mod_cache_disk."""

    modules: tuple[str, ...] = ("proxy", "proxy_fcgi", "cache", "cache_disk")

    def application(self, place: Place) -> str:
        cache = f"CacheRoot {place.root.path}/tmp\nCacheEnable disk /\nCacheIgnoreNoLastMod On\n"
        return cache + super().application(place)


@dataclass(frozen=True)
class CachingHAProxy(HAProxy):
    """With HAProxy's cache."""

    def sections(self, place: Place) -> str:
        use = "    http-request cache-use kept\n    http-response cache-store kept\n"
        printed = re.sub(
            r"^(backend .*\n)", r"\1" + use, super().sections(place), flags=re.MULTILINE
        )
        return printed + HAPROXY_CACHE


CACHING = [
    Column("nginx-cache", CachingNginx()),
    Column("nginx-keepalive-cache", CachingNginx(keep_conn=True)),
    Column("apache-proxy-cache", CachingApache(reuse=True)),
    Column("haproxy-cache", CachingHAProxy()),
]
