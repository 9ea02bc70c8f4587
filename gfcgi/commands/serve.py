"""``python -m gfcgi TARGET``: serve a WSGI application."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gfcgi.commands.arguments import (
    add_options,
    common_options,
    options_given,
    with_bare_options,
)
from gfcgi.commands.own_name import called_as, version
from gfcgi.errors import ConfigError
from gfcgi.foreign_options import argument_hint
from gfcgi.option_parsers import DEFAULT_BIND
from gfcgi.options import Options
from gfcgi.process import renewal
from gfcgi.process.inherited import is_cgi
from gfcgi.process.run_line import threads_asked_for
from gfcgi.process.start import (
    EXIT_MISUSE,
    Start,
    answer,
    answer_with_processes,
    find_start,
    load_application,
    prepare,
)

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped.

    Raises ConfigError, SystemExit(2) where argparse complains, and SystemExit(3) where the
    application cannot be loaded.
    """
    parsed = _parse(_without_query(arguments, os.environ))
    given = options_given(parsed)
    # Check them before the application is loaded, which may take long, and once more with its own.
    options = Options.from_sources(command_line=given, environ=os.environ)
    if asked := threads_asked_for(parsed.target):
        options = Options.from_sources({"threads": asked}, given, os.environ)
    start = find_start(os.environ, chosen="bind" in given or "http" in given)
    prepare(start, options)
    if options.processes and not start.cgi and not start.trial:
        _serve_with_processes(parsed.target, given, start, options)
        return 0
    loaded = load_application(parsed.target, start, options)
    options = Options.from_sources(loaded.keywords, given, os.environ)
    if start.by_hand and not options.bind and not options.http and not renewal.passed_on:
        start = Start("started without --bind")
        options = Options.from_sources(loaded.keywords, {**given, "bind": DEFAULT_BIND}, os.environ)
    answer(loaded.application, options, start, os.environ, name=loaded.name)
    return 0


def _serve_with_processes(
    target: str, given: Mapping[str, object], start: Start, options: Options
) -> None:
    """Have each process load the application by itself, so that SIGHUP brings a new version."""
    if start.by_hand and not options.bind:
        start = Start("started without --bind")
        options = Options.from_sources({}, {**given, "bind": DEFAULT_BIND}, os.environ)

    def load() -> tuple[Any, Options]:
        from gfcgi.process.log import log

        loaded = load_application(target, Start(), options)
        if "bind" in loaded.keywords and loaded.keywords["bind"] != options.bind:
            log.warning("bind= of the script has no effect with --processes: --bind has")
        return loaded.application, Options.from_sources(loaded.keywords, given, os.environ)

    answer_with_processes(load, options, start, os.environ, name=target)


def _without_query(arguments: Sequence[str], environ: Mapping[str, str]) -> Sequence[str]:
    """Leave out what a client has written, who must not choose options.

    A Web server passes the words of a query without ``=`` to a CGI program as arguments (RFC 3875
    §4.4). Here they come behind the script, whose first line names us as its interpreter.
    """
    query = environ.get("QUERY_STRING", "")
    if not is_cgi(environ) or not query or "=" in query:
        return arguments
    files = [number for number, argument in enumerate(arguments) if os.path.isfile(argument)]
    ours = files[0] + 1 if files else 1
    return arguments[: max(ours, len(arguments) - query.count("+") - 1)]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    parsed, unknown = parser.parse_known_args(with_bare_options(arguments))
    if unknown:
        ours = [name for action in parser._actions for name in action.option_strings]
        problem = f"unrecognized arguments: {' '.join(unknown)}"
        if hint := argument_hint(unknown, ours):
            raise ConfigError(f"{problem}; {hint}", option="arguments")
        parser.error(problem)
    if parsed.target is None:
        if not arguments:
            print(overview())
            parser.exit(EXIT_MISUSE)
        parser.error("the following arguments are required: TARGET")
    return parsed


def overview() -> str:
    """What there is to do, for who calls it with nothing."""
    program = called_as()
    lines = [
        "gfcgi serves a Python WSGI application behind a Web server.",
        "",
        f"  {program} hello.fcgi --http          try it in a browser",
        f"  {program} hello.fcgi -b ADDRESS      serve it to a Web server",
        f"  {program} config nginx hello.fcgi    print the Web server's configuration",
        f"  {program} check hello.fcgi           why is there no page?",
        f"  {program} request ADDRESS /          ask an application that runs",
        f"  {program} record, replay, show       what a Web server and an application say",
        "",
        f"{program} --help has the common options, {program} COMMAND --help those of a command.",
    ]
    return "\n".join(lines)


class _Help(argparse.Action):
    """Print the short help, a screen of it, or all."""

    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any) -> None:
        everything = self.dest == "help_all"
        sys.stdout.write(parser.format_help() if everything else _short_help())
        parser.exit()


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any) -> None:
        print(version())
        parser.exit()


def _short_help() -> str:
    program = called_as()
    lines = [
        f"usage: {program} TARGET [options]",
        f"       {program} COMMAND ...",
        "",
        "Serve a WSGI application over FastCGI. TARGET is module:callable, a module,",
        "or a .fcgi or .py file.",
        "",
        *common_options(),
        "  --help-all                 all options, with their defaults and variables",
        "  --version",
        "",
        "Commands: check, config, record, replay, request, show; each has a --help.",
    ]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called_as(),
        usage="%(prog)s [serve] TARGET [options]",
        description="Serve a WSGI application over FastCGI.",
        epilog="An option that is not given comes from the environment variable in brackets. What"
        " the script gives to gfcgi.run wins over both. Without --bind: descriptor 0 or LISTEN_FDS"
        f" where they are listening sockets, else {DEFAULT_BIND}; with --http, only a private"
        " socket. Other commands: check, config, record, replay, request and show, each with a"
        " --help of its own.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="module:callable, module, or a .fcgi or .py file; without a callable it is"
        " application or app; module:create_app() calls a factory",
    )
    parser.add_argument(
        "-h", "--help", action=_Help, nargs=0, help="show the common options and exit"
    )
    parser.add_argument("--help-all", action=_Help, nargs=0, help="show this help and exit")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    add_options(parser)
    return parser
