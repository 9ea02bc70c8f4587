"""Every exception that gfcgi raises on purpose.

::

    FastCGIError
    ├─ ConfigError(ValueError)            a wrong option; names it and where it was set
    │  └─ AppImportError                  the application cannot be found or imported
    ├─ ProtocolError                      names the request id and the specification's section
    │  ├─ LocalProtocolError              our own misuse of the core
    │  └─ RemoteProtocolError             the other side's fault; says what dies of it
    │     └─ LimitExceeded                the other side went beyond one of our bounds
    ├─ RequestAborted(ConnectionError)    the Web server gave the request up (§5.4)
    └─ TransportClosed(ConnectionError)   the transport connection is closed
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "AppImportError",
    "ConfigError",
    "Fatal",
    "FastCGIError",
    "LimitExceeded",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestAborted",
    "TransportClosed",
]


class Fatal(Enum):
    """What dies of a remote protocol error."""

    REQUEST = "request"
    TRANSPORT_CONNECTION = "transport connection"


class FastCGIError(Exception):
    """The root of the tree."""


class ConfigError(FastCGIError, ValueError):
    """An option has a value that cannot be used.

    ``option`` is the option's name as a Python identifier, ``source`` what the person wrote it
    as: ``--bind``, ``GFCGI_BIND``, ``bind=``.
    """

    def __init__(self, reason: str, *, option: str = "", source: str = "") -> None:
        super().__init__(f"{source}: {reason}" if source else reason)
        self.reason = reason
        self.option = option
        self.source = source


class AppImportError(ConfigError):
    """The application that was named cannot be imported; ``__cause__`` is its own exception."""


class ProtocolError(FastCGIError):
    """FastCGI was not spoken as the specification says.

    ``request_id`` is 0 where no single request is concerned; ``section`` is the section of the
    FastCGI 1.0 specification that was broken, such as ``"3.4"``.
    """

    def __init__(self, reason: str, *, section: str, request_id: int = 0) -> None:
        super().__init__(f"{reason} (FastCGI 1.0 §{section})")
        self.reason = reason
        self.section = section
        self.request_id = request_id


class LocalProtocolError(ProtocolError):
    """We used the core wrongly: nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol.

    ``fatal`` says what dies: ``Fatal.REQUEST`` leaves the transport connection and its other
    requests in use, and the request is to be answered with ``http_status`` in a page and with
    ``protocol_status`` in its END_REQUEST record; ``Fatal.TRANSPORT_CONNECTION`` means that the
    records can no longer be told apart.
    """

    def __init__(
        self,
        reason: str,
        *,
        section: str,
        request_id: int = 0,
        fatal: Fatal = Fatal.TRANSPORT_CONNECTION,
        protocol_status: int = 0,
        http_status: str = "400 Bad Request",
    ) -> None:
        super().__init__(reason, section=section, request_id=request_id)
        self.fatal = fatal
        self.protocol_status = protocol_status
        self.http_status = http_status


class LimitExceeded(RemoteProtocolError):
    """The other side went beyond a bound: ``limit`` is the option's name, ``value`` its value."""

    def __init__(
        self,
        reason: str,
        *,
        limit: str,
        value: int,
        section: str,
        request_id: int = 0,
        protocol_status: int = 0,
        http_status: str = "400 Bad Request",
    ) -> None:
        super().__init__(
            f"{reason}: more than {limit}={value}",
            section=section,
            request_id=request_id,
            fatal=Fatal.REQUEST,
            protocol_status=protocol_status,
            http_status=http_status,
        )
        self.limit = limit
        self.value = value


class RequestAborted(FastCGIError, ConnectionError):
    """The Web server no longer wants this request (§5.4), or its transport connection is gone.

    Raised by the request's streams. Its body may have been cut short.
    """


class TransportClosed(FastCGIError, ConnectionError):
    """The transport connection is closed; nothing can be sent or received on it."""
