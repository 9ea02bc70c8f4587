"""HAProxy: an fcgi-app with its frontend and backend."""

from __future__ import annotations

from gfcgi.configurations.site import TIMEOUT_SECONDS, Site, comment
from gfcgi.limits import MAX_CONCURRENT_REQUESTS_PER_CONNECTION

__all__ = ["haproxy"]

USER = "haproxy"


def haproxy(site: Site) -> str:
    """The sections for one application.

    - ``docroot`` must be there; gfcgi makes no use of what it leads to.
    - ``path-info`` says where SCRIPT_NAME ends; without it there is no PATH_INFO.
    - Authorization is left out unless ``pass-header`` says otherwise.
    - ``http-reuse always`` uses kept connections for every request: gfcgi closes none for an hour
      (idle_timeout_seconds), HAProxy gives idle ones up after seconds.
    - ``get-values`` asks gfcgi how many requests a connection may have (FCGI_MAX_REQS);
      ``mpxs-conns`` sends so many of them at once. Only where it is asked for: before 3.4, in a
      burst, HAProxy answers some by itself with 500 (its issue 3346).
    - HAProxy streams both ways by itself, and has no limit for uploads.
    """
    application = [
        f"docroot {site.directory if site.target.module else _directory(site.script)}",
        f"path-info ^({site.pattern})(/.*){'?' if site.mount else ''}$",
        "pass-header Authorization",
        "log-stderr global",
        "option keep-conn" if site.keep_conn else "no option keep-conn",
    ]
    if site.multiplex:
        application += [
            "# Many requests at once on one connection. HAProxy before 3.4 refuses some of a burst",
            "# with a 500 of its own (its issue 3346), unless max-reqs is as low as 8 here and in",
            "# gfcgi (--max-concurrent-requests-per-connection 8).",
            "option get-values",
            "option mpxs-conns",
            f"option max-reqs {MAX_CONCURRENT_REQUESTS_PER_CONNECTION}",
        ]
    where = f"unix@{site.socket_path}" if site.socket_path else str(site.address)
    backend = [
        "mode http",
        "timeout connect 5s",
        f"timeout server {TIMEOUT_SECONDS}s               # silence of the application until 504",
        f"use-fcgi-app {site.name}",
        *(["http-reuse always"] if site.keep_conn else []),
        f"server {site.name} {where} proto fcgi",
    ]
    frontend = [
        f"bind {_listen(site)}",
        "mode http",
        f"timeout client {TIMEOUT_SECONDS}s",
        _use_backend(site),
    ]
    notes = [
        "At the end of /etc/haproxy/haproxy.cfg",
        "",
        *site.how_to_start(USER),
        "",
        "Then:",
        "  sudo haproxy -c -f /etc/haproxy/haproxy.cfg && sudo systemctl reload haproxy",
    ]
    if site.socket_path:
        notes += [
            "",
            "HAProxy connects when it has changed its root directory: the socket's path begins",
            "there. Take `chroot` out of `global`, as Debian's haproxy.cfg has it, or use TCP.",
        ]
    sections = [
        (f"fcgi-app {site.name}", application),
        (f"frontend {site.name}", frontend),
        (f"backend {site.name}", backend),
    ]
    texts = [
        "\n".join([title, *("    " + line for line in lines)]) + "\n" for title, lines in sections
    ]
    return "\n".join([comment(*notes), *texts])


def _use_backend(site: Site) -> str:
    if not site.mount:
        return f"default_backend {site.name}"
    return f"use_backend {site.name} if {{ path {site.mount} }} || {{ path_beg {site.mount}/ }}"


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _listen(site: Site) -> str:
    return f"{site.listen.host}:{site.listen.port}" if site.listen is not None else ":80"
