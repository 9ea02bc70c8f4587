"""``python -m gfcgi request ADDRESS URL``: ask a FastCGI application, as curl asks a Web server."""

from __future__ import annotations

import argparse
import os
import re
import signal
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from gfcgi import option_parsers
from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.checking.processes import Started
from gfcgi.checking.users import find_user
from gfcgi.client.many import MultiplexedConnection, Outcome, ask_many, ask_once
from gfcgi.client.request import Exchange, Observer, Source, blocking_chunks, connect
from gfcgi.client.watching import abort_when
from gfcgi.client.webservers import DIALECTS
from gfcgi.commands.own_name import called_as
from gfcgi.commands.request_answer import (
    FIRST_ERROR_STATUS,
    Abandoned,
    PrintedAnswer,
    Tracer,
    say,
)
from gfcgi.commands.request_params import Wanted, make_params
from gfcgi.commands.terminal import Output, Progress
from gfcgi.commands.values import number, peer, seconds
from gfcgi.errors import ConfigError, FastCGIError
from gfcgi.printing import printable
from gfcgi.protocol import Role
from gfcgi.protocol.params import Pairs

__all__ = ["main"]

EXIT_FAILED: Final = 1
SENDS_ABORT: Final = "haproxy"
"""The only Web server that sends ABORT_REQUEST; the others just close."""
ROUTINE: Final = re.compile(rb"gfcgi\[\d+\](?: INFO:|: stopping;)")
"""Of what a script's process says, the lines that mean that all is well."""
SCRIPT_SECONDS: Final = 4.0
"""From SIGTERM until a script that was started for the request is killed."""


def main(arguments: Sequence[str]) -> int:
    """Send a request and print its answer; 1 if there was none, else 0 whatever its status.

    Raises: ConfigError, and SystemExit(2) where argparse complains.
    """
    parsed = _parser().parse_args(arguments)
    many = parsed.number > 1 or parsed.multiplex
    address = _address(parsed.address)
    stdin, length = _content(parsed.data, "--data")
    data, _ = _content(parsed.filter_data, "--filter-data")
    stdin, length, chunked = _counted(stdin, length, parsed, hold=many)
    params, repeated = make_params(_wanted(parsed, length, chunked=chunked))
    # Ctrl-C just ends us: KeyboardInterrupt could come up in any greenlet, with a traceback.
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with _application(address) as running:
            place = running.address if running is not None else address
            assert not isinstance(place, Script)
            ask = Ask(parsed, place, params, repeated, stdin, data)
            return _ask_many(ask) if many else _ask_once(ask, running, length)
    except BrokenPipeError:
        # Who read our output has left; Python would complain of that once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TimeoutError:
        say(f"{address}: no answer in {parsed.timeout:g} seconds")
    except ConfigError:
        raise
    except (FastCGIError, OSError) as error:
        say(f"{address}: {error}")
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
    return EXIT_FAILED


@dataclass(frozen=True)
class Ask:
    """All that it takes to send the request."""

    parsed: argparse.Namespace
    address: UnixAddress | TCPAddress
    params: dict[str, str]
    repeated: Pairs
    stdin: bytes | Iterator[bytes]
    data: bytes | Iterator[bytes]

    def exchange(self, observe: Observer | None = None, stdin: Source | None = None) -> Exchange:
        timeout = self.parsed.timeout
        return Exchange(
            connect(self.address, timeout_seconds=timeout),
            self.params,
            stdin=self.stdin if stdin is None else stdin,
            data=self.data,
            role=Role[self.parsed.role.upper()],
            timeout_seconds=timeout,
            repeated=self.repeated,
            observe=observe,
        )


# --- a script that is started for it -------------------------------------------------------------


@contextmanager
def _application(address: Address) -> Iterator[Started | None]:
    """Start the script if one is named, as mod_fastcgi would; stop it in the end."""
    if not isinstance(address, Script):
        yield None
        return
    started = Started([address.path], find_user(str(os.geteuid())), {}, address.directory)
    try:
        yield started
    finally:
        started.stop(SCRIPT_SECONDS)
        lines = started.stderr.splitlines(keepends=True)
        said = b"".join(line for line in lines if not ROUTINE.search(line))
        Output(sys.stderr.buffer, terminal=sys.stderr.isatty()).write(said)
        started.clean_up()


