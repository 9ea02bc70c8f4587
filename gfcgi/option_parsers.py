"""Parsers of option values.

Each parser takes the text of a command line or of the environment, or a keyword's value. It returns
the option's value, or raises ValueError with a reason. It accepts its own result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gfcgi.addresses import TCPAddress, parse_host_port

__all__ = [
    "COOPERATIVE",
    "DEFAULT_BIND",
    "DEFAULT_HTTP",
    "LOG_LEVELS",
    "Parser",
    "STDERR_WAYS",
    "access_log",
    "access_log_format",
    "cooperative",
    "flag",
    "http",
    "log_level",
    "mode",
    "mount_point",
    "name_or_number",
    "own_path",
    "path",
    "rule_switch",
    "seconds",
    "seconds_or_never",
    "stderr",
    "string_list",
    "integer",
]

Parser = Callable[[object], object]

DEFAULT_BIND: Final = "127.0.0.1:9000"
"""Where the command line listens if nobody says it."""
DEFAULT_HTTP: Final = "127.0.0.1:8000"
STDERR_WAYS: Final = ("auto", "at-once", "with-stdout")
COOPERATIVE: Final = (
    "file-locks",
    "sqlite3",
    "asyncio",
    "os-system",
    "fork",
    "multiprocessing",
    "psycopg",
    "psycopg2",
    "grpc",
    "pymssql",
    "warnings",
)
"""What gfcgi makes cooperative beside gevent, by name; see gfcgi.cooperative."""
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def integer(minimum: int = 1, maximum: int = 2**63 - 1) -> Parser:
    def parse(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"it must be a whole number of at least {minimum}")
        if value > maximum:
            raise ValueError(f"it must be at most {maximum}")
        return value

    return parse


def seconds(value: object) -> float:
    reason = "it must be a number of seconds greater than 0"
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        raise ValueError(reason)
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        raise ValueError(reason) from None
    if not 0 < seconds < float("inf"):
        raise ValueError(reason)
    return seconds


def seconds_or_never(value: object) -> float:
    """As ``seconds``, and 0 for never."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            if float(value) == 0:
                return 0.0
            return seconds(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError("it must be a number of seconds, or 0")


def flag(value: object) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str):
        value = words.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError("it must be one of 1, true, yes, on, 0, false, no, off")
    return value


def name_or_number(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = str(value)
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError("it must be a name or a number")
    return value


def mode(value: object) -> int | None:
    reason = 'write it in octal, as in "0660"'
    if isinstance(value, str):
        try:
            value = int(value.removeprefix("0o"), 8)
        except ValueError:
            raise ValueError(reason) from None
    if value is not None and not (
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777
    ):
        raise ValueError(f"{reason}, of 0000 to 0777")
    return value


def mount_point(value: object) -> str | None:
    if value is None:
        return None
    reason = "it must be a path that begins with a slash, as in /app, or / for the root"
    if not isinstance(value, str) or (value and not value.startswith("/")):
        raise ValueError(reason)
    return value.rstrip("/")


def own_path(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/") or not value.strip("/"):
        raise ValueError("it must be a path that begins with a slash, as in /gfcgi-status")
    if not value.isprintable() or not {" ", "?", "#", "%"}.isdisjoint(value):
        raise ValueError("write the path without a query, and decoded: no space, ?, # or %")
    return value


def path(value: str) -> None:
    """Check one path of a file."""
    if not value or "\0" in value:
        raise ValueError("it must be the path of a file")


def rule_switch(text: str) -> tuple[str, bool]:
    from gfcgi.wsgi.webserver_rules import (
        parse_switch,  # the rules need a while, and few people name one
    )

    return parse_switch(text)


def log_level(value: object) -> str:
    if not isinstance(value, str) or value.lower() not in LOG_LEVELS:
        raise ValueError(f"it must be one of {', '.join(LOG_LEVELS)}")
    return value.lower()


def stderr(value: object) -> str:
    if not isinstance(value, str) or value not in STDERR_WAYS:
        raise ValueError(f"it must be one of {', '.join(STDERR_WAYS)}")
    return value


def access_log(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("it must be the path of a file, -, or syslog")
    path(value)
    return value


def access_log_format(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be combined, json, or a format")
    if value not in ("combined", "json"):  # what reads a format takes time to import
        from gfcgi.wsgi.access_lines import line_maker

        line_maker(value)
    return value


def cooperative(value: str) -> None:
    """Check one name of a part of ``gfcgi.cooperative``."""
    if value not in COOPERATIVE:
        raise ValueError(f"it must be one of {', '.join(COOPERATIVE)}")


def http(value: object) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        value = DEFAULT_HTTP
    if not isinstance(value, (str, int)):
        raise ValueError(f"write HOST:PORT, as in {DEFAULT_HTTP}")
    text = str(value)
    if text.isascii() and text.isdigit():
        text = f"{parse_host_port(DEFAULT_HTTP)[0]}:{text}"
    return str(TCPAddress(*parse_host_port(text)))


def host_name(value: str) -> None:
    """Check one name that the HTTP front answers to."""
    name = value.removeprefix(".")
    if value != "*" and not (
        name and name.isascii() and all(char.isalnum() or char in "-_." for char in name)
    ):
        raise ValueError("write a host's name without scheme and port, as in app.example.com")


def string_list(check: Callable[[str], object], *, example: str) -> Parser:
    def parse(value: object) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, (list, tuple)) or not all(isinstance(v, str) for v in given):
            raise ValueError(f"write text or a list of texts, as in {example}")
        texts = tuple(text.strip() for part in given for text in part.split(",") if text.strip())
        for text in texts:
            try:
                check(text)
            except ValueError as error:
                raise ValueError(f"{text}: {error}" if len(texts) > 1 else str(error)) from None
        return texts

    return parse
