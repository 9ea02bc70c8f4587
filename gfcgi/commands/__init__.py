"""The command line: ``python -m gfcgi``. Nothing of the package imports this."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gfcgi.commands import serve
from gfcgi.errors import ConfigError

__all__ = ["main"]


def _request(arguments: Sequence[str]) -> int:
    from gfcgi.commands import request  # imports gevent, which serve leaves until it patches

    return request.main(arguments)


def _config(arguments: Sequence[str]) -> int:
    from gfcgi.commands import config  # every server's file, which nobody else needs

    return config.main(arguments)


COMMANDS = {"serve": serve.main, "request": _request, "config": _config}
DEFAULT = "serve"
EXIT_MISUSE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 2 for wrong use, 3 for a broken application."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments.pop(0) if arguments and arguments[0] in COMMANDS else DEFAULT
    try:
        return COMMANDS[name](arguments)
    except ConfigError as error:
        print(f"gfcgi: {error}", file=sys.stderr)
        return EXIT_MISUSE
