"""The Web server's side of the wire for the tests: FastCGI 1.0 built and read by hand.

Written from the specification alone. It imports nothing from gfcgi, so that a
misreading in the package cannot hide behind the same misreading here, and it
uses blocking sockets of the standard library, so that no gevent is involved.

Building is by functions that return bytes and check nothing, because a test
must be able to build what the specification forbids::

    begin_request(1, keep_conn=True) + params(1, {"REQUEST_METHOD": "GET"}) + stdin(1, b"")

Reading is by :class:`TransportConnection`, which is strict: a wrong version, a
record cut short or a stream that goes on after its end raises :class:`WireError`,
and every wait has a deadline in seconds (:class:`WireTimeout`)::

    with TransportConnection(("127.0.0.1", port)) as connection:
        connection.send(request(1, {"REQUEST_METHOD": "GET"}, b"", keep_conn=True))
        response = connection.response(1)
        assert response.status == 200
"""

from .connection import DEADLINE_SECONDS, Response, TransportConnection, WireClosed, WireTimeout
from .records import (
    ABORT_REQUEST,
    AUTHORIZER,
    BEGIN_REQUEST,
    CANT_MPX_CONN,
    DATA,
    END_REQUEST,
    FILTER,
    GET_VALUES,
    GET_VALUES_RESULT,
    HEADER_LEN,
    KEEP_CONN,
    MAX_CONTENT,
    OVERLOADED,
    PARAMS,
    REQUEST_COMPLETE,
    RESPONDER,
    STDERR,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    UNKNOWN_TYPE,
    VERSION_1,
    Pairs,
    Record,
    WireError,
    abort_request,
    begin_request,
    cgi_params,
    data,
    get_values,
    length,
    pairs,
    params,
    parse_pairs,
    parse_records,
    record,
    request,
    stdin,
    stream,
)

__all__ = [
    "ABORT_REQUEST",
    "AUTHORIZER",
    "BEGIN_REQUEST",
    "CANT_MPX_CONN",
    "DATA",
    "DEADLINE_SECONDS",
    "END_REQUEST",
    "FILTER",
    "GET_VALUES",
    "GET_VALUES_RESULT",
    "HEADER_LEN",
    "KEEP_CONN",
    "MAX_CONTENT",
    "OVERLOADED",
    "PARAMS",
    "REQUEST_COMPLETE",
    "RESPONDER",
    "STDERR",
    "STDIN",
    "STDOUT",
    "UNKNOWN_ROLE",
    "UNKNOWN_TYPE",
    "VERSION_1",
    "Pairs",
    "Record",
    "Response",
    "TransportConnection",
    "WireClosed",
    "WireError",
    "WireTimeout",
    "abort_request",
    "begin_request",
    "cgi_params",
    "data",
    "get_values",
    "length",
    "pairs",
    "params",
    "parse_pairs",
    "parse_records",
    "record",
    "request",
    "stdin",
    "stream",
]
