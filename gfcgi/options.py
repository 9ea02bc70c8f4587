"""Every option, once.

A field of ``Options`` is the option: its default stands there, and its metadata holds what else
there is to know. From that come the keywords of ``gfcgi.run``, the command line, the environment
variables and the reference table of the docs. A keyword wins over the command line, that over the
environment, that over the default; an environment variable that is empty counts as not set.
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
    "Described",
    "Options",
    "command_line_name",
    "described",
    "reference_table",
    "variable_names",
]

GROUPS: Final = {
    "listening": "Where it listens",
    "application": "The application",
    "limits": "Limits",
    "timeouts": "Timeouts",
}


class Described(NamedTuple):
    """What an option's metadata holds.

    ``parse`` gives the option's value from a text or a keyword's value (``option_parsers``).
    ``kind`` is how the command line has it: ``--name VALUE``, ``--name VALUE`` repeatedly,
    ``--name`` and ``--no-name``, or ``--name [VALUE]`` with ``bare`` where there is no VALUE;
    ``value`` is what the help has for VALUE.
    """

    group: str
    parse: Parser
    text: str
    unit: str = ""
    value: str = "VALUE"
    kind: Literal["value", "list", "flag", "optional"] = "value"
    bare: str | None = None
    further_variables: tuple[str, ...] = ()


# --- the options ---------------------------------------------------------------------------------


def _option(group: str, parse: Parser, text: str, **more: Any) -> dict[str, object]:
    return {"option": Described(group, parse, text, **more)}


def _limit(unit: str, text: str, minimum: int = 1, maximum: int = 2**63 - 1) -> dict[str, object]:
    return _option("limits", option_parsers.whole(minimum, maximum), text, unit=unit, value="N")


def _timeout(text: str) -> dict[str, object]:
    return _option("timeouts", option_parsers.seconds, text, unit="seconds", value="SECONDS")


@dataclass(frozen=True)
class Options:
    """All options, checked: whichever way they are made, ConfigError names what cannot be used."""

    bind: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "listening",
            option_parsers.texts(parse_address, example='"unix:/run/app.sock"'),
            "address to listen on: unix:/run/app.sock, unix:@abstract, 127.0.0.1:9000,"
            " [::1]:9000 or fd:0; more than one can be given",
            unit="address",
            value="ADDRESS",
            kind="list",
        ),
    )
    backlog: int = field(
        default=limits.BACKLOG,
        metadata=_option(
            "listening",
            option_parsers.whole(1, 2**31 - 1),
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
        ),
    )
    allow_from: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "listening",
            option_parsers.texts(parse_network, example='"10.0.0.0/8"'),
            "Web servers that may connect over TCP, separated by commas; without it only those"
            " on this machine, and only a loopback address is listened on",
            unit="addresses and networks",
            value="LIST",
            kind="list",
            further_variables=("FCGI_WEB_SERVER_ADDRS",),
        ),
    )
    http: str | None = field(
        default=None,
        metadata=_option(
            "listening",
            option_parsers.http,
            f"also answer HTTP, for development; {DEFAULT_HTTP} when no address follows",
            unit="host:port",
            value="HOST:PORT",
            kind="optional",
            bare=DEFAULT_HTTP,
        ),
    )

    debug: bool = field(
        default=False,
        metadata=_option(
            "application",
            option_parsers.flag,
            "show tracebacks to whoever sent the request",
            kind="flag",
        ),
    )
    script_name: str | None = field(
        default=None,
        metadata=_option(
            "application",
            option_parsers.mount_point,
            "where the Web server has mounted the application, such as /app, for Web servers that"
            " do not say it",
            unit="path",
            value="PATH",
        ),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "application",
            option_parsers.texts(parse_network, example='"10.0.0.0/8"'),
            "proxies before the Web server whose X-Forwarded-For, -Proto, -Host and -Port are"
            " believed, separated by commas",
            unit="addresses and networks",
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
            " of the response), or auto, which is at-once but for HAProxy before 2.6.14, which"
            " crashes on it",
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
    log_level: str = field(
        default="info",
        metadata=_option(
            "application",
            option_parsers.log_level,
            f"least level that is logged: {', '.join(LOG_LEVELS)}",
            value="LEVEL",
        ),
    )

    max_connections: int = field(
        default=limits.MAX_CONNECTIONS,
        metadata=_limit("connections", "transport connections open at once; more of them wait"),
    )
    max_concurrent_requests: int = field(
        default=limits.MAX_CONCURRENT_REQUESTS,
        metadata=_limit("requests", "requests running at once; one more is answered with 503"),
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
            "bytes", "body kept in memory per request of a multiplexed connection, then on disk"
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
        metadata=_limit(
            "bytes", "unread body that is read and dropped after an early answer", minimum=0
        ),
    )

    params_timeout_seconds: float = field(
        default=limits.PARAMS_TIMEOUT_SECONDS,
        metadata=_timeout("from a request's first byte until its params are complete"),
    )
    idle_timeout_seconds: float = field(
        default=limits.IDLE_TIMEOUT_SECONDS,
        metadata=_timeout("a kept connection without a request is closed after this"),
    )
    stdin_timeout_seconds: float = field(
        default=limits.STDIN_TIMEOUT_SECONDS,
        metadata=_timeout("a read of the body that gets nothing fails after this"),
    )
    stdout_timeout_seconds: float = field(
        default=limits.STDOUT_TIMEOUT_SECONDS,
        metadata=_timeout("a write of the answer that makes no progress fails after this"),
    )
    graceful_timeout_seconds: float = field(
        default=limits.GRACEFUL_TIMEOUT_SECONDS,
        metadata=_timeout("from a stop signal until requests that still run are cut"),
    )

    _sources: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for option in fields(self):
            source = self.source_of(option.name)
            value = _parse(option, getattr(self, option.name), source)
            object.__setattr__(self, option.name, value)

    def source_of(self, name: str) -> str:
        """What the person wrote the option as: ``--bind``, ``GFCGI_BIND`` or ``bind=``."""
        return self._sources.get(name, f"{name}=")

    @classmethod
    def from_sources(
        cls,
        keywords: Mapping[str, object] = {},
        command_line: Mapping[str, object] = {},
        environ: Mapping[str, str] = {},
    ) -> Options:
        """Take each option from the first source that has it.

        The names of ``keywords`` and ``command_line`` are the fields'; None on the command line
        means not given. Raises ConfigError.
        """
        names = [option.name for option in fields(cls)]
        for keyword in keywords:
            if keyword not in names:
                import difflib  # for this alone

                close = difflib.get_close_matches(keyword, names, 1)
                hint = f"; did you mean {close[0]}=?" if close else ""
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


def described(option: Field[Any]) -> Described:
    """The metadata of one field of ``Options``."""
    found = option.metadata["option"]
    assert isinstance(found, Described)
    return found


def command_line_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_names(option: Field[Any]) -> tuple[str, ...]:
    """The environment variables that set an option, the first that is set wins."""
    return ("GFCGI_" + option.name.upper(), *described(option).further_variables)


def _find(
    option: Field[Any],
    keywords: Mapping[str, object],
    command_line: Mapping[str, object],
    environ: Mapping[str, str],
) -> tuple[str, object] | None:
    """The first source that has the option, and the value it has there."""
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
        return described(option).parse(value)
    except ValueError as error:
        texts = isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)
        shown = ",".join(value) if texts else value  # type: ignore[arg-type]
        raise ConfigError(f"{shown!r}: {error}", option=option.name, source=source) from None


# --- the reference -------------------------------------------------------------------------------


def reference_table() -> str:
    """Every option as Markdown, a table per group: what ``docs/reference/options.md`` shows."""
    lines: list[str] = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| Option | Default | Unit | What it is |"]
        lines += ["|---|---|---|---|"]
        for option in fields(Options):
            about = described(option)
            if about.group == group:
                ways = [_as_command_line(option), *variable_names(option), f"{option.name}="]
                names = "<br>".join(f"`{way}`" for way in ways)
                text = about.text[0].upper() + about.text[1:]
                lines.append(f"| {names} | {_as_text(option)} | {about.unit or '–'} | {text} |")
        lines.append("")
    return "\n".join(lines)


def _as_command_line(option: Field[Any]) -> str:
    name = command_line_name(option.name)
    about = described(option)
    if about.kind == "flag":
        return f"--no-{name[2:]}" if option.default else name
    return f"{name} [{about.value}]" if about.kind == "optional" else f"{name} {about.value}"


def _as_text(option: Field[Any]) -> str:
    default = option.default
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
