"""The table's columns: a Web server in one mode, the way its application is started, what differs.

A difference is a fact of the Web server and never a fault of gfcgi; each has its reason beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .applications import Application, Bound, SpawnFcgi
from .webservers import (
    H2O,
    ApacheCGI,
    ApacheFastcgi,
    ApacheFcgid,
    ApacheProxy,
    Caddy,
    Development,
    HAProxy,
    Lighttpd,
    Nginx,
    WebServer,
)

#: How many requests a process has at once, and how many processes there are.
ONE_PROCESS = "one process has all requests at once"
ONE_REQUEST_EACH = "mod_fcgid gives a process one request at a time"
#: What a graceful reload of Apache may answer.
CGID_AWAY = (503, "mod_cgid's daemon is away for a moment, and requests just then may get 503")
FASTCGI_BINDING = (
    500,
    "mod_fastcgi binds a script's socket before it listens there; a request just then may get 500",
)
FCGID_STARTING = (500, "mod_fcgid stops a process that still starts, and its request may get 500")
#: Only its Content-Length shows that a response is not whole.
NEEDS_LENGTH = (False, True)
PROCESS_EACH = "under CGI every request has a process"
SEVERAL_PROCESSES = "multiwatch runs several processes on one socket"


@dataclass(frozen=True)
class Column:
    """One column: what is started, and what is expected of it where that is not the usual."""

    name: str
    server: WebServer
    application: Application = field(default_factory=Bound)
    mount: str = "/app"
    concurrency: str = ONE_PROCESS
    #: Output reaches the HTTP client as the application yields it; False: when it is all there.
    streams_response: bool = True
    #: A slow HTTP client slows the application; False: the Web server takes everything in first.
    holds_back: bool = True
    #: The application starts before the request's body is complete.
    streams_request: bool = False
    #: The status of a chunked upload: 200, or how the Web server refuses it.
    chunked_status: int = 200
    #: The application's iterable is closed early when the HTTP client leaves in mid-response.
    notices_leaving: bool = True
    #: New requests are served while one that began before a graceful reload still runs.
    accepts_while_reloading: bool = True
    #: FCGI_STDERR can be read in the Web server's error log.
    logs_stderr: bool = True
    #: The HTTP client can tell a response that breaks off from a whole one: without a
    #: Content-Length, and with one.
    shows_cut: tuple[bool, bool] = (True, True)
    #: The status of a request that a graceful reload may cost, and why.
    reload_costs: tuple[int, str] | None = None
    #: Transport connections are kept for the next request.
    keeps_connections: bool = False
    #: Cases that cannot be run here: name of the test function -> reason.
    impossible: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


COLUMNS = [
    Column("nginx", Nginx(), holds_back=False),
    Column(
        "nginx-keepalive",
        Nginx(keep_conn=True),
        Bound(tcp=True),
        holds_back=False,
        keeps_connections=True,
    ),
    Column(
        "nginx-streaming",
        Nginx(keep_conn=True, streaming=True),
        streams_request=True,
        keeps_connections=True,
    ),
    Column(
        "apache-proxy-unix",
        ApacheProxy(reuse=True),
        streams_request=True,
        keeps_connections=True,
    ),
    Column(
        "apache-proxy-tcp",
        ApacheProxy(),
        Bound(tcp=True),
        streams_request=True,
    ),
    Column(
        "apache-fcgid",
        ApacheFcgid(),
        Application(),
        concurrency=ONE_REQUEST_EACH,
        accepts_while_reloading=False,
        reload_costs=FCGID_STARTING,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "apache-fastcgi",
        ApacheFastcgi(),
        Application(),
        streams_request=True,
        reload_costs=FASTCGI_BINDING,
        chunked_status=411,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "apache-fastcgi-static",
        ApacheFastcgi(static=True),
        Application(),
        streams_request=True,
        chunked_status=411,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "apache-fastcgi-external",
        ApacheFastcgi(spawn=False),
        Bound(tcp=True),
        streams_request=True,
        chunked_status=411,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "apache-cgi",
        ApacheCGI(),
        Application(),
        concurrency=PROCESS_EACH,
        streams_request=True,
        reload_costs=CGID_AWAY,
        shows_cut=(False, False),
    ),
    Column(
        "cgi-fcgi",
        ApacheCGI(bridge=True),
        streams_request=True,
        reload_costs=CGID_AWAY,
        impossible={
            "test_chunked_upload": "cgi-fcgi sends no body without CONTENT_LENGTH",
            "test_early_answer_to_an_upload_reaches_the_http_client": (
                "cgi-fcgi ends with the body unread, and mod_cgid then loses the answer"
            ),
        },
        shows_cut=(False, False),
    ),
    Column("spawn-fcgi-unix", Nginx(streaming=True), SpawnFcgi(), streams_request=True),
    Column("spawn-fcgi-tcp", Nginx(), SpawnFcgi(tcp=True), holds_back=False),
    Column(
        "multiwatch",
        Nginx(streaming=True),
        SpawnFcgi(forks=2),
        concurrency=SEVERAL_PROCESSES,
        streams_request=True,
    ),
    Column(
        "lighttpd",
        Lighttpd(),
        streams_response=False,
        holds_back=False,
        notices_leaving=False,
        accepts_while_reloading=False,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "lighttpd-streaming",
        Lighttpd(streaming=True),
        Bound(tcp=True),
        streams_request=True,
        chunked_status=411,
        accepts_while_reloading=False,
    ),
    Column(
        "lighttpd-spawn",
        Lighttpd(streaming=True, spawn=True),
        Application(),
        streams_request=True,
        chunked_status=411,
        accepts_while_reloading=False,
    ),
    Column(
        "caddy",
        Caddy(streaming=True),
        streams_request=True,
        logs_stderr=False,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "h2o",
        H2O(),
        Bound(arguments=("--script-name", "/app")),
        holds_back=False,
        shows_cut=NEEDS_LENGTH,
    ),
    Column(
        "h2o-tcp",
        H2O(),
        Bound(tcp=True, arguments=("--script-name", "/app")),
        holds_back=False,
        shows_cut=NEEDS_LENGTH,
    ),
    Column("h2o-spawn", H2O(spawn=True), Application(), holds_back=False, shows_cut=NEEDS_LENGTH),
    Column(
        "haproxy",
        HAProxy(),
        streams_request=True,
        chunked_status=400,
        keeps_connections=True,
    ),
    Column(
        "haproxy-noconn",
        HAProxy(keep_conn=False),
        Bound(tcp=True),
        streams_request=True,
        chunked_status=400,
    ),
    Column(
        "haproxy-multiplex",
        HAProxy(multiplex=True),
        streams_request=True,
        chunked_status=400,
        keeps_connections=True,
    ),
    Column("http-front", Development(), Application(), mount="", streams_request=True),
]
