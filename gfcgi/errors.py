"""Every exception that gfcgi raises on purpose.

::

    FastCGIError
    ├─ ConfigError(ValueError)            a wrong option; names the option and its source
    │  └─ AppImportError                  the application cannot be found or imported
    ├─ ProtocolError                      names the request id and the specification's section
    │  ├─ LocalProtocolError              this side used the core wrongly
    │  └─ RemoteProtocolError             the other side's fault; says what ends with it
    │     └─ LimitExceeded                the other side exceeded one of our bounds
    ├─ RequestAborted(ConnectionError)    the Web server aborted the request (§5.4)
    ├─ RequestTimedOut                    the request has run for request_timeout_seconds
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
    "RequestTimedOut",
    "TransportClosed",
]


class Fatal(Enum):
    """What a remote protocol error ends: ``RemoteProtocolError.fatal``."""

    REQUEST = "request"
    TRANSPORT_CONNECTION = "transport connection"


class FastCGIError(Exception):
    """The root of the tree: catch it to catch whatever gfcgi raises on purpose."""


class ConfigError(FastCGIError, ValueError):
    """An option does not exist, or has a value that cannot be used.

    All attributes are str. ``option`` is the option's name as a Python identifier. ``source`` is
    the way in which the person gave it: ``--bind``, ``GFCGI_BIND``, ``bind=``. ``reason`` says what
    is wrong. ``str()`` gives one line for that person. ``Options`` raises it, and so does the code
    that reads an address, a TARGET or a command's options.
    """

    def __init__(self, reason: str, *, option: str = "", source: str = "") -> None:
        super().__init__(f"{source}: {reason}" if source else reason)
        self.reason = reason
        self.option = option
        self.source = source


class AppImportError(ConfigError):
    """The application cannot be imported; ``__cause__`` is its own exception.

    Raised when a TARGET of the command line is loaded.
    """


class ProtocolError(FastCGIError):
    """One side broke the FastCGI 1.0 specification.

    ``reason`` (str) says what happened. ``section`` (str) is the section of the specification, such
    as ``"3.4"``. ``request_id`` (int) is 0 if the error concerns no single request. The cores of
    ``gfcgi.protocol`` raise it.
    """

    def __init__(self, reason: str, *, section: str, request_id: int = 0) -> None:
        super().__init__(f"{reason} (FastCGI 1.0 §{section})")
        self.reason = reason
        self.section = section
        self.request_id = request_id


class LocalProtocolError(ProtocolError):
    """This side used the core wrongly. The core made no buffers.

    Raised by ``send`` of both cores and by ``encode_pairs``.
    """


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol.

    ``fatal`` says what ends. After ``Fatal.REQUEST`` the transport connection and its other
    requests stay in use: answer the request with a page for ``http_status`` (str, such as ``"400
    Bad Request"``) and with ``protocol_status`` (a ProtocolStatus) in its END_REQUEST record
    (§5.5). After ``Fatal.TRANSPORT_CONNECTION`` nobody can tell where the next record begins
    (§3.3): close the connection. ``next_event`` and ``receive_eof`` of both cores raise it, and so
    do the decoding functions.
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
    """The other side exceeded a bound.

    ``limit`` (str) is the option's name, such as ``"max_params_bytes"``, and ``value`` (int) its
    value, in the option's unit. It ends the request. ``next_event`` of the application's core and
    ``decode_params`` raise it.
    """

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
    """The Web server aborted this request (§5.4), or closed its transport connection.

    ``wsgi.input``, ``write`` and the request's other streams raise it. The body may be cut short.
    ``http_status`` (str) is that of the page for a Web server that still waits for an answer.
    """

    def __init__(self, reason: str = "", *, http_status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.http_status = http_status


class RequestTimedOut(FastCGIError):
    """The request has run for longer than ``request_timeout_seconds``, and was ended.

    It is raised in the application's greenlet, once, wherever that waits: between any two lines, as
    ``gevent.Timeout`` is. The Web server has its answer already, or a response that was cut; let
    the exception pass, after what has to be tidied up. Who catches it can send nothing any more:
    every further read and write raises RequestAborted. It is no OSError, so that no library takes
    it for an error of its own connection and tries again. A thread (``--threads``) never gets it.
    """


class TransportClosed(FastCGIError, ConnectionError):
    """The transport connection is closed; nothing can be sent or received on it.

    Raised in what asks an application, such as ``gfcgi request``, when the application closes the
    connection before its response is complete. A WSGI application gets RequestAborted.
    """
