"""Every option, once.

Each field of ``Options`` is one option: the field has the default, and its metadata the rest. The
keywords of ``gfcgi.run``, the command line, the environment variables and the reference table of
the docs are made from it. A keyword wins over the command line, the command line over the
environment, the environment over the default. An empty environment variable counts as not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Final, Literal, NamedTuple

from gfcgi import limits, option_parsers
from gfcgi.addresses import parse_address, parse_network
from gfcgi.errors import ConfigError
from gfcgi.option_parsers import DEFAULT_HTTP, LOG_LEVELS, Parser

__all__ = [
    "GROUPS",
    "OptionInfo",
    "Options",
    "command_line_name",
    "info_of",
    "reference_table",
    "variable_names",
]

GROUPS: Final = {
    "listening": "Where it listens",
    "application": "The application",
    "limits": "Limits",
    "timeouts": "Timeouts",
    "renewal": "Renewal",
    "seeing": "Seeing what it does",
}


class OptionInfo(NamedTuple):
    """The metadata of an option.

    ``parse`` reads a text or a keyword's value and returns the option's value
    (``option_parsers``). ``kind`` is the form on the command line: ``--name VALUE`` (value), the
    same more than once (list), ``--name`` and ``--no-name`` (flag), or ``--name [VALUE]``
    (optional). ``bare`` is the value of an optional one that has none. ``value`` stands for VALUE
    in the help. ``brief`` is what the short help has for a common option, empty for any other;
    ``short`` is its one-letter form, such as ``-b``.
    """

    group: str
    parse: Parser
    text: str
    unit: str = ""
    value: str = "VALUE"
    kind: Literal["value", "list", "flag", "optional"] = "value"
    bare: str | None = None
    further_variables: tuple[str, ...] = ()
    brief: str = ""
    short: str = ""


# --- the options ---------------------------------------------------------------------------------


def _option(group: str, parse: Parser, text: str, **more: Any) -> dict[str, object]:
    return {"option": OptionInfo(group, parse, text, **more)}


def _limit(unit: str, text: str, minimum: int = 1, maximum: int = 2**63 - 1) -> dict[str, object]:
    return _option("limits", option_parsers.integer(minimum, maximum), text, unit=unit, value="N")


def _timeout(text: str) -> dict[str, object]:
    return _option("timeouts", option_parsers.seconds, text, unit="seconds", value="SECONDS")


@dataclass(frozen=True)
class Options:
    """All options, checked. Every field is a keyword.

    A field takes the option's value, or a text as in the environment, and holds the value.
    Sizes are int in bytes, times float in seconds, addresses and networks str.

    Raises: ConfigError for a value that cannot be used.
    """

    bind: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "listening",
            option_parsers.string_list(parse_address, example='"unix:/run/app.sock"'),
            "address to listen on: unix:/run/app.sock, unix:@abstract, 127.0.0.1:9000,"
            " [::1]:9000 or fd:0; more than one can be given",
            unit="address",
            value="ADDRESS",
            kind="list",
            brief="listen here: unix:/run/app.sock or 127.0.0.1:9000",
            short="-b",
        ),
    )
    backlog: int = field(
        default=limits.BACKLOG,
        metadata=_option(
            "listening",
            option_parsers.integer(1, 2**31 - 1),
            "connections that the kernel queues until they are accepted",
            unit="connections",
        ),
    )
    socket_mode: int | None = field(
        default=None,
        metadata=_option(
            "listening",
            option_parsers.mode,
            "permissions of UNIX socket files, such as 0660; without it the umask decides",
            unit="octal",
            value="MODE",
            brief="permissions of the socket file, such as 0660",
        ),
    )
    socket_owner: str | None = field(
        default=None,
        metadata=_option(
            "listening",
            option_parsers.name_or_number,
            "user who owns UNIX socket files",
            unit="name or uid",
            value="USER",
        ),
    )
    socket_group: str | None = field(
        default=None,
        metadata=_option(
            "listening",
            option_parsers.name_or_number,
            "group that owns UNIX socket files",
            unit="name or gid",
            value="GROUP",
            brief="group of the socket file, such as www-data",
        ),
    )
    allow_from: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "listening",
            option_parsers.string_list(parse_network, example='"10.0.0.0/8"'),
            "Web servers that may connect over TCP, separated by commas; without it only this"
            " machine may connect, and only loopback addresses can be listened on",
            unit="addresses and networks",
            value="LIST",
            kind="list",
            further_variables=("FCGI_WEB_SERVER_ADDRS",),
            brief="Web servers on other machines that may connect",
        ),
    )
    http: str | None = field(
        default=None,
        metadata=_option(
            "listening",
            option_parsers.http,
            f"answer HTTP as well, for development; {DEFAULT_HTTP} if no address follows",
            unit="host:port",
            value="HOST:PORT",
            kind="optional",
            bare=DEFAULT_HTTP,
            brief="answer a browser, for development",
        ),
    )
    http_host: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "listening",
            option_parsers.string_list(option_parsers.host_name, example='"app.example.com"'),
            "name that --http answers to, beside localhost, this machine's and the one it listens"
            " at; .example.com is that name and all below it, * every name; more than one can be"
            " given",
            unit="names",
            value="NAME",
            kind="list",
        ),
    )

    debug: bool = field(
        default=False,
        metadata=_option(
            "application",
            option_parsers.flag,
            "show tracebacks to whoever sent the request",
            kind="flag",
            brief="show tracebacks in the page",
            short="-d",
        ),
    )
    script_name: str | None = field(
        default=None,
        metadata=_option(
            "application",
            option_parsers.mount_point,
            "path at which the Web server has mounted the application, such as /app, for Web"
            " servers that do not send it",
            unit="path",
            value="PATH",
            brief="where the Web server has mounted it, such as /app",
        ),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "application",
            option_parsers.string_list(parse_network, example='"10.0.0.0/8"'),
            "proxies in front of the Web server, separated by commas; gfcgi believes their"
            " X-Forwarded-For, -Proto, -Host and -Port",
            unit="addresses and networks",
            value="LIST",
            kind="list",
        ),
    )
    rules: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "application",
            option_parsers.string_list(option_parsers.rule_switch, example='"host-port=on"'),
            "rules that correct what the Web server sends: NAME=on puts one in, NAME=off leaves one"
            " out, separated by commas",
            unit="names",
            value="LIST",
            kind="list",
        ),
    )
    stderr: str = field(
        default="auto",
        metadata=_option(
            "application",
            option_parsers.stderr,
            "when error output goes to the Web server: at-once, with-stdout (together with the next"
            " part of the response), or auto; auto means at-once, except for HAProxy before 2.6.14,"
            " which crashes on it",
            value="WHEN",
        ),
    )
    patch: bool = field(
        default=True,
        metadata=_option(
            "application",
            option_parsers.flag,
            "make the standard library cooperative (gevent.monkey.patch_all), if nothing did",
            kind="flag",
        ),
    )
    threads: int = field(
        default=limits.THREADS,
        metadata=_option(
            "application",
            option_parsers.integer(0),
            "run the application in so many operating-system threads, with nothing made"
            " cooperative, for applications that are not made for greenlets; further requests"
            " wait in line; 0 is greenlets",
            unit="threads",
            value="N",
            brief="run it in so many threads instead of greenlets",
        ),
    )
    processes: int = field(
        default=0,
        metadata=_option(
            "application",
            option_parsers.integer(0),
            "serve with so many processes, which gunicorn starts, watches and reloads; it is"
            " installed with gfcgi[gunicorn]; 0 is this one process alone",
            unit="processes",
            value="N",
            brief="serve with so many processes (needs gunicorn)",
        ),
    )
    no_cooperative: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "application",
            option_parsers.string_list(option_parsers.cooperative, example='"file-locks"'),
            "leave as it is what gfcgi makes cooperative beside gevent, separated by commas:"
            f" {', '.join(option_parsers.COOPERATIVE)}",
            value="NAME",
            kind="list",
        ),
    )
    log_level: str = field(
        default="info",
        metadata=_option(
            "application",
            option_parsers.log_level,
            f"lowest level that is logged: {', '.join(LOG_LEVELS)}",
            value="LEVEL",
            brief="debug, info, warning or error",
            short="-l",
        ),
    )

    max_connections: int = field(
        default=limits.MAX_CONNECTIONS,
        metadata=_limit("connections", "transport connections open at once; further ones wait"),
    )
    max_concurrent_requests: int = field(
        default=limits.MAX_CONCURRENT_REQUESTS,
        metadata=_limit("requests", "requests running at once; further ones wait in line"),
    )
    max_concurrent_requests_per_connection: int = field(
        default=limits.MAX_CONCURRENT_REQUESTS_PER_CONNECTION,
        metadata=_limit(
            "requests",
            "requests running at once on one connection; 1 turns multiplexing off",
            maximum=65535,
        ),
    )
    max_params_bytes: int = field(
        default=limits.MAX_PARAMS_BYTES,
        metadata=_limit("bytes", "length of a request's params"),
    )
    max_params_pairs: int = field(
        default=limits.MAX_PARAMS_PAIRS,
        metadata=_limit("pairs", "name-value pairs in a request's params"),
    )
    stdin_buffer_bytes: int = field(
        default=limits.STDIN_BUFFER_BYTES,
        metadata=_limit("bytes", "body read ahead of the application, per request"),
    )
    multiplexed_buffer_bytes: int = field(
        default=limits.MULTIPLEXED_BUFFER_BYTES,
        metadata=_limit(
            "bytes",
            "body kept in memory per request of a multiplexed connection; the rest is kept on disk",
        ),
    )
    max_spool_bytes: int = field(
        default=limits.MAX_SPOOL_BYTES,
        metadata=_limit(
            "bytes", "body on disk per request; beyond it the connection waits", minimum=0
        ),
    )
    max_drain_bytes: int = field(
        default=limits.MAX_DRAIN_BYTES,
        metadata=_limit("bytes", "body that is read and dropped after an early answer", minimum=0),
    )

    params_timeout_seconds: float = field(
        default=limits.PARAMS_TIMEOUT_SECONDS,
        metadata=_timeout("from a request's first byte until its params are complete"),
    )
    idle_timeout_seconds: float = field(
        default=limits.IDLE_TIMEOUT_SECONDS,
        metadata=_timeout("until a kept connection without a request is closed"),
    )
    stdin_timeout_seconds: float = field(
        default=limits.STDIN_TIMEOUT_SECONDS,
        metadata=_timeout("until a read of the body fails if nothing comes"),
    )
    stdout_timeout_seconds: float = field(
        default=limits.STDOUT_TIMEOUT_SECONDS,
        metadata=_timeout("until a write of the answer fails if the Web server reads nothing"),
    )
    queue_timeout_seconds: float = field(
        default=limits.QUEUE_TIMEOUT_SECONDS,
        metadata=_option(
            "timeouts",
            option_parsers.seconds_or_never,
            "until a request that waits in line, because as many as may are running, is answered"
            " with 503; 0 is at once",
            unit="seconds",
            value="SECONDS",
        ),
    )
    request_timeout_seconds: float = field(
        default=limits.REQUEST_TIMEOUT_SECONDS,
        metadata=_option(
            "timeouts",
            option_parsers.seconds_or_never,
            "end a request that has run for so long, with 504 or by cutting its response, with its"
            " stack in the log; the time in line does not count, that in which the response is sent"
            " does, an event stream's too; 0 is never",
            unit="seconds",
            value="SECONDS",
        ),
    )
    graceful_timeout_seconds: float = field(
        default=limits.GRACEFUL_TIMEOUT_SECONDS,
        metadata=_timeout("from a stop signal until the requests still running are cut"),
    )
    block_log_seconds: float = field(
        default=limits.BLOCK_LOG_SECONDS,
        metadata=_option(
            "timeouts",
            option_parsers.seconds_or_never,
            "log where the application stands when it has held up all other requests for so long;"
            " 0 is never",
            unit="seconds",
            value="SECONDS",
        ),
    )
    block_kill_seconds: float = field(
        default=limits.BLOCK_KILL_SECONDS,
        metadata=_option(
            "timeouts",
            option_parsers.seconds_or_never,
            "end the process, with all its stacks in the log, when the application has held up all"
            " other requests for so long; 0 is never",
            unit="seconds",
            value="SECONDS",
        ),
    )

    reload: bool = field(
        default=False,
        metadata=_option(
            "renewal",
            option_parsers.flag,
            "renew the process when a file of the application, or restart.txt beside the script,"
            " changes",
            kind="flag",
        ),
    )
    reload_file: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "renewal",
            option_parsers.string_list(option_parsers.path, example='"settings.ini"'),
            "further file that --reload looks at; more than one can be given",
            unit="path",
            value="PATH",
            kind="list",
        ),
    )
    max_requests: int = field(
        default=limits.MAX_REQUESTS,
        metadata=_option(
            "renewal",
            option_parsers.integer(0),
            "renew the process after so many requests, and up to a tenth more; 0 is never",
            unit="requests",
            value="N",
        ),
    )
    max_memory_bytes: int = field(
        default=limits.MAX_MEMORY_BYTES,
        metadata=_option(
            "renewal",
            option_parsers.integer(0),
            "renew the process when it takes so much memory; 0 is never",
            unit="bytes",
            value="N",
        ),
    )

    status_path: str | None = field(
        default=None,
        metadata=_option(
            "seeing",
            option_parsers.own_path,
            "answer this path, below the mount point, with a page that says what the process does,"
            " such as /gfcgi-status; as text, JSON, HTML or OpenMetrics",
            unit="path",
            value="PATH",
            brief="show what the process does at this path",
        ),
    )
    ping_path: str | None = field(
        default=None,
        metadata=_option(
            "seeing",
            option_parsers.own_path,
            "answer this path, below the mount point, with pong, and with 503 while the process"
            " stops: for load balancers, such as /gfcgi-ping",
            unit="path",
            value="PATH",
        ),
    )
    status_allow: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "seeing",
            option_parsers.string_list(parse_network, example='"10.0.0.0/8"'),
            "HTTP clients that may see both, separated by commas; without it only this machine may",
            unit="addresses and networks",
            value="LIST",
            kind="list",
        ),
    )
    access_log: str | None = field(
        default=None,
        metadata=_option(
            "seeing",
            option_parsers.access_log,
            "write a line for each request to this file, to - (standard output) or to syslog",
            unit="path",
            value="FILE",
            brief="log requests to this file, - or syslog",
        ),
    )
    access_log_format: str = field(
        default="combined",
        metadata=_option(
            "seeing",
            option_parsers.access_log_format,
            "what a line of the access log has: combined, json, or a format of gunicorn's atoms",
            value="FORMAT",
        ),
    )
    slow_log_seconds: float = field(
        default=limits.SLOW_LOG_SECONDS,
        metadata=_option(
            "seeing",
            option_parsers.seconds_or_never,
            "log where a request stands that has run for so long, while it still runs; 0 is never",
            unit="seconds",
            value="SECONDS",
        ),
    )

    _sources: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for option in fields(self):
            source = self.source_of(option.name)
            value = _parse(option, getattr(self, option.name), source)
            object.__setattr__(self, option.name, value)

    def source_of(self, name: str) -> str:
        """The way in which the person gave the option: ``--bind``, ``GFCGI_BIND`` or ``bind=``.

        ``name`` is the field's.
        """
        return self._sources.get(name, f"{name}=")

    @classmethod
    def from_sources(
        cls,
        keywords: Mapping[str, object] = {},
        command_line: Mapping[str, object] = {},
        environ: Mapping[str, str] = {},
    ) -> Options:
        """Take each option from the first source that has it.

        ``keywords`` and ``command_line`` have the fields' names as keys, ``environ`` the variables'
        names, such as ``GFCGI_BIND``. None on the command line and an empty variable mean not
        given.

        Raises: ConfigError for a value that cannot be used, or a keyword that is no option.
        """
        names = [option.name for option in fields(cls)]
        for keyword in keywords:
            if keyword not in names:
                from gfcgi.foreign_options import keyword_hint  # for this alone

                hint = keyword_hint(keyword, names)
                raise ConfigError(
                    f"there is no such option{hint}", option=keyword, source=f"{keyword}="
                )
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for option in fields(cls):
            name = option.name
            found = _find(option, keywords, command_line, environ)
            if found is not None:
                sources[name], given = found
                values[name] = _parse(option, given, sources[name])
        made = cls(**values)
        object.__setattr__(made, "_sources", sources)
        return made


def info_of(option: Field[Any]) -> OptionInfo:
    """The metadata of one field of ``Options``."""
    found = option.metadata["option"]
    assert isinstance(found, OptionInfo)
    return found


def command_line_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_names(option: Field[Any]) -> tuple[str, ...]:
    """The environment variables for an option. The first one that is set wins."""
    return ("GFCGI_" + option.name.upper(), *info_of(option).further_variables)


def _find(
    option: Field[Any],
    keywords: Mapping[str, object],
    command_line: Mapping[str, object],
    environ: Mapping[str, str],
) -> tuple[str, object] | None:
    """The first source that has the option, and the value there."""
    name = option.name
    if name in keywords:
        return f"{name}=", keywords[name]
    if command_line.get(name) is not None:
        return command_line_name(name), command_line[name]
    for variable in variable_names(option):
        if environ.get(variable):
            return variable, environ[variable]
    return None


def _parse(option: Field[Any], value: object, source: str) -> object:
    try:
        return info_of(option).parse(value)
    except ValueError as error:
        texts = isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)
        shown = ",".join(value) if texts else value  # type: ignore[arg-type]
        raise ConfigError(f"{shown!r}: {error}", option=option.name, source=source) from None


# --- the reference -------------------------------------------------------------------------------


def reference_table() -> str:
    """Every option as Markdown, a table for each group, for ``docs/reference/options.md``."""
    lines: list[str] = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| Option | Default | Unit | What it is |"]
        lines += ["|---|---|---|---|"]
        for option in fields(Options):
            about = info_of(option)
            if about.group == group:
                ways = [_as_command_line(option), *variable_names(option), f"{option.name}="]
                names = "<br>".join(f"`{way}`" for way in ways)
                text = about.text[0].upper() + about.text[1:]
                lines.append(f"| {names} | {_as_text(option)} | {about.unit or '–'} | {text} |")
        lines.append("")
    return "\n".join(lines)


def _as_command_line(option: Field[Any]) -> str:
    about = info_of(option)
    name = ", ".join(filter(None, [about.short, command_line_name(option.name)]))
    if about.kind == "flag":
        return f"--no-{command_line_name(option.name)[2:]}" if option.default else name
    return f"{name} [{about.value}]" if about.kind == "optional" else f"{name} {about.value}"


def _as_text(option: Field[Any]) -> str:
    default = option.default
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
