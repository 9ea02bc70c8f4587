"""The command line: ``python -m gfcgi``. Nothing of the package imports this."""

from __future__ import annotations

import sys

from gfcgi.current_directory import REMOVED, current_directory
from gfcgi.errors import ConfigError
from gfcgi.process.start import EXIT_MISUSE, begin, complain, end

TYPE_CHECKING = False  # serve holds the signals first: what takes time is imported by a command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]


def _serve(arguments: Sequence[str]) -> int:
    begin(command=True)
    try:
        from gfcgi.commands import serve

        return serve.main(arguments)
    finally:
        end()


def _request(arguments: Sequence[str]) -> int:
    from gfcgi.commands import request  # imports gevent, which serve leaves until it patches

    return request.main(arguments)


def _config(arguments: Sequence[str]) -> int:
    from gfcgi.commands import config  # every server's file, which nobody else needs

    return config.main(arguments)


def _check(arguments: Sequence[str]) -> int:
    from gfcgi.commands import check

    return check.main(arguments)


def _record(arguments: Sequence[str]) -> int:
    from gfcgi.commands import record

    return record.main(arguments)


def _replay(arguments: Sequence[str]) -> int:
    from gfcgi.commands import replay

    return replay.main(arguments)


def _show(arguments: Sequence[str]) -> int:
    from gfcgi.commands import show

    return show.main(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": _serve,
    "check": _check,
    "request": _request,
    "config": _config,
    "record": _record,
    "replay": _replay,
    "show": _show,
}
DEFAULT = "serve"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 2 for wrong use, 3 for a broken application."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments.pop(0) if arguments and arguments[0] in COMMANDS else DEFAULT
    try:
        return COMMANDS[name](arguments)
    except ConfigError as error:
        complain(f"gfcgi: {error}")
        return EXIT_MISUSE
    except FileNotFoundError:
        if current_directory() is not None:
            raise
        complain(f"gfcgi: {REMOVED}")
        return EXIT_MISUSE
