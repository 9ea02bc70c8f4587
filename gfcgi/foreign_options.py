"""Options of other servers, and misspelt ones: which of ours is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["argument_hint", "keyword_hint", "misspelt_variables"]

_MANY: Final = "{processes}"
_SPARE: Final = "threads are started when they are needed, and kept; {threads} is how many at most"
_LISTEN: Final = "{bind}"

FOREIGN: Final[Mapping[str, str]] = {
    "workers": _MANY,
    "num-workers": _MANY,
    "worker-class": "requests run in greenlets, or in threads with {threads}",
    "worker-connections": "{max_concurrent}",
    "min-spare": _SPARE,
    "max-spare": _SPARE,
    "max-threads": "{threads}",
    "max-children": _MANY,
    "multithreaded": "requests run in greenlets; {threads} has them run in so many threads",
    "multiprocess": _MANY,
    "multiplexed": "it is always possible, and max_concurrent_requests_per_connection=1 forbids it",
    "bind-address": _LISTEN,
    "socket": _LISTEN,
    "fastcgi-socket": _LISTEN,
    "http-socket": "{http}",
    "listen": _LISTEN,
    "host": _LISTEN,
    "port": _LISTEN,
    "umask": "{socket_mode}",
    "chmod-socket": "{socket_mode}",
    "chown-socket": "{socket_owner}",
    "timeout": "{request_timeout}",
    "graceful-timeout": "{graceful}",
    "harakiri": "{request_timeout}",
    "access-logfile": "{access_log}",
    "accesslog": "{access_log}",
    "access-logformat": "{access_log_format}",
    "log-format": "{access_log_format}",
    "error-logfile": "the log is standard error",
    "log-file": "the log is standard error",
    "logto": "the log is standard error; {access_log} has the requests",
    "stats": "{status_path}",
    "daemonize": "it stays in the foreground; systemd starts it in the background",
    "daemon": "it stays in the foreground; systemd starts it in the background",
    "chdir": "start it in that directory",
    "user": "start it as that user, with sudo -u or systemd's User=",
    "group": "start it as that group, with systemd's Group=",
    "uid": "start it as that user, with sudo -u or systemd's User=",
    "gid": "start it as that group, with systemd's Group=",
    "wsgi-file": "write the file without an option: gfcgi FILE",
    "module": "write the module without an option: gfcgi MODULE:CALLABLE",
    "callable": "write it behind a colon: gfcgi MODULE:CALLABLE",
    "py-autoreload": "{reload}",
    "force-cgi": "gfcgi sees by itself that it is CGI; gfcgi.compat.flup takes forceCGI",
    "debug-level": "{log_level}",
}
"""Of gunicorn, uWSGI, flup and gevent-fastcgi. In braces stands one of ours."""

SHORT: Final[Mapping[str, str]] = {
    "-w": "workers",
    "-k": "worker-class",
    "-t": "timeout",
    "-p": "workers",
    "-s": "socket",
    "-D": "daemon",
    "-u": "user",
    "-g": "group",
    "-c": "",
}
"""Their one-letter forms."""

OURS: Final[Mapping[str, str]] = {
    "access_log": "access_log",
    "access_log_format": "access_log_format",
    "bind": "bind",
    "graceful": "graceful_timeout_seconds",
    "http": "http",
    "log_level": "log_level",
    "max_concurrent": "max_concurrent_requests",
    "processes": "processes",
    "reload": "reload",
    "request_timeout": "request_timeout_seconds",
    "socket_mode": "socket_mode",
    "socket_owner": "socket_owner",
    "status_path": "status_path",
    "threads": "threads",
}


def keyword_hint(keyword: str, names: Iterable[str]) -> str:
    """What to say behind "there is no such option" of a keyword; empty, or with a semicolon."""
    text = FOREIGN.get(_dashed(keyword))
    if text is not None:
        meant = text.format_map({key: f"{name}=" for key, name in OURS.items()})
        return f"; {_instead(meant)}"
    close = difflib.get_close_matches(keyword, list(names), 1)
    return f"; did you mean {close[0]}=?" if close else ""


def argument_hint(arguments: Iterable[str], ours: Iterable[str]) -> str:
    """What to say of arguments that the command line has not; empty if nothing is known of them."""
    options = [argument for argument in arguments if argument.startswith("-")]
    for argument in options:
        option = argument.partition("=")[0]
        text = FOREIGN.get(SHORT.get(option[:2], "") if option[1:2] != "-" else option[2:])
        if text is not None:
            shown = {key: "--" + name.replace("_", "-") for key, name in OURS.items()}
            return _instead(text.format_map(shown))
    for argument in options:
        option = argument.partition("=")[0]
        close = difflib.get_close_matches(option, list(ours), 1)
        if close:
            return f"did you mean {close[0]}?"
    return ""


def _instead(text: str) -> str:
    return f"use {text} instead" if text.startswith("--") or text.endswith("=") else text


def misspelt_variables(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """A line for each GFCGI_ variable that is none of ours and looks like one."""
    names = set(known)
    lines = []
    for variable in sorted(environ):
        if variable.startswith("GFCGI_") and variable not in names:
            close = difflib.get_close_matches(variable, names, 1, 0.8)
            if close:
                lines.append(f"{variable} is no option; did you mean {close[0]}?")
    return lines


def _dashed(keyword: str) -> str:
    """A keyword in the form of the table: bindAddress, min_spare and maxSpare."""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in keyword).replace(
        "_", "-"
    )
