"""Name-value pairs (§3.4): the encoding of PARAMS, GET_VALUES and GET_VALUES_RESULT.

Each pair is two lengths, then the name, then the value. A length below 128 is one byte; a longer
one is four, with the high bit of the first set. The bytes are octets without an encoding; here
they are str in latin-1, one character for each octet, as PEP 3333 wants them in ``environ``.

Decoding is on the path of every request: the whole block is decoded to str once and sliced by
lengths that are read from the bytes, so that no name or value is decoded by itself. What the Web
server says of itself comes in the same order with every request, so those names and constant values
are expected, and requests share the objects: nginx's take 2.2 KB less in each request that waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gfcgi import limits
from gfcgi.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError

__all__ = ["Pairs", "decode_pairs", "decode_params", "encode_pairs"]

Pairs = tuple[tuple[str, str], ...]

_MAX_LENGTH = 0x7FFF_FFFF

_CONSTANT: Final = frozenset(
    {
        "DOCUMENT_ROOT",
        "GATEWAY_INTERFACE",
        "HTTPS",
        "REDIRECT_STATUS",
        "REQUEST_SCHEME",
        "SERVER_ADDR",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
    }
)
"""Names whose value is the Web server's own, and the same in most requests."""

_MOST_EXPECTED: Final = 64
_LEARN_EVERY: Final = 32
"""Two Web servers may take turns, and to learn the one after the other would cost each request."""


class _Expected:
    """The names with which the next PARAMS are likely to begin, in their order.

    The client's header fields are among them, the last ones or, from Apache, the first: many
    clients send the same, and from the first that differs on nothing is as expected.
    """

    __slots__ = ("groups", "misses")

    def __init__(self) -> None:
        self.groups: list[tuple[bytes, dict[str, str], list[tuple[str, int]]]] = []
        """Neighbours that are constant, or are not: where they are, their encoding and what it
        decodes to; and of both kinds the names and the lengths of the names."""
        self.misses = 0
        """Requests of which less than four fifths was as expected."""

    def missed(self, params: dict[str, str]) -> None:
        """Learn from ``params``, which were not as expected; but not every time."""
        self.misses += 1
        if self.misses % _LEARN_EVERY != 1:
            return
        groups: list[tuple[bytes, dict[str, str], list[tuple[str, int]]]] = []
        was_constant = None
        for name, value in list(params.items())[:_MOST_EXPECTED]:
            if len(name) > 127:
                break
            constant = name in _CONSTANT and len(value) < 128
            if constant is not was_constant:
                groups.append((b"", {}, []))
                was_constant = constant
            encoded, constants, names = groups[-1]
            names.append((name, len(name)))
            if constant:
                constants[name] = value
                groups[-1] = encoded + encode_pairs([(name, value)]), constants, names
        self.groups = groups


_expected: Final = _Expected()


