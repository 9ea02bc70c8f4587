"""Name-value pairs (§3.4): the encoding of PARAMS, GET_VALUES and GET_VALUES_RESULT.

Each pair is two lengths, then the name, then the value. A length below 128 is one byte; a longer
one is four, with the high bit of the first set. The bytes are octets without an encoding; here
they are str in latin-1, one character for each octet, as PEP 3333 wants them in ``environ``.

Decoding is on the path of every request: the whole block is decoded to str once and sliced by
lengths that are read from the bytes, so that no name or value is decoded by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from gfcgi import limits
from gfcgi.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError

__all__ = ["Pairs", "decode_pairs", "decode_params", "encode_pairs"]

Pairs = tuple[tuple[str, str], ...]

_MAX_LENGTH = 0x7FFF_FFFF


def decode_params(
    block: bytes, *, max_pairs: int = limits.MAX_PARAMS_PAIRS
) -> tuple[dict[str, str], Pairs]:
    """Decode one complete PARAMS stream (bytes, without padding).

    Returns the pairs as a dict in their order, and the pairs whose name had come before, which
    some Web servers send for a repeated header field (usually none).

    Raises: RemoteProtocolError if a length overruns the stream; LimitExceeded for more than
    ``max_pairs`` pairs. Source: FastCGI 1.0 §3.4.
    """
    text = block.decode("latin-1")
    end = len(block)
    params: dict[str, str] = {}
    position = 0
    try:
        for count in range(max_pairs + 1):  # noqa: B007 (it is used behind the loop)
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
    """Decode complete name-value pairs, repeated names included.

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
    """Encode pairs of latin-1 str.

    Raises: LocalProtocolError for a str beyond latin-1 or for 2 GiB of it. Source: §3.4.
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
