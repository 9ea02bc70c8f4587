"""``python -m gfcgi record``: write down what a Web server and an application say to each other."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gfcgi.client.recording import Writer
from gfcgi.client.relay import Relay
from gfcgi.commands.own_name import called_as
from gfcgi.commands.request_answer import say
from gfcgi.commands.values import peer
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.printing import counted
from gfcgi.process.listeners import bind_all

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Record until SIGTERM or Ctrl-C. Raises ConfigError, and SystemExit(2) from argparse."""
    parsed = _parser().parse_args(arguments)
    address = peer(parsed.to, "--to")
    given = {
        "bind": [parsed.listen],
        "socket_mode": parsed.socket_mode,
        "socket_owner": parsed.socket_owner,
        "socket_group": parsed.socket_group,
        "allow_from": parsed.allow_from or None,
    }
    options = Options.from_sources(command_line=given, environ=os.environ)
    try:
        # A recording may hold passwords: nobody else may read it.
        fd = os.open(parsed.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{parsed.file}: {error.strerror}", option="file", source="FILE"
        ) from None
    with open(fd, "w", encoding="ascii") as file:
        listeners = bind_all(options)
        writer = Writer(file, redacted=parsed.redact)
        relay = Relay(
            [listener.socket for listener in listeners],
            address,
            keep=writer.add,
            say=say,
            redact=parsed.redact,
        )
        print(f"gfcgi: recording {parsed.listen} to {address}; Ctrl-C ends it", file=sys.stderr)
        try:
            number = relay.run()
        finally:
            for listener in listeners:
                listener.close()
    print(f"gfcgi: {counted(number, 'connection')} in {parsed.file}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} record",
        usage="%(prog)s --listen ADDRESS --to ADDRESS FILE [options]",
        description="Stand between a Web server and an application, pass everything on, and write"
        " it down, until SIGTERM or Ctrl-C. `gfcgi show` prints the file, `gfcgi replay` sends it"
        " to an application once more.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="what to write; only you can read it")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        required=True,
        help="where the Web server connects: unix:/run/app/recorded.sock or 127.0.0.1:9001",
    )
    parser.add_argument(
        "--to", metavar="ADDRESS", required=True, help="where the application listens"
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="take cookies, authorization, query strings and bodies out, in both directions:"
        " something to attach to a bug report",
    )
    for name, metavar in (("mode", "MODE"), ("owner", "USER"), ("group", "GROUP")):
        parser.add_argument(
            f"--socket-{name}", metavar=metavar, help=f"the {name} of the UNIX socket's file"
        )
    parser.add_argument(
        "--allow-from",
        metavar="LIST",
        action="append",
        help="needed to listen on TCP for other machines, as for serve",
    )
    return parser
