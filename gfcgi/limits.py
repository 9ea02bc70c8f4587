"""Every bound: its name, its unit and its reason.

An option of the same name has the bound as its default. Nothing else in the package sets a bound.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

BACKLOG: Final = 2048
"""Connections that the kernel queues until we accept them. The kernel lowers it to its somaxconn
(4096 on today's Linux). gunicorn has the same default."""

MAX_CONNECTIONS: Final = 10_000
"""Transport connections open at once. For a further one the one that has been idle for longest is
closed, as nginx does; where none is idle, it waits in the kernel's backlog. A sleeping request
takes about 14 KB, so this is 140 MB."""

MAX_CONCURRENT_REQUESTS: Final = 10_000
"""Requests running at once in the process, over all connections. A further one waits in line. A Web
server that opens a connection per request reaches max_connections first."""

WAITING_REQUESTS: int = 10_000
"""Requests in line. A further one gets OVERLOADED with a 503 page at once. As many as
MAX_CONNECTIONS, which a Web server that opens a connection per request reaches first: only
multiplexed connections can bring more. Not Final: tests shorten it."""

QUEUE_TIMEOUT_SECONDS: Final = 10.0
"""How long a request waits in line. People wait about ten seconds for a page, so a peak that is
over by then costs nobody an error; and an answer still comes before a Web server gives up (60 s for
nginx and Apache)."""

MAX_CONCURRENT_REQUESTS_PER_CONNECTION: Final = 1_000
"""Requests running at once on one multiplexed connection. HTTP/2 servers allow 100 to 250
streams. HAProxy sends up to its max-reqs. 1 turns multiplexing off."""

MAX_PARAMS_BYTES: Final = 1 * MIB
"""Bytes in a request's PARAMS stream. Apache's defaults allow 100 header fields of 8190 bytes:
800 KB."""

MAX_PARAMS_PAIRS: Final = 1_000
"""Name-value pairs in a request. Apache allows 100 header fields and adds up to about 150
variables of its own (SSLOptions +StdEnvVars +ExportCertData)."""

STDIN_BUFFER_BYTES: Final = 256 * KIB
"""Body bytes read ahead of the application. Then reading stops, and the kernel makes the Web server
wait. It is more than the kernel holds for a UNIX socket, so that one read takes all of that."""

MULTIPLEXED_BUFFER_BYTES: Final = 256 * KIB
"""Body bytes kept in memory for each request of a multiplexed connection, where reading must go on
for the other requests. The rest goes to a temporary file."""

MAX_SPOOL_BYTES: Final = 1 * GIB
"""Body bytes in a request's temporary file. Beyond it the whole connection waits until the
application has read them all. nginx has the same limit for a buffered response (1 GB)."""

MAX_DRAIN_BYTES: Final = 100 * MIB
"""Bytes of the body that are read and dropped after an early answer. The Web server reads the
answer only when it has sent the body. Go's net/http/fcgi drains as much."""

PARAMS_TIMEOUT_SECONDS: Final = 30.0
"""From the first byte of a request until its PARAMS are complete; and from the accept until the
first byte. A Web server connects when it has a request, and sends PARAMS in one write. Only a
broken or hostile one is slow."""

IDLE_TIMEOUT_SECONDS: Final = 3600.0
"""A kept connection without a request, since the end of its last one. It is long because a close at
the moment when a request arrives costs the client a 502. Web servers close their side after about
60 s."""

STDIN_TIMEOUT_SECONDS: Final = 300.0
"""The application waits for body bytes and none come. It is Apache's classic Timeout. The Web
server's own limit for slow clients (60 s) ends first."""

STDOUT_TIMEOUT_SECONDS: Final = 300.0
"""A write makes no progress because the Web server does not read. The reason is the same."""

REQUEST_TIMEOUT_SECONDS: Final = 0.0
"""How long a request may run. For ever by default: an event stream, a long poll and a large
download are requests that take long on purpose, and only the administrator knows the others."""

GRACEFUL_TIMEOUT_SECONDS: Final = 30.0
"""From the first stop signal until the requests still running are cut. gunicorn has the same
default."""

BLOCK_LOG_SECONDS: Final = 1.0
"""How long one request may hold up all others before the log says where it stands. People notice a
second, and a busy machine does not cause as much."""

BLOCK_KILL_SECONDS: Final = 0.0
"""The same until the process is ended. Never by default: what was computed would be lost."""

LOOK_PART: Final = 0.75
"""Part of block_log_seconds between two looks at the loop. The first look that finds it at work
begins to count, so that a standstill is logged after 1.75 times block_log_seconds at most."""

START_STANDS_TIMES: Final = 5
"""While the application is loaded: that many times block_log_seconds. Loading takes its time."""

STANDS_SECONDS: Final = 0.5
"""After graceful_timeout_seconds, how long the loop must have stood still before the process is
ended from outside. A loop that turns keeps to the timeout itself."""

LAST_RESORT_SECONDS: Final = 3.0
"""How much later than the watchdog itself ``faulthandler`` ends the process. A busy machine does
not keep the watchdog's thread from running for so long."""

PLACE_SECONDS: Final = 60.0
"""A place where the application has held up all others is logged once in this time."""

DUMPED_GREENLETS: Final = 100
"""Waiting greenlets whose stacks are dumped before the process is ended; ``faulthandler`` has the
same bound for threads."""

PLACES_REMEMBERED: Final = 64
"""Places for which it is remembered when they were logged."""

THREAD_END_SECONDS: Final = 0.05
"""Before a fork, the longest wait for the kernel to forget a thread that has ended. It takes some
20 microseconds."""

MAX_REQUESTS: Final = 0
"""Requests that a process answers before it is renewed. An application that leaks memory needs a
bound; others do not, so there is none by default, as in gunicorn."""

MAX_MEMORY_BYTES: Final = 0
"""Memory that a process takes before it is renewed. None by default: only the administrator knows
what the application needs."""

THREADS: Final = 0
"""Operating-system threads that run the application. 0 is greenlets, of which thousands cost
little: threads are for what is not made for greenlets."""

THREAD_AHEAD_BYTES: Final = 64 * KIB
"""Bytes of a response that a thread hands on without waiting until they are sent: one record. The
application makes the next block meanwhile (PEP 3333)."""

THREAD_ERRORS_BYTES: Final = 1 * MIB
"""Bytes of error output that a thread may be ahead of the loop with. More is left out and counted:
a thread that waited might hold a lock which the loop needs, as that of a logging handler."""

THREAD_READ_BYTES: Final = 256 * KIB
"""Body bytes that a thread takes from the loop at once: as many as STDIN_BUFFER_BYTES. Each time
both have to be woken."""

RECV_BYTES: Final = 64 * KIB
"""Bytes asked of the socket in one read while no body comes: a full record."""

PENDING_STDERR_BYTES: Final = 8 * KIB
"""Bytes of STDERR kept back until there is STDOUT, for a Web server that needs both together. It is
half of HAProxy's buffer (16 KB), so that one read brings both."""

FILE_BLOCK_BYTES: Final = 64 * KIB
"""Read of a file in ``wsgi.file_wrapper`` at once, if the application names no size: one record."""

MAX_FILE_BLOCK_BYTES: Final = 1 * MIB
"""The most that ``wsgi.file_wrapper`` reads at once, whatever the application names: other requests
wait for as long as that takes, some 0.3 ms from memory."""

LOG_BURST: Final = 20
"""Log lines about malformed input before the rate applies. The rate keeps an attack from filling
the disk."""

LOG_PER_SECOND: Final = 5.0
"""Log lines about malformed input per second after the burst."""

LINE_SAID_SECONDS: Final = 0.1
"""How long there has been a line when the log says so. The request before may just have its answer
and not have left its thread yet, and then nobody waits for a time that can be noticed."""

LINE_LOG_SECONDS: Final = 60.0
"""The log says once in this time that requests wait in line. It is the rule of a busy hour, and no
error."""

SLOW_LOG_SECONDS: Final = 0.0
"""How long a request runs before the log says where it stands. Never by default: how long is long
depends on the application."""

SLOW_LOOK_PART: Final = 0.125
"""Part of slow_log_seconds between two looks at the requests that run: so much later at most is a
slow one logged."""

SLOW_LOOK_MOST_SECONDS: Final = 1.0
"""The most between two such looks."""

SLOW_LOOK_LEAST_SECONDS: Final = 0.02
"""The least between two such looks, so that they take next to none of the processor's time."""

OUTPUT_TRIED_SECONDS: Final = 1.0
"""Between two attempts to open the access log where it cannot be opened. Requests do not wait."""

OUTPUT_SAID_SECONDS: Final = 60.0
"""The log says once in this time that the access log cannot be written."""

LINGER_SECONDS: float = 5.0
"""Longest pause of a Web server that still sends after our last byte; then we close. nginx's
lingering_timeout is the same. Not Final: compiled code would make a constant of it, and tests
shorten it."""

LINGER_TOTAL_SECONDS: float = 30.0
"""After our last byte, how long a Web server may go on sending in all, however steadily. nginx's
lingering_time and Apache's bound for the same. Not Final, as LINGER_SECONDS."""

CUT_GRACE_SECONDS: Final = 0.1
"""How long a multiplexed connection stays open after a response on it was cut and the others are
done. HAProxy may have put a request on it before it read that it should not."""

KEPT_GRACE_SECONDS: Final = 0.5
"""After a stop, time in which a kept connection still takes one request. The Web server may be
writing one at that moment, and would answer 502 if the connection were closed under it."""

FIRST_BYTES_SECONDS: Final = 1.0
"""Time for a Web server that connected just before a stop to send its request. It sends it at once,
but in a second step."""

PEERS_REMEMBERED: Final = 1024
"""Addresses of Web servers for which the answer to "may it connect?" is kept."""

HTTP_REQUEST_LINE_BYTES: Final = 8 * KIB
"""Bytes of a request line that the HTTP front reads. nginx and Apache have the same default."""

HTTP_HEAD_BYTES: Final = 64 * KIB
"""Bytes of a request's head, and of the trailers of its body, that the HTTP front reads. nginx
allows 32 KB, browsers' cookies of one site take less."""

HTTP_FIELDS: Final = 100
"""Header fields of a request, and trailers, that the HTTP front reads. Apache has the same
default."""

HTTP_CHUNK_LINE_BYTES: Final = 1 * KIB
"""Bytes of a line with a chunk's size that the HTTP front reads. Extensions are ignored, and nobody
sends them."""

HTTP_HEAD_SECONDS: float = 60.0
"""How long the HTTP front waits for a request's whole head, from its first byte; and after the
accept for the first byte. nginx's client_header_timeout is the same. Tests shorten it."""

HTTP_BODY_SECONDS: float = 60.0
"""How long the HTTP front waits for the next bytes of a body that the application can take. nginx's
client_body_timeout is the same. Tests shorten it."""

HTTP_IDLE_SECONDS: float = 75.0
"""How long the HTTP front keeps a connection for the next request. nginx's keepalive_timeout is the
same. Tests shorten it."""

HTTP_SEND_SECONDS: float = 300.0
"""How long the HTTP front waits for a client that reads nothing of the response. The application's
server waits as long for the front. Tests shorten it."""

HTTP_LINGER_BYTES: Final = 1 * MIB
"""Bytes that the HTTP front reads and drops after it has refused a request, so that the client sees
why. Who sends more is not reading."""

FIRST_PAUSE_SECONDS: Final = 0.001
"""Before a lock of a file or a database is tried again for the first time; then twice as long each
time. SQLite's own busy handler begins with as much."""

LONGEST_PAUSE_SECONDS: Final = 0.05
"""The longest pause before a lock is tried again: 20 system calls a second for each that waits."""

LOOK_SECONDS: float = 1.0
"""Between two looks at the files of an application that is renewed when they change, and at its
memory. A look takes some microseconds for each file. Tests change it."""

LOAD_ASIDE_SECONDS: float = 60.0
"""How long a new version may take to be loaded beside the old one, and the pause before memory or a
number of requests ask again after one that cannot be loaded. Tests change it."""

HELD_SECONDS: float = 5.0
"""Where a Web server has started the process and a file has changed, how long new connections wait
for the version that is being loaded; then the old one takes them. Tests change it."""

SETTLE_SECONDS: Final = 0.1
"""Files that have changed are looked at again after this: somebody may be writing them still."""

ACCEPT_GRACE_SECONDS: float = 0.2
"""After a stop, how long to accept from a socket that is removed when we end. In 50 ms Apache's old
workers have handed on what they had read, and the rest is for slow clients; meanwhile mod_fastcgi
waits for us, two seconds at most, and Apache starts no new workers. Tests change it."""

STATUS_REQUESTS: Final = 100
"""Requests in flight that the status page lists: the oldest ones. A page with thousands would hold
up the requests that it tells of."""

STATUS_PATH_CHARACTERS: Final = 1000
"""Of a path on the status page; Web servers let clients send 8 KB and more."""

STATUS_LATE_SECONDS: Final = 0.05
"""How late one process may tell the others what it has counted. Telling them with every request
would cost more than all other counting."""

STATUS_LOOK_SECONDS: Final = 1.0
"""How often a process of several tells the others its memory and its connections, which change
without a request."""
