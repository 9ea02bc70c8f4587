"""The answer to GET_VALUES (§4.1)."""

from __future__ import annotations

from collections.abc import Iterable

from gfcgi.options import Options

__all__ = ["MPXS_CONNS", "values_of"]

MPXS_CONNS = "FCGI_MPXS_CONNS"


def values_of(options: Options, names: Iterable[str]) -> dict[str, str]:
    """Return the names that the specification has, with their values; the others are left out."""
    most = options.max_concurrent_requests
    on_one = options.max_concurrent_requests_per_connection
    known = {
        "FCGI_MAX_CONNS": str(options.max_connections),
        "FCGI_MAX_REQS": str(min(most, on_one) if on_one > 1 else most),
        MPXS_CONNS: "1" if on_one > 1 else "0",
    }
    return {name: known[name] for name in names if name in known}