class Script(NamedTuple):
    """A script that is to be started."""

    path: str

    @property
    def directory(self) -> str:
        return os.path.dirname(self.path)

    def __str__(self) -> str:
        return f"script:{self.path}"


Address = UnixAddress | TCPAddress | Script


class _Ended(FastCGIError):
    """The script has ended instead of answering."""


# --- one request ---------------------------------------------------------------------------------


def _ask_once(ask: Ask, running: Started | None, length: int | None) -> int:
    parsed = ask.parsed
    upload = Progress("sent", length)
    stdin = ask.stdin if isinstance(ask.stdin, bytes) else _measured(ask.stdin, upload)
    start = time.monotonic()
    exchange = ask.exchange(Tracer().observe if parsed.verbose else None, stdin)
    watches = _watches(exchange, ask, running)
    give_up = exchange.send_abort if parsed.as_server == SENDS_ABORT else lambda: None
    answer = PrintedAnswer(parsed, upload, start, give_up)
    try:
        return answer.print(exchange)
    except Abandoned as reason:
        say(f"given up {reason}")
        return 0
    finally:
        for stop in watches:
            stop()
        exchange.close()
        upload.finish()
        answer.finish()


def _watches(exchange: Exchange, ask: Ask, running: Started | None) -> list[Callable[[], None]]:
    """What gives the request up: its time is over, or its script has ended."""
    watches = []
    limit = ask.parsed.abort_after_seconds
    if limit is not None:
        late = time.monotonic() + limit
        reason = Abandoned(f"after {limit:g} seconds")
        first = exchange.send_abort if ask.parsed.as_server == SENDS_ABORT else None
        watches.append(abort_when(exchange, lambda: time.monotonic() >= late, reason, first=first))
    if running is not None:
        ended = _Ended("the script ended; gfcgi check says why")
        watches.append(abort_when(exchange, lambda: running.ended is not None, ended))
    return watches


def _measured(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress.add(len(chunk))


# --- many requests -------------------------------------------------------------------------------


def _ask_many(ask: Ask) -> int:
    parsed = ask.parsed
    start = time.monotonic()
    if parsed.multiplex:
        connection = MultiplexedConnection(connect(ask.address, timeout_seconds=parsed.timeout))
        assert isinstance(ask.stdin, bytes)
        body = ask.stdin
        one = partial(connection.ask, ask.params, ask.repeated, body)
        try:
            outcomes = ask_many(parsed.number, parsed.concurrency or parsed.number, one)
        finally:
            connection.close()
    else:
        one = partial(ask_once, ask.exchange)
        outcomes = ask_many(parsed.number, parsed.concurrency or 1, one)
    for line in _summary(outcomes, time.monotonic() - start):
        print(printable(line))
    lost = any(not outcome.status for outcome in outcomes)
    bad = any(outcome.status >= FIRST_ERROR_STATUS for outcome in outcomes)
    return EXIT_FAILED if lost or (bad and parsed.fail) else 0


def _summary(outcomes: Sequence[Outcome], took: float) -> Iterator[str]:
    yield f"{len(outcomes)} requests in {took:.3f} s: {len(outcomes) / took:.0f} per second"
    for status, times in sorted(Counter(one.status for one in outcomes).items()):
        yield f"{status or 'no answer'}: {times}"
    for error, times in Counter(one.error for one in outcomes if one.error).most_common(5):
        yield f"  {times} times: {error}"
    answered = [one for one in outcomes if one.status]
    if answered:
        yield f"first byte: {_spread([one.first_byte_seconds for one in answered])}"
        yield f"whole:      {_spread([one.seconds for one in answered])}"


def _spread(times: Sequence[float]) -> str:
    ranked = sorted(times)
    middle, high = (ranked[int((len(ranked) - 1) * part)] for part in (0.5, 0.95))
    return f"{middle:.3f} s median, {high:.3f} s 95 %, {ranked[-1]:.3f} s at most"


# --- the command line ----------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} request",
        usage="%(prog)s ADDRESS URL [options]",
        description="Send one request to a FastCGI application and print what it answers: status,"
        " headers and body on standard output, its error output on standard error. The exit"
        " status is 1 if it gave no answer. With -n it sends many, and prints their times.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        help="unix:/run/app.sock, 127.0.0.1:9000, or script:PATH to start a script as Apache would",
    )
    parser.add_argument("url", metavar="URL", help="a path, or http://HOST/PATH; with its query")
    parser.add_argument("--method", "-X", metavar="NAME", help="default GET, with --data POST")
    parser.add_argument(
        "--header",
        "-H",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="a header of the HTTP request; more than one can be given",
    )
    parser.add_argument(
        "--data", "-d", metavar="TEXT", help="the body, @FILE for a file's, @- for standard input"
    )
    parser.add_argument(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a param, or leave it out with NAME alone; more than one can be given",
    )
    parser.add_argument(
        "--role",
        choices=[role.name.lower() for role in Role],
        default=Role.RESPONDER.name.lower(),
        help="default responder",
    )
    parser.add_argument(
        "--filter-data", metavar="TEXT", help="what a filter is to filter, or @FILE"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="for each wait; default none"
    )
    parser.add_argument(
        "--as",
        dest="as_server",
        choices=sorted(DIALECTS),
        default="",
        help="send the params that this Web server sends",
    )
    parser.add_argument(
        "--mount",
        metavar="PATH",
        type=_mount,
        default="",
        help="where the Web server has mounted the application, such as /app; default the root",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="print each record, both ways")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="save the body there; with -i its head too"
    )
    parser.add_argument(
        "--include", "-i", action="store_true", help="put status and headers into FILE as well"
    )
    parser.add_argument(
        "--fail", "-f", action="store_true", help="exit status 1 for a status of 400 and more"
    )
    parser.add_argument("--times", action="store_true", help="print how long it took")
    parser.add_argument(
        "--number", "-n", metavar="N", type=number, default=1, help="send it so many times"
    )
    parser.add_argument(
        "--concurrency",
        "-c",
        metavar="N",
        type=number,
        help="so many at once; default 1, and all of them with --multiplex",
    )
    parser.add_argument(
        "--multiplex", action="store_true", help="send them all over one transport connection"
    )
    parser.add_argument(
        "--abort-after-bytes",
        metavar="N",
        type=number,
        help="give the request up after so many bytes of the body",
    )
    parser.add_argument(
        "--abort-after-seconds",
        metavar="SECONDS",
        type=seconds,
        help="give the request up after this time",
    )
    return parser


