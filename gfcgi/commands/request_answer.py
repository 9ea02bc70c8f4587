"""How an answer is printed: its head, its body, its errors, its times, its records."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import BinaryIO, Final

from gfcgi.client.records import Teller
from gfcgi.client.request import Exchange
from gfcgi.client.response import ResponseHead
from gfcgi.commands.terminal import Output, Progress
from gfcgi.errors import ConfigError
from gfcgi.printing import printable
from gfcgi.protocol import EndRequest, ProtocolStatus, Stderr, Stdout

__all__ = ["FIRST_ERROR_STATUS", "Abandoned", "PrintedAnswer", "Tracer", "say"]

EXIT_FAILED: Final = 1
FIRST_ERROR_STATUS: Final = 400


def say(text: str) -> None:
    """Print one line on standard error, whatever is in it."""
    print(f"gfcgi: {printable(text)}", file=sys.stderr)


class Abandoned(Exception):
    """The request is to be given up."""


class Tracer:
    """Prints each record of both directions on standard error."""

    def __init__(self) -> None:
        self._tellers = {True: Teller(">"), False: Teller("<")}

    def observe(self, sent: bool, data: bytes | bytearray | memoryview) -> None:
        for line in self._tellers[sent].tell(data):
            print(line, file=sys.stderr)


class PrintedAnswer:
    """An answer as it is printed: where its head goes, its body, its errors; and its times."""

    def __init__(
        self,
        parsed: argparse.Namespace,
        upload: Progress,
        start: float,
        give_up: Callable[[], None],
    ) -> None:
        self._give_up = give_up
        self._parsed = parsed
        self._upload = upload
        self._start = start
        self._first: float | None = None
        self._status = 0
        self._size = 0
        self._download: Progress | None = None
        self._errors = Output(sys.stderr.buffer, terminal=sys.stderr.isatty())
        self._out = Output(sys.stdout.buffer, terminal=sys.stdout.isatty())
        self._file: BinaryIO | None = None

    def print(self, exchange: Exchange) -> int:
        for event in exchange.answer():
            if isinstance(event, Stderr):
                self._errors.write(bytes(event.data))
            elif isinstance(event, ResponseHead):
                self._head(event)
            elif isinstance(event, Stdout):
                self._body(bytes(event.data))
            else:
                self._end(event)
                return self._exit_status(event)
        raise AssertionError("an answer ends with END_REQUEST")

    def finish(self) -> None:
        if self._download is not None:
            self._download.finish()
        if self._file is not None:
            self._file.close()

    def _head(self, head: ResponseHead) -> None:
        self._upload.finish()
        self._first, self._status = time.monotonic(), head.status
        lines = [f"{head.status} {head.reason}", *map(": ".join, head.headers), "", ""]
        text = "\n".join(lines).encode("latin-1")
        self._out.write(text)
        if self._parsed.output is not None:
            self._file = _opened(self._parsed.output)
            length = head.get("Content-Length")
            self._download = Progress("received", int(length) if length else None)
            if self._parsed.include:
                self._file.write(text)

    def _body(self, data: bytes) -> None:
        before = self._size
        self._size += len(data)
        most = self._parsed.abort_after_bytes
        if most is not None:
            data = data[: most - before]
        if self._file is not None and self._download is not None:
            self._file.write(data)
            self._download.add(len(data))
        else:
            self._out.write(data)
        if most is not None and self._size >= most:
            self._give_up()
            raise Abandoned(f"after {most} bytes")

    def _end(self, end: EndRequest) -> None:
        if self._download is not None:
            self._download.finish()
        if self._parsed.times:
            now = time.monotonic()
            first = f"{self._first - self._start:.3f}" if self._first is not None else "no"
            print(
                f"gfcgi: first byte after {first} s, all {self._size} bytes of the body after"
                f" {now - self._start:.3f} s",
                file=sys.stderr,
            )

    def _exit_status(self, end: EndRequest) -> int:
        if end.app_status:
            say(f"the application's status is {end.app_status}")
        if end.protocol_status != ProtocolStatus.REQUEST_COMPLETE:
            reason = f"the request was refused: {ProtocolStatus(end.protocol_status).name}"
        elif self._status:
            failed = self._parsed.fail and self._status >= FIRST_ERROR_STATUS
            return EXIT_FAILED if failed else 0
        else:
            reason = "the request was ended without a response"
        say(reason)
        return EXIT_FAILED


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "wb")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", option="output", source="--output") from None
