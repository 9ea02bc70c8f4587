"""The header block at the beginning of an application's STDOUT (FastCGI 1.0 §6.2, RFC 3875 §6).

The check is strict. A developer looks at this side, and some Web server refuses what another one
accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gfcgi.errors import Fatal, RemoteProtocolError
from gfcgi.http_fields import is_token, parse_length

__all__ = ["MAX_HEADER_BLOCK_BYTES", "HeaderBlock", "ResponseHead"]

MAX_HEADER_BLOCK_BYTES: Final = 64 * 1024
"""Bytes of a response's header block. nginx takes 4 KiB by default, HAProxy and Apache about 16.
An application that sends more works nowhere."""

BLOCK_END: Final = re.compile(rb"\n\r?\n")
STATUS: Final = re.compile(rb"([1-9][0-9]{2})(?:[ \t]+(.*))?")
UNPRINTABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
ONCE: Final = frozenset({"status", "location", "content-type", "content-length"})


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status and headers of a response. The values are latin-1 str, in the order of arrival."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the first value of the header ``name``, in any case, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class HeaderBlock:
    """Collect the bytes of a header block until it is complete. They may be cut anywhere.

    Afterwards ``rest`` holds the first bytes of the body.
    """

    def __init__(self, request_id: int = 0) -> None:
        self.rest = b""
        self._request_id = request_id
        self._buffer = bytearray()

    @property
    def started(self) -> bool:
        """Whether a byte of the block has come."""
        return bool(self._buffer)

    def receive(self, data: bytes | bytearray | memoryview) -> ResponseHead | None:
        """Take the next bytes of STDOUT. Returns the head when its empty line has come.

        Raises: RemoteProtocolError, fatal to the request, for anything but a header block.
        """
        buffer = self._buffer
        searched = max(0, len(buffer) - 2)
        buffer += data
        if buffer.startswith((b"\n", b"\r\n")):
            raise self._error("the response starts with an empty line instead of headers")
        end = BLOCK_END.search(buffer, searched)
        block_bytes = end.end() if end else len(buffer)
        if block_bytes > MAX_HEADER_BLOCK_BYTES:
            raise self._error(
                f"no end of the response's header block within {MAX_HEADER_BLOCK_BYTES} bytes"
            )
        if end is None:
            return None
        self.rest = bytes(buffer[end.end() :])
        return self._parse(bytes(buffer[: end.start()]))

    def _parse(self, block: bytes) -> ResponseHead:
        headers: list[tuple[str, str]] = []
        seen: dict[str, str] = {}
        status, reason = 0, ""
        for line in block.split(b"\n"):
            name, value = self._field(line.removesuffix(b"\r"))
            key = name.lower()
            if key in ONCE and key in seen:
                raise self._error(f"the response has {name} twice")
            seen[key] = value
            if key == "status":
                status, reason = self._status(value)
            else:
                headers.append((name, value))
        if "content-length" in seen and parse_length(seen["content-length"]) is None:
            raise self._error(f"the response's Content-Length is {seen['content-length']!r}")
        if not status:
            # RFC 3875 §6.2.2: the Web server itself follows a Location that is a path. nginx and
            # lighttpd leave that to the browser, and so do we.
            status = HTTPStatus.FOUND if "location" in seen else HTTPStatus.OK
        return ResponseHead(status, reason or _reason(status), tuple(headers))

    def _field(self, line: bytes) -> tuple[str, str]:
        name, colon, value = line.partition(b":")
        field = name.decode("latin-1")
        if not colon or not is_token(field):
            raise self._error(f"not a header line in the response: {_shown(line)}")
        value = value.strip(b" \t")
        if UNPRINTABLE.search(value):
            raise self._error(f"a control character in the response's header {_shown(line)}")
        return field, value.decode("latin-1")

    def _status(self, value: str) -> tuple[int, str]:
        match = STATUS.fullmatch(value.encode("latin-1"))
        if match is None:
            raise self._error(f"the response's Status is {value!r}, not 'NNN reason'")
        code = int(match[1])
        if code < 200:
            raise self._error(f"the response's Status is {code}: there can be no interim response")
        return code, (match[2] or b"").decode("latin-1")

    def _error(self, reason: str) -> RemoteProtocolError:
        return RemoteProtocolError(
            reason,
            section="6.2",
            request_id=self._request_id,
            fatal=Fatal.REQUEST,
            http_status="502 Bad Gateway",
        )


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _shown(line: bytes) -> str:
    return repr(line[:80])[1:] + ("…" if len(line) > 80 else "")