def _mount(text: str) -> str:
    return option_parsers.mount_point(text) or ""


def _wanted(parsed: argparse.Namespace, length: int | None, *, chunked: bool) -> Wanted:
    return Wanted(
        url=parsed.url,
        method=parsed.method,
        headers=parsed.header,
        params=parsed.param,
        mount=parsed.mount,
        as_server=parsed.as_server,
        has_body=parsed.data is not None,
        length=length,
        chunked=chunked,
    )


Content = bytes | Iterator[bytes]


def _counted(
    stdin: Content, length: int | None, parsed: argparse.Namespace, *, hold: bool
) -> tuple[Content, int | None, bool]:
    """The body as this Web server passes it on: most read a body of unknown length to its end.

    ``hold``: it is needed more than once. Returns it, its length, and whether that was unknown.
    """
    unknown = length is None
    way = DIALECTS[parsed.as_server].chunked if parsed.as_server else ""
    if unknown and way == "refuse":
        raise ConfigError(
            f"{parsed.as_server} refuses a body of unknown length",
            option="data",
            source="--data",
        )
    if hold or (unknown and way == "buffer"):
        stdin = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        length = len(stdin)
    return stdin, length, unknown


def _address(text: str) -> Address:
    if text.startswith("script:"):
        return Script(os.path.abspath(text.partition(":")[2]))
    return peer(text, "ADDRESS")


def _content(text: str | None, source: str) -> tuple[bytes | Iterator[bytes], int | None]:
    """The content that an option says, and its length where that can be known."""
    if text is None or not text.startswith("@"):
        content = os.fsencode(text or "")
        return content, len(content)
    try:
        fd = 0 if text == "@-" else os.open(text[1:], os.O_RDONLY)
    except OSError as error:
        raise ConfigError(
            f"{text[1:]}: {error.strerror}", option=source.strip("-"), source=source
        ) from None
    status = os.fstat(fd)
    length = status.st_size if stat.S_ISREG(status.st_mode) else None
    return blocking_chunks(fd), length
