"""The status page and the ping: who may see them, and what they say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from gfcgi import limits
from gfcgi._version import __version__
from gfcgi.addresses import LOOPBACK, Networks
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.built import build
from gfcgi.process.log import log
from gfcgi.process.memory import resident_bytes
from gfcgi.process.stacks import place_of
from gfcgi.process.status.counts import Counts
from gfcgi.process.status.forms import FORMS, HTML, JSON, OPENMETRICS, TEXT, form_for
from gfcgi.process.status.shared import Numbers, SharedNumbers
from gfcgi.process.status.snapshot import Snapshot, Standing, numbers_of
from gfcgi.wsgi.headers import encode_head
from gfcgi.wsgi.pages import error_page

if TYPE_CHECKING:
    from gfcgi.server import Server
    from gfcgi.server.background import Background
    from gfcgi.server.own_pages import Asked, Page
    from gfcgi.wsgi.observed import Observed

__all__ = ["Status"]

_ALWAYS: Final = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]

NOT_INSTALLED: Final = (
    "prometheus-client writes this form, and is not installed: pip install 'gfcgi[metrics]'"
)


class Status:
    """The pages of one process, and what they count.

    ``directory`` is where processes exchange their numbers; None if this one has nobody to exchange
    them with, or cannot. ``alone`` says why the numbers of others are missing, empty if none are.

    Raises: ConfigError.
    """

    def __init__(self, options: Options, directory: str | None = None, alone: str = "") -> None:
        if options.ping_path and options.ping_path == options.status_path:
            raise ConfigError(
                f"{options.ping_path!r}: the status page has this path",
                option="ping_path",
                source=options.source_of("ping_path"),
            )
        self._options = options
        self._networks = Networks(options.status_allow or LOOPBACK)
        self._alone = alone
        self._started = time()
        self._pid = os.getpid()
        self._server: Server | None = None
        self._background: Background | None = None
        self._shared: SharedNumbers | None = None
        self.counts = Counts()
        if directory is not None and options.status_path:
            try:
                self._shared = SharedNumbers(directory)
            except OSError as error:
                self._alone = f"This page has the numbers of process {self._pid} alone: {error}."
                log.warning("%s", self._alone)

    @property
    def pages(self) -> dict[str, Page]:
        """What ``Server(own_pages=)`` takes."""
        paths = {self._options.status_path: self.status, self._options.ping_path: self.ping}
        return {path: page for path, page in paths.items() if path}

    @property
    def observers(self) -> Sequence[Counts]:
        """What ``Server(observers=)`` takes."""
        return (self.counts,) if self._options.status_path else ()

    # -- the life of the server

    def watch(self, server: Server) -> None:
        """Tell of this server from now on."""
        self._server = server

    def __enter__(self) -> None:
        """Keep the numbers up to date, for rates and for other processes; in the hub's thread."""
        if not self._options.status_path:
            return
        from gfcgi.server.background import Background

        seconds = limits.STATUS_LOOK_SECONDS if self._shared is not None else None
        self._background = Background(self._look, seconds)
        self._background.start()
        self.counts.changed = self._changed

    def __exit__(self, *exception: object) -> None:
        """Do so no more; what has been counted by now is said to the others."""
        self.counts.changed = None
        if self._background is not None:
            self._background.stop()
            self._background = None
        self._say()
        if self._shared is not None and os.getpid() == self._pid:
            self._shared.close()
            self._shared = None

    def _changed(self) -> None:
        self.counts.sample(monotonic())
        if self._background is not None:
            self._background.wake()

    def _look(self) -> None:
        if self._background is not None:
            self._background.pause(limits.STATUS_LATE_SECONDS)
        self.counts.unsaid = False
        self.counts.sample(monotonic())
        self._say()

    def _say(self) -> None:
        # A child of the application's has the same file, and other numbers.
        if self._shared is not None and os.getpid() == self._pid:
            self._shared.write(self._numbers())

    # -- the pages

    def ping(self, asked: Asked) -> bytes:
        """``pong``, or 503 while this process stops.

        Whoever has no address is a Web server's own health check: a Web server says of each client
        who it is, and nobody else reaches the socket.
        """
        self.counts.own += 1
        if asked.client != "" and not self._may_see(asked):
            return self._refuse(asked)
        if self._server is not None and self._server.stopping:
            return _response(asked, "503 Service Unavailable", TEXT, "draining\n")
        return _response(asked, "200 OK", TEXT, "pong\n")

    def status(self, asked: Asked) -> bytes:
        """The status in the form that is asked for."""
        self.counts.own += 1
        if not self._may_see(asked):
            return self._refuse(asked)
        params = asked.params
        if params["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return error_page("405 Method Not Allowed", "The status is for GET and HEAD.")
        form = form_for(params["QUERY_STRING"], params.get("HTTP_ACCEPT", ""))
        try:
            return self._in_form(asked, form)
        except Exception as error:  # nothing that is not known may cost the connection
            log.error("the status page failed", exc_info=error)
            return error_page("500 Internal Server Error", "The status page failed.")

    def _in_form(self, asked: Asked, form: str) -> bytes:
        if form == OPENMETRICS:
            from gfcgi.process.status.openmetrics import CONTENT_TYPE, as_openmetrics

            try:
                text = as_openmetrics(self.snapshot())
            except ImportError:
                return _response(asked, "501 Not Implemented", TEXT, f"{NOT_INSTALLED}\n")
            return _response(asked, "200 OK", form, text, [("Content-Type", CONTENT_TYPE)])
        if form == HTML:
            from gfcgi.process.status.html import HEADERS, as_html

            return _response(asked, "200 OK", form, as_html(self.snapshot()), HEADERS)
        from gfcgi.process.status.text import as_json, as_text

        make = as_json if form == JSON else as_text
        return _response(asked, "200 OK", form, make(self.snapshot()))

    def _may_see(self, asked: Asked) -> bool:
        return asked.client is not None and asked.client in self._networks

    def _refuse(self, asked: Asked) -> bytes:
        if asked.client is None:
            detail = "A proxy that --trusted-proxies does not name has forwarded the request."
        elif asked.client:
            detail = "This address may not see it. --status-allow says which may."
        else:
            detail = "Nobody has said which address asks."
        return _response(asked, "403 Forbidden", TEXT, f"403 Forbidden\n\n{detail}\n")

    # -- what they say

    def snapshot(self) -> Snapshot:
        """What is known just now."""
        processes: dict[int, Numbers] = {self._pid: self._numbers()}
        ended: Numbers = {}
        if self._shared is not None:
            # All numbers as they are in the files: what another process has shown is there, so no
            # count goes down from one page to the next, whoever answers.
            self._say()
            processes, ended = self._shared.read()
            processes = {pid: numbers for pid, numbers in processes.items() if "started" in numbers}
        server = self._server
        standing = self._standing()
        return Snapshot(
            version=__version__,
            build=build(),
            pid=self._pid,
            at=time(),
            draining=server is not None and server.stopping,
            idle_connections=0
            if server is None
            else sum(bool(one.idle_since()) for one in server.open_connections),
            most_connections=self._options.max_connections,
            most_running=self._options.max_concurrent_requests,
            processes=processes,
            ended=ended,
            alone=self._alone,
            standing=tuple(standing[: limits.STATUS_REQUESTS]),
            more=max(0, len(standing) - limits.STATUS_REQUESTS),
        )

    def _numbers(self) -> Numbers:
        server = self._server
        running = [] if server is None else self._running(server)
        return numbers_of(
            self.counts,
            now=monotonic(),
            started=self._started,
            running=len(running),
            waiting=sum(one.in_line for one in running),
            connections=0 if server is None else server.connections,
            memory=resident_bytes(),
        )

    @staticmethod
    def _running(server: Server) -> list[Observed]:
        found = [one.observed for one in server.requests]
        return [observed for observed in found if observed is not None]

    def _standing(self) -> list[Standing]:
        """The requests in flight, the oldest first; where they stand is known of the oldest."""
        if self._server is None:
            return []
        from gfcgi.server.observers import frame_of

        running = sorted(self._running(self._server), key=lambda one: one.began)
        standing = []
        for number, one in enumerate(running):
            if one.in_line:
                place = "waits in line"
            else:
                place = place_of(frame_of(one)) if number < limits.STATUS_REQUESTS else ""
            method, path = (_short(text) for text in (one.method, one.path))
            standing.append(Standing(one.seconds, method, path, place))
        return standing


def _short(text: str) -> str:
    """The beginning of a text that a client may have made as long as it likes."""
    most = limits.STATUS_PATH_CHARACTERS
    return text if len(text) <= most else f"{text[:most]}..."


def _response(
    asked: Asked,
    status: str,
    form: str,
    text: str,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return a whole CGI/1.1 response; of a HEAD the header block."""
    body = text.encode("utf-8", "replace")
    kind = headers or [("Content-Type", f"{FORMS[form]}; charset=utf-8")]
    head = encode_head(status, [*kind, *_ALWAYS], len(body))
    return head if asked.params["REQUEST_METHOD"] == "HEAD" else head + body
