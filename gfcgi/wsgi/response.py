"""One response: ``start_response``, ``write`` and the iterable, into STDOUT.

The header block waits for the first bytes of the body (PEP 3333) and leaves in one write with them:
HAProxy 2.6 crashes on a block that comes in pieces. With a body of one chunk, everything up to
END_REQUEST is a single write.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from gfcgi.protocol.records import Role
from gfcgi.wsgi.files import FileWrapper
from gfcgi.wsgi.headers import (
    HeaderError,
    check_headers,
    check_status,
    encode_head,
    find_content_length,
    find_header,
)
from gfcgi.wsgi.pages import error_page
from gfcgi.wsgi.request import Request, name_of

if TYPE_CHECKING:
    from gfcgi.wsgi.gateway import Gateway

__all__ = ["Response"]

log = logging.getLogger("gfcgi.wsgi")

_AUTHORIZER: Final = int(Role.AUTHORIZER)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_ONE_RECORD_BYTES: Final = 32 * 1024
"""Up to here a body is copied behind its header block, to be one record and one write."""

_HEAD_WARNING_BYTES: Final = 4096
"""nginx's default fastcgi_buffer_size on most machines; it answers 502 to a longer header block."""


class Response:
    """The application's side of one response; every method may wait for a slow Web server."""

    __slots__ = (
        "_encoding",
        "_gateway",
        "_headers",
        "_left",
        "_request",
        "_said_too_long",
        "_status",
        "finished",
        "headers_sent",
        "no_body",
    )

    def __init__(self, request: Request, gateway: Gateway) -> None:
        self._request = request
        self._gateway = gateway
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._left: int | None = None
        self._encoding: str | None = None
        self._said_too_long = False
        self.headers_sent = False
        self.finished = False
        self.no_body = False

    # -- what the application calls

    def start_response(
        self,
        status: object,
        headers: object,
        exc_info: Any = None,
    ) -> Callable[[Any], None]:
        """PEP 3333's start_response. Raises: HeaderError, AssertionError, or exc_info's own."""
        if exc_info is not None:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the cycle through the traceback
            self._encoding = None
        elif self._status is not None:
            raise AssertionError("start_response was called before; only exc_info allows it again")
        # All of it or nothing: an application may go on after a HeaderError.
        checked_status = check_status(status)
        checked = check_headers(headers)
        self._left = find_content_length(checked)
        self._headers = checked
        self._status = checked_status
        return self.write

    def write(self, data: object) -> None:
        """PEP 3333's write(): send at once. Raises: RequestAborted, TypeError."""
        chunk = self._to_bytes(data)
        if chunk:
            self._write(chunk)

    # -- what the gateway calls

    def send(self, result: Iterable[Any]) -> None:
        """Send everything the application returned, up to its end.

        Raises: RequestAborted, TypeError, HeaderError, or whatever its iterator does.
        """
        if isinstance(result, (str, bytes)):
            # flup let a bare body through; iterating it would send it octet by octet.
            self._gateway.warn_of_body(result)
            result = [result]
        if type(result) is list or type(result) is tuple:
            chunks = [self._to_bytes(chunk) for chunk in result]
            if len(chunks) == 1:
                self._send_only(chunks[0])
                return
            if sum(map(len, chunks)) <= _ONE_RECORD_BYTES:
                self._send_only(b"".join(chunks))
                return
            result = chunks
        if type(result) is FileWrapper and self._send_file(result):
            return
        for item in result:
            chunk = self._to_bytes(item)
            if chunk:
                self._write(chunk)

    def finish(self) -> None:
        """End the request, if that has not been done with its last bytes."""
        if self.finished:
            return
        if not self.headers_sent:
            self._send_only(b"")
            return
        self._check_shortfall()
        self.finished = True
        self._request.finish()

    def refuse(self, status: str, detail: str = "", *, app_status: int = 0) -> None:
        """Answer with a page of ours, where nothing was sent yet."""
        self.headers_sent = self.finished = True
        self._request.finish(error_page(status, detail, body=not self.no_body), app_status)

    # -- the parts of it

    def _head(self, length: int | None) -> bytes:
        """Return the header block and take note that it is on its way.

        ``length`` is the length of the whole body where that is known, else None.
        """
        status = self._status
        if status is None:
            raise AssertionError("the application did not call start_response")
        headers = self._headers
        code = status[:3]
        no_body = code in ("204", "304")
        if no_body:
            length = None
            if code == "204" and self._left is not None:
                headers = [header for header in headers if header[0].lower() != "content-length"]
                self._left = None
        if self._left is not None:
            length = None
        authorizes = self._request.role == _AUTHORIZER
        head = encode_head(status, headers, length, status_first=authorizes)
        if len(head) > _HEAD_WARNING_BYTES:
            self._gateway.warn_of_head(self._request, len(head), _HEAD_WARNING_BYTES)
        self.headers_sent = True
        self.no_body = self.no_body or no_body
        if length is not None:
            self._left = length
        return head

    def _write(self, chunk: bytes) -> None:
        head = b"" if self.headers_sent else self._head(None)
        chunk = self._within_length(chunk)
        if head or chunk:
            self._request.write(head + chunk if head else chunk)

    def _send_only(self, body: bytes) -> None:
        """Send a body that is known whole, and the request's end with it."""
        head = b"" if self.headers_sent else self._head(self._known_length(body))
        body = self._within_length(body)
        self._check_shortfall()
        self.finished = True
        if len(body) > _ONE_RECORD_BYTES:
            first = _ONE_RECORD_BYTES - len(head)
            self._request.write(head + body[:first])
            self._request.finish(memoryview(body)[first:])
        else:
            self._request.finish(head + body)

    def _known_length(self, body: bytes) -> int | None:
        # An application that strips the body of a HEAD itself has told us nothing of its length.
        return None if self.no_body and not body else len(body)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send what is left of a regular file, or return False if it is none."""
        region = wrapper.region()
        if region is None:
            return False
        descriptor, offset, count = region
        if count <= _ONE_RECORD_BYTES:
            self._send_only(wrapper.filelike.read(count))
            return True
        head = b"" if self.headers_sent else self._head(count)
        if not self.no_body and self._left is not None:
            if count > self._left:
                self._too_long()
                count = self._left
            self._left -= count
        if head:
            # One record with the first of the body, as everywhere.
            most = 0 if self.no_body else min(count, _ONE_RECORD_BYTES)
            first = os.pread(descriptor, most, offset)
            self._request.write(head + first)
            offset += len(first)
            count -= len(first)
        if not self.no_body:
            self._request.send_file(descriptor, offset, count)
        return True

    def _within_length(self, chunk: bytes) -> bytes:
        """Return as much of ``chunk`` as may be sent."""
        if self.no_body:
            return b""
        left = self._left
        if left is None:
            return chunk
        if len(chunk) > left:
            self._too_long()
            chunk = chunk[:left]
        self._left = left - len(chunk)
        return chunk

    def _too_long(self) -> None:
        if not self._said_too_long:
            self._said_too_long = True
            log.error(
                "%s: the application's body is longer than its Content-Length; the rest is cut",
                name_of(self._request),
            )

    def _check_shortfall(self) -> None:
        if self._left and not self.no_body:
            log.error(
                "%s: the application's body is %d bytes short of its Content-Length",
                name_of(self._request),
                self._left,
            )

    def _to_bytes(self, chunk: Any) -> bytes:
        if type(chunk) is bytes:
            return chunk
        if isinstance(chunk, str):
            self._gateway.warn_of_body(chunk)
            return chunk.encode(self._charset())
        if isinstance(chunk, bytes | bytearray | memoryview):
            return bytes(chunk)
        raise TypeError(f"the body must be of bytes, not {type(chunk).__name__}")

    def _charset(self) -> str:
        """The charset that the response's Content-Type names, or UTF-8."""
        if self._encoding is None:
            match = _CHARSET.search(find_header(self._headers, "content-type") or "")
            name = match[1] if match else "utf-8"
            try:
                codecs.lookup(name)
            except LookupError:
                raise HeaderError(f"Content-Type names no known charset: {name!r}") from None
            self._encoding = name
        return self._encoding
