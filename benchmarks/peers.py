"""Who is compared: how each is installed, and how it is started as its own documentation says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PEERS", "Peer", "Place"]

SERVERS = Path(__file__).parent / "servers"


@dataclass(frozen=True)
class Place:
    """Where and what a server is to serve.

    ``floor`` is the floor's mode and number for this load, ``concurrency`` how many requests may
    be under way at once, where a server wants to know that beforehand.
    """

    python: Path
    address: str
    application: str
    floor: tuple[str, ...]
    concurrency: int = 1000
    multiplexed: bool = False

    def program(self, name: str) -> str:
        """A program of the environment."""
        return str(self.python.parent / name)

    def script(self, name: str, *arguments: str) -> list[str]:
        return [str(self.python), str(SERVERS / name), *arguments]


@dataclass(frozen=True)
class Peer:
    """A server; ``packages`` as pip takes them, of which the first is what is measured.

    ``inherits`` is the command that serves the listening socket on descriptor 0, if there is one;
    ``compiled`` is which build of gfcgi it is.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    command: Callable[[Place], list[str]]
    inherits: Callable[[Place], list[str]] | None = None
    compiled: bool = False
    protocol: str = "fastcgi"
    multiplexes: bool = True


def _floor(place: Place) -> list[str]:
    mode, *number = place.floor
    return place.script("floor.py", mode, place.address, *number)


def _blocking(place: Place) -> list[str]:
    mode, *number = place.floor
    return place.script("blocking.py", mode, place.address, *number)


def _gfcgi(place: Place) -> list[str]:
    python = str(place.python)
    return [python, "-m", "gfcgi", place.application, "--bind", f"unix:{place.address}"]


def _gevent_fastcgi(place: Place, socket: str | None = None) -> list[str]:
    return place.script("serve_gevent_fastcgi.py", socket or place.address, place.application)


def _flup(place: Place) -> list[str]:
    multiplexed = ("multiplexed",) if place.multiplexed else ()
    return place.script("serve_flup.py", place.address, place.application, *multiplexed)


_ON_DESCRIPTOR_0 = ("--protocol", "fastcgi")
"""uWSGI takes a listening socket that is there without being told; not what is spoken on it."""


def _backlog() -> int:
    """What the kernel allows: uWSGI does not start with more."""
    return min(2048, int(Path("/proc/sys/net/core/somaxconn").read_text()))


def _uwsgi(place: Place, *socket: str) -> list[str]:
    # The default buffer, 4 KB, is too small for the params of a large cookie; no access log, as
    # nobody else writes one.
    return [
        *(place.program("uwsgi"), *(socket or ("--fastcgi-socket", place.address))),
        *("--listen", str(_backlog())),
        *(
            "--module",
            place.application,
            "--need-app",
            "--virtualenv",
            str(place.python.parents[1]),
        ),
        *("--buffer-size", "32768", "--disable-logging", "--die-on-term"),
    ]


def _uwsgi_gevent(place: Place, *socket: str) -> list[str]:
    return [*_uwsgi(place, *socket), "--gevent", str(place.concurrency), "--gevent-monkey-patch"]


def _gunicorn(place: Place, bind: str | None = None) -> list[str]:
    return [
        *(place.program("gunicorn"), "--worker-class", "gevent", "--workers", "1"),
        *("--worker-connections", "10000", "--keep-alive", "3600", "--backlog", "2048"),
        *("--bind", bind or f"unix:{place.address}", "--log-level", "warning", place.application),
    ]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "floor",
            "floor",
            ("gevent",),
            _floor,
            inherits=lambda place: place.script("floor.py", "canned", "-"),
        ),
        Peer("blocking", "plain sockets", ("gevent",), _blocking),
        Peer(
            "gfcgi",
            "gfcgi",
            ("gfcgi",),
            _gfcgi,
            inherits=lambda place: place.script("start.fcgi"),
        ),
        Peer(
            "gfcgi-compiled",
            "gfcgi, compiled",
            ("gfcgi",),
            _gfcgi,
            inherits=lambda place: place.script("start.fcgi"),
            compiled=True,
        ),
        Peer(
            "gevent-fastcgi",
            "gevent-fastcgi",
            ("gevent-fastcgi==1.1.0.0",),
            _gevent_fastcgi,
            inherits=lambda place: _gevent_fastcgi(place, "-"),
        ),
        Peer(
            "flup",
            "flup",
            ("flup==1.0.3",),
            _flup,
            inherits=lambda place: place.script("serve_flup.py", "-", place.application),
        ),
        Peer(
            "uwsgi",
            "uWSGI",
            ("uwsgi",),
            _uwsgi,
            inherits=lambda place: _uwsgi(place, *_ON_DESCRIPTOR_0),
            multiplexes=False,
        ),
        Peer(
            "uwsgi-gevent",
            "uWSGI --gevent",
            ("uwsgi", "gevent"),
            _uwsgi_gevent,
            inherits=lambda place: _uwsgi_gevent(place, *_ON_DESCRIPTOR_0),
            multiplexes=False,
        ),
        Peer(
            "gunicorn",
            "gunicorn -k gevent (HTTP)",
            ("gunicorn[gevent]", "packaging"),
            _gunicorn,
            inherits=lambda place: _gunicorn(place, "fd://0"),
            protocol="http",
            multiplexes=False,
        ),
    )
}
