"""``python -m gfcgi TARGET``: serve a WSGI application."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from gfcgi._version import __version__
from gfcgi.commands.arguments import add_options, options_given, with_bare_options
from gfcgi.errors import AppImportError
from gfcgi.options import Options
from gfcgi.process.inherited import (
    FCGI_LISTENSOCK_FILENO,
    forget_listen_fds,
    is_listening,
    listen_fds,
)
from gfcgi.process.listeners import Listener, adopt_all, bind_all
from gfcgi.process.loading import load
from gfcgi.process.log import set_up_logging
from gfcgi.process.patching import patch, warn_of_late_modules
from gfcgi.process.serving import serve

__all__ = ["main"]

EXIT_BROKEN_APPLICATION = 3
DEFAULT_BIND = "127.0.0.1:9000"


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped. Raises ConfigError, and SystemExit(2) where argparse complains."""
    parsed = _parser().parse_args(with_bare_options(arguments))
    given = options_given(parsed)
    # Checked before the application is loaded, which may take long, and once more with its own.
    options = Options.from_sources(command_line=given, environ=os.environ)
    if options.patch:
        patch()  # before the application is loaded, so that it comes too late for nothing
    try:
        loaded = load(parsed.target)
    except AppImportError as error:
        _show(error)
        return EXIT_BROKEN_APPLICATION
    options = Options.from_sources(loaded.keywords, given, os.environ)
    set_up_logging(options)
    warn_of_late_modules()
    listeners, started = _listen(options)
    if not listeners and not options.http:
        options = Options.from_sources(loaded.keywords, {**given, "bind": DEFAULT_BIND}, os.environ)
        listeners = bind_all(options)
    serve(
        loaded.application,
        options,
        listeners,
        name=loaded.name,
        started=started,
        http=options.http,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gfcgi",
        usage="%(prog)s [serve] TARGET [options]",
        description="Serve a WSGI application over FastCGI.",
        epilog="An option that is not given comes from the environment variable in brackets. What"
        " the script gives to gfcgi.run wins over both. Without --bind: descriptor 0 or LISTEN_FDS"
        f" where they are listening sockets, else {DEFAULT_BIND}; with --http, only a private"
        " socket. Other commands: request and config, each with a --help of its own.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="module:callable, module, or a .fcgi or .py file; without a callable it is"
        " application or app",
    )
    parser.add_argument("--version", action="version", version=f"gfcgi {__version__}")
    add_options(parser)
    return parser


def _listen(options: Options) -> tuple[list[Listener], str]:
    """The listeners that the options, or who started us, ask for; and how that was."""
    if options.bind:
        return bind_all(options), f"started with {options.source_of('bind')}"
    if options.http:
        return [], f"started with {options.source_of('http')}"
    if is_listening(FCGI_LISTENSOCK_FILENO):
        fds: tuple[int, ...] = (FCGI_LISTENSOCK_FILENO,)
        return adopt_all(fds), "started with a listening socket on descriptor 0"
    fds = listen_fds(os.environ)
    if fds:
        forget_listen_fds(os.environ)
        return adopt_all(fds), "started with LISTEN_FDS"
    return [], "started without --bind"


def _show(error: AppImportError) -> None:
    """Print the application's own traceback: from its first line of code on."""
    cause = error.__cause__
    assert cause is not None
    own = cause.__traceback__
    while own is not None and _is_ours(own):
        own = own.tb_next
    traceback.print_exception(type(cause), cause, own)
    print(f"gfcgi: {error}", file=sys.stderr)


def _is_ours(entry: TracebackType) -> bool:
    name = entry.tb_frame.f_globals.get("__name__", "")
    return bool(name == "gfcgi.process.loading" or name.partition(".")[0] == "importlib")
