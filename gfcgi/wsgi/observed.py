"""What an access log, a status page or a metric can know of a request.

An observer is told when a request begins and when it has ended. In between it may look at the
``Observed`` that it was given, from any thread.

A request is counted where its bytes are sent, beside the gateway and not around it. So pages of
gfcgi's own are seen too, and where there is no observer, there is nothing to be called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import Any, Final, Protocol

from gfcgi.protocol.events import Bytes
from gfcgi.wsgi.request import name_in

__all__ = ["NOTHING_SENT", "Observed", "Observer", "Observers"]

NOTHING_SENT: Final = "499 Client Closed Request"
"""nginx's status for a request that its client has given up before there was an answer."""

_DIGIT_0: Final = 48


class Observer(Protocol):
    """Is told of requests in the event loop's thread, in the greenlet of the request.

    A method that waits keeps the request waiting, with ``--threads`` everybody. One that raises
    costs a line in the log.

    ``detailed``, which may be missing, says whether it asks for the params as they were sent, for
    ``received`` or ``aborted`` of a request that has ended. Where no observer does, they cost
    nothing.
    """

    def request_begun(self, observed: Observed) -> None:
        """The params are complete; the application has not been called."""

    def request_ended(self, observed: Observed) -> None:
        """The application is done, and END_REQUEST was sent or never will be."""


class Observed:
    """One request and what was sent for it. Whoever keeps it keeps its params in memory."""

    __slots__ = (
        "_aborted",
        "_fields",
        "_head",
        "_received",
        "_status",
        "began",
        "cut",
        "ended",
        "environ",
        "expired",
        "greenlet",
        "in_line",
        "params",
        "request",
        "sent",
        "thread",
    )

    def __init__(self, params: dict[str, str], request: Any, greenlet: Any = None) -> None:
        self.request = request
        """The ``gfcgi.wsgi.request.Request`` while it runs, else None."""
        self.params = params
        """As the Web server sent them, in latin-1. Where all observers do without
        (``Observer.detailed``), they are ``environ``."""
        self.environ: dict[str, Any] = params
        """The application's environ: corrected by the rules, and as the application leaves it."""
        self.greenlet = greenlet
        """Where the request runs, with ``--threads`` where its thread is attended; None after it"""
        self.thread = 0
        """The number of its thread (``threading.get_ident``) with ``--threads``, else 0."""
        self.in_line = False
        """Whether it waits until it may run."""
        self.began = monotonic()
        """When its params were complete: monotonic, in seconds."""
        self.ended = 0.0
        """Monotonic, in seconds; 0 while it runs."""
        self.sent = 0
        """Bytes of the response's body that were sent, or handed to the kernel."""
        self.cut = False
        """Whether the response ended before it was whole."""
        self.expired = False
        """Whether it was ended because it has run for too long; then the Web server was there."""
        self._head = b""
        self._status = ""
        self._fields: list[tuple[str, str]] | None = None
        self._received = 0
        self._aborted = False

    # -- what observers ask

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (self.ended or monotonic()) - self.began

    @property
    def began_at(self) -> float:
        """When its params were complete, in seconds since the epoch."""
        return time() - (monotonic() - self.began)

    @property
    def method(self) -> str:
        """REQUEST_METHOD, which the client has chosen."""
        return self.params.get("REQUEST_METHOD", "")

    @property
    def path(self) -> str:
        """SCRIPT_NAME and PATH_INFO, decoded by the Web server: it may hold any character."""
        return self.params.get("SCRIPT_NAME", "") + self.params.get("PATH_INFO", "")

    @property
    def remote_addr(self) -> str:
        """The HTTP client's address, as the rules have corrected it; empty if nobody has said."""
        return str(self.environ.get("REMOTE_ADDR", ""))

    @property
    def name(self) -> str:
        """Method and path for a log line, escaped."""
        return name_in(self.params)

    @property
    def status(self) -> str:
        """The response's status such as ``"200 OK"``; empty as long as nothing was sent."""
        if not self._status and self._head:
            self._read_head()
        return self._status

    @property
    def status_class(self) -> int:
        """The first digit of the status; 0 if nothing was sent. It costs less than the status."""
        # The gateway and the pages write it so. What takes one value is called at half the cost.
        _, name, status = self._head.rpartition(b"\nStatus: ")
        if name:
            return status[0] - _DIGIT_0
        if status.startswith(b"Status: "):
            return status[8] - _DIGIT_0
        return 2 if status else 0

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields of the response as they were sent, without Status."""
        if self._fields is None:
            if not self._head:
                return []
            self._read_head()
        return self._fields or []

    @property
    def received(self) -> int:
        """Bytes of the request's body that have come."""
        if self.request is None:
            return self._received
        received: int = self.request.stdin.received
        return received

    @property
    def aborted(self) -> bool:
        """Whether the Web server has given the request up, or has left."""
        if self.request is None:
            return self._aborted
        aborted: bool = self.request.aborted.is_set()
        return aborted and not self.expired

    # -- who sends tells it

    def count(self, data: Bytes) -> None:
        """Take note of bytes of STDOUT that were sent; the first ones have the header block."""
        length = len(data)
        if not self._head and length:
            first = data if type(data) is bytes else bytes(data)
            self._head, _, body = first.partition(b"\r\n\r\n")
            length = len(body)
        self.sent += length

    def _read_head(self) -> None:
        status, fields = "200 OK", []  # RFC 3875 §6.3.3
        for line in self._head.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            if name == "Status":
                status = value.strip()
            elif colon:
                fields.append((name, value.strip()))
        self._fields, self._status = fields, status

    def end(self) -> None:
        """Let go of what runs; what was counted stays."""
        self._received, self._aborted = self.received, self.aborted
        self.ended = monotonic()
        self.request = self.greenlet = None
        self.thread = 0
        self.in_line = False


class Observers:
    """Tells every observer. ``failed`` logs an error of one, at a bounded rate."""

    __slots__ = ("_begun", "_detailed", "_ended", "_failed")

    def __init__(
        self, observers: Sequence[Any], failed: Callable[[BaseException, str], object]
    ) -> None:
        self._begun: list[Callable[[Observed], object]] = [one.request_begun for one in observers]
        self._ended: list[Callable[[Observed], object]] = [
            one.request_ended for one in reversed(observers)
        ]
        self._failed = failed
        self._detailed = any(getattr(one, "detailed", True) for one in observers)

    def begin(self, observed: Observed) -> None:
        """Tell that a request begins, or gets in line to begin later.

        The request refers to ``observed`` by now, to have its response counted.
        """
        if self._detailed:
            observed.params = observed.params.copy()  # before the rules correct them
        for call in self._begun:
            try:
                call(observed)
            except BaseException as error:  # a gevent.Timeout, for one
                self._failed(error, observed.name)

    def end(self, observed: Observed) -> None:
        """Tell that it has ended, and is referred to by its request no more.

        The environ refers to the request; the garbage collector would have the two to find.
        """
        if self._detailed:
            observed.end()
        else:
            observed.ended = monotonic()
            observed.request = observed.greenlet = None
        for call in self._ended:
            try:
                call(observed)
            except BaseException as error:  # as above
                self._failed(error, observed.name)

    def refused(self, params: dict[str, str], page: Bytes, request: Any = None) -> None:
        """Tell of a request that was answered with a page of ours, or with none, and never ran."""
        observed = Observed(params, request)
        self.begin(observed)
        if len(page):
            observed.count(page)
        self.end(observed)

    def leave(self) -> None:
        """Tell nobody any more: this is a forked child, and the requests are its parent's."""
        self._begun, self._ended = [], []
