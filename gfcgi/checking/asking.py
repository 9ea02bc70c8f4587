"""Ask an application for one page, through ``gfcgi.client``, with an eye on its process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import gevent

from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.checking.findings import Answer
from gfcgi.client.params import cgi_params
from gfcgi.client.request import Exchange, connect
from gfcgi.client.response import ResponseHead
from gfcgi.client.watching import abort_when
from gfcgi.errors import FastCGIError, TransportClosed
from gfcgi.protocol import ProtocolStatus, Stderr, Stdout

__all__ = ["Asked", "ask"]

LOOK_SECONDS: Final = 0.02
MAX_BODY_BYTES: Final = 1024 * 1024
BODY_SECONDS: Final = 2.0
"""Of a page that does not end, such as an event stream, how much is read."""


@dataclass(frozen=True)
class Asked:
    """What came of asking: an answer, or why there is none; and what came as FCGI_STDERR.

    ``cut``: the answer has no end.
    """

    answer: Answer | None
    stderr: str
    failure: Literal["", "ended", "timeout", "closed", "protocol", "cut"] = ""
    reason: str = ""


class _Ended(Exception):
    """The process is no more."""


class _Enough(Exception):
    """The page goes on, and what has come of it will do."""


def ask(
    address: UnixAddress | TCPAddress,
    seconds: float,
    *,
    ended: Callable[[], object] = lambda: None,
    script_name: str = "",
    path_info: str = "/",
    query: str = "",
) -> Asked:
    """Ask for a page as Apache does; ``ended`` gives None as long as the process runs."""
    target = f"{script_name}{path_info}{'?' if query else ''}{query}"
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "gfcgi check",
    }
    params = cgi_params(environ, target, server_address=("127.0.0.1", 80))
    params |= {"SCRIPT_NAME": script_name, "PATH_INFO": path_info}
    start = time.monotonic()
    stderr: list[bytes] = []
    try:
        exchange = Exchange(connect(address, timeout_seconds=seconds), params)
    except OSError as error:
        return Asked(None, "", "closed", error.strerror or str(error))
    stop_watching = abort_when(exchange, lambda: ended() is not None, _Ended())
    try:
        with gevent.Timeout(seconds, TimeoutError):
            answer, cut = _read(exchange, stderr, start)
        if answer is None:
            return Asked(None, _text(stderr), "closed", cut or "ended without a response")
        return Asked(answer, _text(stderr), "cut" if cut else "", cut)
    except TimeoutError:
        return Asked(None, _text(stderr), "timeout", f"no answer in {seconds:g} seconds")
    except _Ended:
        return Asked(None, _text(stderr), "ended", "the process ended")
    except ConnectionError as error:
        # Its process may have ended, which shows a moment later.
        gevent.sleep(LOOK_SECONDS)
        return Asked(None, _text(stderr), "ended" if ended() is not None else "closed", str(error))
    except FastCGIError as error:
        return Asked(None, _text(stderr), "protocol", str(error))
    finally:
        stop_watching()
        exchange.close()


def _text(stderr: list[bytes]) -> str:
    return b"".join(stderr).decode("utf-8", "replace")


def _read(exchange: Exchange, stderr: list[bytes], start: float) -> tuple[Answer | None, str]:
    """The answer, and how it was cut off, empty if it was not."""
    cut = ""
    head: ResponseHead | None = None
    seconds = 0.0
    body = bytearray()
    enough = gevent.Timeout(BODY_SECONDS, _Enough)
    try:
        for event in exchange.answer():
            if isinstance(event, ResponseHead):
                head, seconds = event, time.monotonic() - start
                enough.start()
            elif isinstance(event, Stdout):
                body += event.data
            elif isinstance(event, Stderr):
                stderr.append(bytes(event.data))
            elif event.protocol_status != ProtocolStatus.REQUEST_COMPLETE:
                return None, ""
            if len(body) > MAX_BODY_BYTES:
                break
    except _Enough:
        pass
    except TransportClosed as error:
        if head is None:
            raise
        cut = error.args[0]
    finally:
        enough.close()
    if head is None:
        return None, ""
    kind = head.get("Content-Type") or ""
    return Answer(head.status, head.reason, seconds, kind, bytes(body[:MAX_BODY_BYTES])), cut
