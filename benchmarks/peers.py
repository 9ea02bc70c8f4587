"""The compared servers: how to install each, and how to start it as its documentation says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import php_fpm

__all__ = ["PEERS", "Peer", "Place"]

THREADS = "8"
"""Of the servers that run the application in threads and are told how many."""
PROCESSES = "2"
"""Of the servers that are to use every core: this many are asked for where there are two."""
SERVERS = Path(__file__).parent / "servers"


@dataclass(frozen=True)
class Place:
    """What a server must serve, and where.

    ``floor`` has the mode of servers/floor.py for this load, and its number. ``concurrency`` is how
    many requests may be under way at once; some servers need it at their start.
    """

    python: Path
    address: str
    application: str
    floor: tuple[str, ...]
    concurrency: int = 1000
    multiplexed: bool = False

    def program(self, name: str) -> str:
        """Return the path of a program of the environment."""
        return str(self.python.parent / name)

    def script(self, name: str, *arguments: str) -> list[str]:
        return [str(self.python), str(SERVERS / name), *arguments]


@dataclass(frozen=True)
class Peer:
    """A server; ``packages`` are requirements for pip, and the first is what is measured.

    ``inherits`` returns the command that serves a listening socket on descriptor 0; None if the
    server cannot. ``compiled`` says which build of gfcgi it is.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    command: Callable[[Place], list[str]]
    inherits: Callable[[Place], list[str]] | None = None
    compiled: bool = False
    protocol: str = "fastcgi"
    multiplexes: bool = True
    keeps: bool = True
    """Whether a Web server should keep its connections: PHP-FPM has a process for each of them."""
    processes: int = 1
    """How many it has when it has started: what they all take is counted."""


def _floor(place: Place) -> list[str]:
    mode, *number = place.floor
    return place.script("floor.py", mode, place.address, *number)


def _blocking(place: Place) -> list[str]:
    mode, *number = place.floor
    return place.script("blocking.py", mode, place.address, *number)


def _gfcgi(place: Place) -> list[str]:
    python = str(place.python)
    return [python, "-m", "gfcgi", place.application, "--bind", f"unix:{place.address}"]


def _gfcgi_threads(place: Place) -> list[str]:
    return [*_gfcgi(place), "--threads", THREADS]


def _gfcgi_processes(place: Place) -> list[str]:
    return [*_gfcgi(place), "--processes", PROCESSES]


def _gevent_fastcgi(place: Place, socket: str | None = None) -> list[str]:
    return place.script("serve_gevent_fastcgi.py", socket or place.address, place.application)


def _flup(place: Place) -> list[str]:
    multiplexed = ("multiplexed",) if place.multiplexed else ()
    return place.script("serve_flup.py", place.address, place.application, *multiplexed)


_ON_DESCRIPTOR_0 = ("--protocol", "fastcgi")
"""uWSGI finds a listening socket on descriptor 0 itself, but not which protocol it has."""


def _backlog() -> int:
    """Return at most what the kernel allows: uWSGI does not start with more."""
    return min(2048, int(Path("/proc/sys/net/core/somaxconn").read_text()))


def _uwsgi(place: Place, *socket: str) -> list[str]:
    # The default buffer of 4 KB is too small for a large cookie. No other server has an access log.
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


def _uwsgi_processes(place: Place) -> list[str]:
    return [*_uwsgi(place), "--master", "--processes", PROCESSES]


def _php_fpm(place: Place) -> list[str]:
    return place.script("serve_php_fpm.py", php_fpm(), place.address, THREADS)


def _granian(place: Place) -> list[str]:
    return [
        *(place.program("granian"), "--interface", "wsgi", "--uds", place.address),
        *("--blocking-threads", THREADS, "--backlog", "2048", "--log-level", "warning"),
        place.application,
    ]


def _gunicorn_gthread_processes(place: Place) -> list[str]:
    return [*_gunicorn_gthread(place)[:-1], "--workers", PROCESSES, place.application]


def _gunicorn_gthread(place: Place) -> list[str]:
    # The connections that it keeps are for further requests; it closes those that are idle.
    return [
        *(place.program("gunicorn"), "--worker-class", "gthread", "--workers", "1"),
        *("--threads", THREADS, "--worker-connections", "10000", "--keep-alive", "3600"),
        *("--backlog", "2048", "--bind", f"unix:{place.address}", "--log-level", "warning"),
        place.application,
    ]


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
        Peer("gfcgi-threads", "gfcgi --threads 8", ("gfcgi",), _gfcgi_threads),
        Peer(
            "gfcgi-threads-compiled",
            "gfcgi --threads 8, compiled",
            ("gfcgi",),
            _gfcgi_threads,
            compiled=True,
        ),
        Peer(
            "gfcgi-processes",
            f"gfcgi --processes {PROCESSES}, compiled",
            ("gfcgi", "gunicorn", "packaging"),
            _gfcgi_processes,
            compiled=True,
            processes=1 + int(PROCESSES),
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
        Peer(
            "gunicorn-gthread",
            "gunicorn -k gthread (HTTP)",
            ("gunicorn", "packaging"),
            _gunicorn_gthread,
            protocol="http",
            multiplexes=False,
        ),
        Peer(
            "uwsgi-processes",
            f"uWSGI --processes {PROCESSES}",
            ("uwsgi",),
            _uwsgi_processes,
            multiplexes=False,
            processes=1 + int(PROCESSES),
        ),
        Peer(
            "gunicorn-gthread-processes",
            f"gunicorn -k gthread --workers {PROCESSES} (HTTP)",
            ("gunicorn", "packaging"),
            _gunicorn_gthread_processes,
            protocol="http",
            multiplexes=False,
            processes=1 + int(PROCESSES),
        ),
        Peer(
            "granian",
            "granian (HTTP)",
            ("granian",),
            _granian,
            protocol="http",
            multiplexes=False,
        ),
        Peer(
            "php-fpm",
            "PHP-FPM, hello.php",
            (),
            _php_fpm,
            multiplexes=False,
            keeps=False,
        ),
    )
}