def decode_params(
    block: bytes, *, max_pairs: int = limits.MAX_PARAMS_PAIRS
) -> tuple[dict[str, str], Pairs]:
    """Decode one complete PARAMS stream (bytes, without headers and padding).

    Returns the pairs as a dict of str in latin-1, in their order, and the pairs whose name had come
    before, which some Web servers send for a repeated header field (usually none).

    Raises: RemoteProtocolError if a length overruns the stream; LimitExceeded for more than
    ``max_pairs`` pairs. Source: FastCGI 1.0 §3.4, §5.2.
    """
    text = block.decode("latin-1")
    end = len(block)
    params: dict[str, str] = {}
    position = 0
    try:
        for encoded, constants, names in _expected.groups:
            if constants and block.startswith(encoded, position):
                params.update(constants)
                position += len(encoded)
                continue
            for name, length in names:
                value_length = block[position + 1]
                start = position + 2 + length
                if (
                    block[position] != length
                    or value_length > 127
                    or not text.startswith(name, position + 2)
                ):
                    break
                position = start + value_length
                params[name] = text[start:position]
            else:
                continue
            break
    except IndexError:
        pass  # the end, or one that is cut short: the loop below says which
    as_expected = len(params)
    try:
        for count in range(as_expected, max_pairs + 1):  # noqa: B007 (it is used behind the loop)
            if position >= end:
                break
            name_length = block[position]
            value_length = block[position + 1]
            if name_length < 128 and value_length < 128:
                position += 2
            else:
                name_length, position = _decode_length(block, position)
                value_length, position = _decode_length(block, position)
            middle = position + name_length
            start = position
            position = middle + value_length
            params[text[start:middle]] = text[middle:position]
        else:
            raise LimitExceeded(
                "too many name-value pairs",
                limit="max_params_pairs",
                value=max_pairs,
                section="3.4",
                http_status="431 Request Header Fields Too Large",
            )
    except IndexError:
        raise _truncated() from None
    if position != end:
        raise _overrun()
    if count == len(params):
        if 4 * count > 5 * as_expected:
            _expected.missed(params)
        return params, ()
    return _first_and_repeated(decode_pairs(block))


def _first_and_repeated(pairs: Pairs) -> tuple[dict[str, str], Pairs]:
    params: dict[str, str] = {}
    repeated = []
    for name, value in pairs:
        if name in params:
            repeated.append((name, value))
        else:
            params[name] = value
    return params, tuple(repeated)


def decode_pairs(block: bytes) -> Pairs:
    """Decode complete name-value pairs (bytes) to str in latin-1, repeated names included.

    Raises: RemoteProtocolError if a length overruns the block. Source: FastCGI 1.0 §3.4.
    """
    # The loop of decode_params once more: sharing it would cost each pair a call.
    text = block.decode("latin-1")
    end = len(block)
    pairs = []
    position = 0
    try:
        while position < end:
            name_length = block[position]
            value_length = block[position + 1]
            if name_length < 128 and value_length < 128:
                position += 2
            else:
                name_length, position = _decode_length(block, position)
                value_length, position = _decode_length(block, position)
            middle = position + name_length
            start = position
            position = middle + value_length
            pairs.append((text[start:middle], text[middle:position]))
    except IndexError:
        raise _truncated() from None
    if position != end:
        raise _overrun()
    return tuple(pairs)


def _truncated() -> RemoteProtocolError:
    return RemoteProtocolError("a name-value pair stops within its lengths", section="3.4")


def _overrun() -> RemoteProtocolError:
    return RemoteProtocolError("a name or value is longer than its stream", section="3.4")


def _decode_length(block: bytes, position: int) -> tuple[int, int]:
    """Return a length and the position behind it. Raises: IndexError if it is cut short."""
    length = block[position]
    if length < 128:
        return length, position + 1
    last = block[position + 3]
    return int.from_bytes(
        block[position : position + 3], "big"
    ) << 8 & _MAX_LENGTH | last, position + 4


def encode_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Encode pairs of str in latin-1 to bytes, in their order.

    Raises: LocalProtocolError for a str beyond latin-1 or of 2 GiB. Source: FastCGI 1.0 §3.4.
    """
    parts: list[bytes] = []
    for name, value in pairs:
        try:
            encoded_name, encoded_value = name.encode("latin-1"), value.encode("latin-1")
        except UnicodeEncodeError:
            raise LocalProtocolError(
                f"{name!r} or its value is not latin-1", section="3.4"
            ) from None
        parts += (
            _encode_length(len(encoded_name)),
            _encode_length(len(encoded_value)),
            encoded_name,
            encoded_value,
        )
    return b"".join(parts)


def _encode_length(length: int) -> bytes:
    if length < 128:
        return bytes((length,))
    if length > _MAX_LENGTH:
        raise LocalProtocolError("a name or value of 2 GiB cannot be encoded", section="3.4")
    return (length | 0x8000_0000).to_bytes(4, "big")
