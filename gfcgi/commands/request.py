"""``python -m gfcgi request ADDRESS URL``: ask a FastCGI application, as curl asks a Web server."""

from __future__ import annotations

import argparse
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final
from urllib.parse import quote, urlsplit

from gfcgi import option_parsers
from gfcgi.addresses import InheritedSocket, TCPAddress, UnixAddress, parse_address
from gfcgi.errors import ConfigError, FastCGIError
from gfcgi.protocol import EndRequest, ProtocolStatus, Role, Stderr, Stdout
from gfcgi.webserver.params import SERVER_SOFTWARE, BadRequestTarget, cgi_params
from gfcgi.webserver.request import Exchange, blocking_chunks, connect
from gfcgi.webserver.response import ResponseHead

__all__ = ["main"]

EXIT_FAILED: Final = 1
FORM: Final = "application/x-www-form-urlencoded"
KEPT_IN_URL: Final = "!$%&'()*+,/:;=?@[]~"
HEADER: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*)")

URL: Final = re.compile(r"(https?)://([^/?]+)(.*)", re.IGNORECASE)


def main(arguments: Sequence[str]) -> int:
    """Send one request and print its answer; 1 if there was none, else 0 whatever its status.

    Raises: ConfigError, and SystemExit(2) where argparse complains.
    """
    parsed = _parser().parse_args(arguments)
    address = _address(parsed.address)
    stdin, length = _content(parsed.data, "--data")
    data, _ = _content(parsed.filter_data, "--filter-data")
    params = _params(parsed, length)
    # Ctrl-C just ends us: KeyboardInterrupt could come up in any greenlet, with a traceback.
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        exchange = Exchange(
            connect(address, timeout_seconds=parsed.timeout),
            params,
            stdin=stdin,
            data=data,
            role=Role[parsed.role.upper()],
            timeout_seconds=parsed.timeout,
        )
        return _print_answer(exchange)
    except BrokenPipeError:
        # Who read our output has left; Python would complain of that once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TimeoutError:
        print(f"gfcgi: {address}: no answer in {parsed.timeout:g} seconds", file=sys.stderr)
    except (FastCGIError, OSError) as error:
        print(f"gfcgi: {address}: {error}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
    return EXIT_FAILED


def _print_answer(exchange: Exchange) -> int:
    answered = False
    for event in exchange.answer():
        if isinstance(event, Stderr):
            _write(sys.stderr.buffer, bytes(event.data))
        elif isinstance(event, ResponseHead):
            answered = True
            lines = [f"{event.status} {event.reason}", *map(": ".join, event.headers), "", ""]
            _write(sys.stdout.buffer, "\n".join(lines).encode("latin-1"))
        elif isinstance(event, Stdout):
            _write(sys.stdout.buffer, bytes(event.data))
        else:
            return _exit_status(event, answered)
    raise AssertionError("an answer ends with END_REQUEST")


def _exit_status(end: EndRequest, answered: bool) -> int:
    if end.app_status:
        print(f"gfcgi: the application's status is {end.app_status}", file=sys.stderr)
    if end.protocol_status != ProtocolStatus.REQUEST_COMPLETE:
        reason = f"the request was refused: {ProtocolStatus(end.protocol_status).name}"
    elif answered:
        return 0
    else:
        reason = "the request was ended without a response"
    print(f"gfcgi: {reason}", file=sys.stderr)
    return EXIT_FAILED


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()  # events are to be seen as they come


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gfcgi request",
        usage="%(prog)s ADDRESS URL [options]",
        description="Send one request to a FastCGI application and print what it answers: status,"
        " headers and body on standard output, its error output on standard error. The exit"
        " status is 1 if it gave no answer.",
        allow_abbrev=False,
    )
    parser.add_argument("address", metavar="ADDRESS", help="unix:/run/app.sock or 127.0.0.1:9000")
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
        "--timeout", metavar="SECONDS", type=_seconds, help="for each wait; default none"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        return option_parsers.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _address(text: str) -> UnixAddress | TCPAddress:
    try:
        address = parse_address(text)
        if isinstance(address, InheritedSocket):
            raise ValueError("an inherited socket cannot be connected to")
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}", option="address", source="ADDRESS") from None
    return address


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


def _params(parsed: argparse.Namespace, length: int | None) -> dict[str, str]:
    """The params that a Web server would send for the request that was asked for."""
    scheme, authority, target = _split_url(parsed.url)
    has_body = parsed.data is not None
    environ: dict[str, object] = {
        "REQUEST_METHOD": parsed.method or ("POST" if has_body else "GET"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": authority or "localhost",
        "HTTP_USER_AGENT": SERVER_SOFTWARE,
    }
    if has_body:
        environ["CONTENT_TYPE"] = FORM
        if length is None:
            environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        else:
            environ["CONTENT_LENGTH"] = str(length)
    environ |= _header_variables(parsed.header)
    https = scheme == "https"
    try:
        port = urlsplit(f"//{authority}").port or (443 if https else 80)
    except ValueError as error:
        raise ConfigError(f"{parsed.url!r}: {error}", option="url", source="URL") from None
    try:
        params = cgi_params(environ, target, server_address=("127.0.0.1", port))
    except BadRequestTarget as error:
        raise ConfigError(str(error), option="url", source="URL") from None
    if https:
        params |= {"REQUEST_SCHEME": "https", "HTTPS": "on"}
    for param in parsed.param:
        name, equals, value = param.partition("=")
        if equals:
            params[_octets(name)] = _octets(value)
        else:
            params.pop(name, None)
    return params


def _split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and request target; the first two are empty for a path."""
    encoded = quote(os.fsencode(url.partition("#")[0]), safe=KEPT_IN_URL)
    match = URL.fullmatch(encoded)
    if match is None:
        return "", "", encoded
    rest = match[3]
    return match[1].lower(), match[2], rest if rest.startswith("/") else f"/{rest}"


def _header_variables(headers: Sequence[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for header in headers:
        match = HEADER.fullmatch(header)
        if match is None:
            raise ConfigError(f"{header!r} is not NAME: VALUE", option="header", source="--header")
        name, value = match[1].upper().replace("-", "_"), _octets(match[2])
        if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = f"HTTP_{name}"
        if name in variables:
            value = variables[name] + ("; " if name == "HTTP_COOKIE" else ", ") + value
        variables[name] = value
    return variables


def _octets(text: str) -> str:
    """The bytes that were typed, as the latin-1 str that params are."""
    return os.fsencode(text).decode("latin-1")
