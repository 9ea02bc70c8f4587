"""Every bound: its name, its unit and its reason.

These are the defaults of the options of the same name; nothing else in the package sets a bound.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

BACKLOG: Final = 2048
"""Connections the kernel queues until we accept them. The kernel caps it at its own somaxconn
(4096 on today's Linux); gunicorn's default."""

MAX_CONNECTIONS: Final = 10_000
"""Transport connections open at once; further ones wait in the kernel's backlog. At about 14 KB
for a sleeping request this is 140 MB."""

MAX_CONCURRENT_REQUESTS: Final = 10_000
"""Requests running at once in the process, over all connections; one more gets OVERLOADED with
a 503 page. A Web server that opens a connection per request meets max_connections first."""

MAX_CONCURRENT_REQUESTS_PER_CONNECTION: Final = 1_000
"""Requests running at once on one multiplexed connection. HTTP/2 servers allow 100 to 250
streams; HAProxy asks for as many as its max-reqs says. 1 turns multiplexing off."""

MAX_PARAMS_BYTES: Final = 1 * MIB
"""Bytes in a request's PARAMS stream. Apache's own defaults let through 100 header fields of
8190 bytes: 800 KB."""

MAX_PARAMS_PAIRS: Final = 1_000
"""Name-value pairs in a request. Apache lets through 100 header fields and adds up to some 150
variables of its own (SSLOptions +StdEnvVars +ExportCertData)."""

STDIN_BUFFER_BYTES: Final = 256 * KIB
"""Body bytes read ahead of the application; then the socket is left alone, and the kernel makes
the Web server wait. More than the kernel itself holds for a UNIX socket, so that one read takes
all that is there."""

MULTIPLEXED_BUFFER_BYTES: Final = 256 * KIB
"""On a multiplexed connection reading must go on for the other requests: body bytes kept in
memory for each request; what follows goes to a temporary file."""

MAX_SPOOL_BYTES: Final = 1 * GIB
"""Body bytes in a request's temporary file; beyond it the whole connection waits until the
application has read them all. As large as nginx's own limit for a buffered response (1 GB)."""

MAX_DRAIN_BYTES: Final = 100 * MIB
"""Bytes of a body nobody wants that are read and dropped after an early answer, so that the Web
server can finish its send and read the answer. Go's net/http/fcgi drains as much."""

PARAMS_TIMEOUT_SECONDS: Final = 30.0
"""From the first byte of a request until its PARAMS are complete. A Web server sends them in
one write; only a broken or hostile one is slow."""

IDLE_TIMEOUT_SECONDS: Final = 3600.0
"""A kept connection without a request. Long, because closing it just when a request arrives
costs the client a 502; Web servers close their side after 60 s or so."""

STDIN_TIMEOUT_SECONDS: Final = 300.0
"""The application waits for body bytes and none come. Apache's classic Timeout; the Web server's
own limit for slow clients (60 s) comes first."""

STDOUT_TIMEOUT_SECONDS: Final = 300.0
"""A write makes no progress because the Web server does not read. The same reason."""

GRACEFUL_TIMEOUT_SECONDS: Final = 30.0
"""From the first stop signal until requests that still run are cut. gunicorn's default."""

RECV_BYTES: Final = 64 * KIB
"""Asked of the socket in one read, where no body is being received: a full record."""

HELD_STDERR_BYTES: Final = 8 * KIB
"""STDERR kept back until there is STDOUT to go with it, for a Web server that needs that: half of
HAProxy's buffer (16 KB), so that one read brings both."""

LOG_BURST: Final = 20
"""Log lines about malformed input before the rate applies, so that an attack cannot fill a disk."""

LOG_PER_SECOND: Final = 5.0
"""Log lines about malformed input per second after the burst."""

LINGER_SECONDS: float = 5.0
"""After our last byte, how long a Web server that still sends may pause before we close. nginx's
lingering_timeout. Not Final: it would be a constant in compiled code, and tests shorten it."""

FIRST_BYTES_SECONDS: Final = 1.0
"""After a stop, how long a Web server that has just connected may take to send its request: it
does so at once, but in a step of its own."""

PEERS_REMEMBERED: Final = 1024
"""Addresses of Web servers whose right to connect is remembered."""
