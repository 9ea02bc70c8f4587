"""One response: ``start_response``, ``write`` and the iterable become STDOUT.

The header block waits for the first bytes of the body (PEP 3333), and one write sends both: HAProxy
2.6 crashes on a header block that comes in pieces. A body of one chunk leaves in a single write,
with END_REQUEST.

A response ends as soon as enough has been sent: the whole Content-Length, or the header block where
there must be no body (HEAD, 204, 304). Then nothing more is asked of the application (PEP 3333).
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from gfcgi.protocol.events import Bytes
from gfcgi.protocol.records import Role
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.advice import Advice
from gfcgi.wsgi.error_stream import ErrorStream
from gfcgi.wsgi.files import FileWrapper
from gfcgi.wsgi.headers import (
    HeaderError,
    check_headers,
    check_status,
    encode_head,
    find_content_length,
    find_header,
    replace_content_length,
)
from gfcgi.wsgi.pages import error_page
from gfcgi.wsgi.request import Request, name_of
from gfcgi.wsgi.webserver_quirks import BODY_REPLACING, SHOWING_STATUS, head_limit, way_to_cut

__all__ = ["Response"]

log = Log("gfcgi.wsgi")

_AUTHORIZER: Final = int(Role.AUTHORIZER)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_ONE_RECORD_BYTES: Final = 32 * 1024
"""A body of at most this size is copied behind its header block: one record, one write."""

_LEAST_HEAD_LIMIT: Final = 4096
"""No Web server is known to refuse a header block of at most so many bytes."""


class Response:
    """One response. Every method may wait while the Web server is slow."""

    __slots__ = (
        "_advice",
        "_encoding",
        "_errors",
        "_headers",
        "_left",
        "_may_be_longer",
        "_request",
        "_said_too_long",
        "_status",
        "finished",
        "headers_sent",
        "no_body",
        "webserver",
    )

    def __init__(self, request: Request, errors: ErrorStream, advice: Advice) -> None:
        self._request = request
        self._errors = errors
        self._advice = advice
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._left: int | None = None
        """Bytes that are left of the Content-Length; None without one."""
        self._encoding: str | None = None
        self._may_be_longer = False
        self._said_too_long = False
        self.headers_sent = False
        self.finished = False
        """Whether the request has its end, and not only a part of its response."""
        self.no_body = False
        self.webserver = ""
        """As ``recognise`` names it."""

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
        # Check all before anything changes: an application may go on after a HeaderError.
        checked_status = check_status(status)
        checked = check_headers(headers)
        self._left = find_content_length(checked)
        self._headers = checked
        self._status = checked_status
        return self.write

    def write(self, data: object) -> None:
        """PEP 3333's write(): send at once. Raises: RequestAborted, TypeError."""
        chunk = self._to_bytes(data)
        head = self._head_before(data, chunk) if chunk else b""
        chunk = self._within_length(chunk)
        if head or chunk:
            self._request.write(head + chunk if head else chunk)
        else:
            self._request.give_way()

    # -- what the gateway calls

    def send(self, result: Iterable[Any]) -> None:
        """Send everything the application returned, and end the request.

        Raises: RequestAborted, TypeError, HeaderError, or whatever its iterator does.
        """
        if isinstance(result, (str, bytes)):
            # flup accepted a bare body. Iterating over it would send single octets.
            self._advice.bare_body(result)
            result = [result]
        if type(result) is list or type(result) is tuple:
            chunks = [chunk if type(chunk) is bytes else self._to_bytes(chunk) for chunk in result]
            if self._encoding is not None and self._left is not None and not self.headers_sent:
                self._correct_length(result, sum(map(len, chunks)))
            if len(chunks) == 1:
                self._send_only(chunks[0])
                return
            if sum(map(len, chunks)) <= _ONE_RECORD_BYTES:
                self._send_only(b"".join(chunks))
                return
            result = chunks
        elif isinstance(result, FileWrapper):
            # PEP 3333: it is sent to its end, or until Content-Length bytes.
            self._may_be_longer = True
            if self._send_file(result):
                return
        self._iterate(result)

    def refuse(self, status: str, detail: str = "", *, app_status: int = 0) -> None:
        """Answer with a page of gfcgi's own; nothing may have been sent before."""
        self.headers_sent = True
        self._request.finish(error_page(status, detail, body=not self.no_body), app_status)
        self.finished = True

    def cut(self) -> None:
        """End a response that has begun and is not whole, so that the HTTP client can tell."""
        self._request.cut(
            way_to_cut(
                self.webserver,
                keep_conn=self._request.keep_conn,
                length_sent=self._left is not None,
            )
        )
        self.finished = True

    # -- the parts of it

    def _iterate(self, result: Iterable[Any]) -> None:
        """Send the chunks of an iterable as they come, until enough is sent."""
        iterator = iter(result)
        for item in iterator:
            chunk = self._to_bytes(item)
            if not chunk:
                self._request.give_way()
                continue
            head = self._head_before(item, chunk)
            chunk = self._within_length(chunk)
            if self.no_body:
                # Nobody wants the rest; it may never end.
                self._end(head)
                return
            if self._left == 0:
                self._end(head + chunk if head else chunk)
                self._run_to_end(iterator)
                return
            self._request.write(head + chunk if head else chunk)
        if not self.headers_sent:
            self._send_only(b"")
        else:
            self._end(b"")

    def _run_to_end(self, iterator: Iterator[Any]) -> None:
        """Run what an application does after its last chunk; one that has more is not asked on."""
        for item in iterator:
            if self._to_bytes(item):
                self._too_long()
            return

    def _end(self, data: Bytes) -> None:
        """Send the last bytes and the end of the request."""
        if self._errors.unfinished:
            self._errors.flush()
        if self._left and not self.no_body and not self._is_replaced():
            log.error(
                "%s: the application's body is %d bytes short of its Content-Length",
                name_of(self._request),
                self._left,
            )
            if len(data):
                self._request.write(data)
            self.cut()
            return
        self._request.finish(data)
        self.finished = True

    def _head(self, length: int | None) -> bytes:
        """Return the header block; from now on the headers count as sent.

        ``length`` is the length of the whole body in bytes, or None if it is not known.
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
        if code == "200" and self.webserver in SHOWING_STATUS and self._needs_no_status(headers):
            status = ""
        head = encode_head(status, headers, length, status_first=authorizes)
        if len(head) > _LEAST_HEAD_LIMIT:
            limit = head_limit(self.webserver, self._request.params)
            if limit is not None and len(head) > limit[0]:
                self._advice.long_head(self._request, len(head), self.webserver, *limit)
        self.headers_sent = True
        self.no_body = self.no_body or no_body
        if length is not None:
            self._left = length
        return head

    def _needs_no_status(self, headers: list[tuple[str, str]]) -> bool:
        # Without a Status it is 200, unless there is a Location (RFC 3875 §6.2.3, §6.3.3). And a
        # header block must not be empty.
        return bool(headers) and find_header(headers, "location") is None

    def _head_before(self, item: object, chunk: bytes) -> bytes:
        """Return the header block if this is the first chunk of several, else nothing."""
        if self.headers_sent:
            return b""
        if self._left is not None and isinstance(item, str):
            self._correct_length([item], len(chunk))
            if self._left != len(chunk):
                # It may count characters, and would cut a later chunk that has others than ASCII.
                self._advice.length_in_characters(self._request, self._left, None)
                self._headers = replace_content_length(self._headers, None)
                self._left = None
        return self._head(None)

    def _correct_length(self, chunks: Sequence[Any], length: int) -> None:
        """Correct a Content-Length that counts the characters of a body of str."""
        if self._left != length and self._left == sum(map(len, chunks)):
            self._advice.length_in_characters(self._request, self._left, length)
            self._headers = replace_content_length(self._headers, length)
            self._left = length

    def _send_only(self, body: bytes) -> None:
        """Send a whole body, and the end of the request with it."""
        head = b""
        if not self.headers_sent:
            # An application may leave out the body of a HEAD itself; then nobody knows its length.
            head = self._head(None if self.no_body and not body else len(body))
        body = self._within_length(body)
        if len(body) > _ONE_RECORD_BYTES:
            first = _ONE_RECORD_BYTES - len(head)
            self._request.write(head + body[:first])
            self._end(memoryview(body)[first:])
        else:
            self._end(head + body)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send the rest of a regular file; return False if it is none."""
        region = wrapper.region()
        if region is None:
            return False
        descriptor, offset, count = region
        if count <= _ONE_RECORD_BYTES:
            self._send_only(wrapper.filelike.read(count))
            return True
        head = b"" if self.headers_sent else self._head(count)
        if not self.no_body and self._left is not None:
            count = min(count, self._left)
            self._left -= count
        if head:
            # The header block and the first bytes of the body are one record, as everywhere.
            most = 0 if self.no_body else min(count, _ONE_RECORD_BYTES)
            first = os.pread(descriptor, most, offset)
            self._request.write(head + first)
            offset += len(first)
            count -= len(first)
        if count and not self.no_body:
            self._request.send_file(descriptor, offset, count)
        self._end(b"")
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
        if not (self._said_too_long or self._may_be_longer or self._is_replaced()):
            self._said_too_long = True
            log.error(
                "%s: the application's body is longer than its Content-Length; the rest is cut",
                name_of(self._request),
            )

    def _is_replaced(self) -> bool:
        """Return whether the Web server sends a file instead of this body."""
        return any(name.lower() in BODY_REPLACING for name, _ in self._headers)

    def _to_bytes(self, chunk: Any) -> bytes:
        if type(chunk) is bytes:
            return chunk
        if isinstance(chunk, str):
            self._advice.bare_body(chunk)
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
