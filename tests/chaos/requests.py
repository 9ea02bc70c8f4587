"""One request: what is sent, what must come back, and what did."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field

__all__ = ["DEADLINE_SECONDS", "KINDS", "Sent", "send"]

DEADLINE_SECONDS = 40.0
"""A request that has no answer then hangs."""

KINDS = {
    "answer": 40,
    "slow": 10,
    "large": 6,
    "upload": 10,
    "late-upload": 6,
    "block": 2,
    "fork": 2,
    "fail": 6,
    "cut": 4,
    "leave": 6,
}
"""What is sent, and how often of so many."""

PAGE = b"The application failed. Its error log says why."
"""What gfcgi answers where the application raised."""


PAGE_OF_APACHE = b"<!DOCTYPE HTML PUBLIC "
"""Where Apache's own pages begin. It may put one behind what it has of a response that fails."""


@dataclass
class Sent:
    """One request.

    ``outcome`` is right, wrong, cut, page behind it, hung, nothing, left or a status. ``begun``
    and ``ended_in`` are the application's processes that say so of it.
    """

    kind: str
    number: int
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    outcome: str = ""
    detail: str = ""
    begun: list[int] = field(default_factory=list)
    ended_in: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return {"large": 300_000, "cut": 50_000, "leave": 400_000}.get(self.kind, 500)

    @property
    def body(self) -> bytes:
        if not self.kind.endswith("upload"):
            return b""
        return text_of(self.number, 40_000 + self.number % 7 * 40_000)

    @property
    def path(self) -> str:
        page = {"large": "answer", "leave": "answer"}.get(self.kind, self.kind)
        return f"/{page}?number={self.number}&size={self.size}"

    def judge(self, answer: bytes) -> None:
        """Find the outcome in everything that came until the connection's end."""
        head, blank, body = answer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        if not blank or len(lines[0].split()) < 2:
            self.outcome = "cut" if answer else "nothing"
            if self.kind == "cut":  # a Web server may hold back what it has when the rest fails
                self.outcome = "right"
            return
        status = lines[0].split()[1].decode()
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
        if fields.get(b"transfer-encoding") == b"chunked":
            body, whole = dechunked(body)
        else:
            whole = len(body) == int(fields.get(b"content-length", len(body)))
        failed = self.kind == "fail" and status == "500" and PAGE in body
        if failed or (self.kind, status) == ("cut", "502"):
            self.outcome = "right"
        elif status != "200":
            self.outcome, self.detail = status, body[:200].decode("latin-1")
        else:
            self.outcome = self._judge_body(body, whole=whole)
            if self.outcome == "wrong":
                self.detail = repr((lines, body[:200], len(body)))

    def _judge_body(self, body: bytes, *, whole: bool) -> str:
        if self.kind == "fail":
            return "wrong"
        if self.kind.endswith("upload"):
            sent = self.body
            expected = f"{self.number} {len(sent)} {hashlib.sha256(sent).hexdigest()}".encode()
        else:
            expected = text_of(self.number, self.size)
        if self.kind == "cut":
            return "right" if expected.startswith(body) and not whole else "wrong"
        if whole:
            return "right" if body == expected else "wrong"
        part, page, _ = body.partition(PAGE_OF_APACHE)
        if not expected.startswith(part):
            return "wrong"
        return "page behind it" if page else "cut"


def text_of(number: int, size: int) -> bytes:
    """What chaos.fcgi answers."""
    block = hashlib.sha256(str(number).encode()).hexdigest().encode()
    return (block * (size // len(block) + 1))[:size]


def dechunked(body: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether its end is there (RFC 9112 §7.1)."""
    content = b""
    while True:
        line, newline, rest = body.partition(b"\r\n")
        if not newline:
            return content, False
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return content, True
        content += rest[:size]
        if len(rest) < size + 2:
            return content, False
        body = rest[size + 2 :]


async def send(port: int, mount: str, sent: Sent) -> None:
    """Send a request and wait for all of its answer, or leave."""
    try:
        await asyncio.wait_for(_exchange(port, mount, sent), DEADLINE_SECONDS)
    except (asyncio.TimeoutError, TimeoutError):
        sent.outcome = "hung"
    except OSError as error:
        if not sent.outcome:
            sent.outcome, sent.detail = "nothing", repr(error)
    sent.ended = time.monotonic()


async def _exchange(port: int, mount: str, sent: Sent) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        body = sent.body
        head = f"{'POST' if body else 'GET'} {mount}{sent.path} HTTP/1.1\r\n"
        head += "Host: localhost\r\nConnection: close\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body[:20_000])
        if len(body) > 20_000:
            await asyncio.sleep(random.random() / 20)
            writer.write(body[20_000:])
        if sent.kind == "leave":
            if random.random() < 0.5:
                await reader.read(1)
            sent.outcome = "left"
            writer.transport.abort()
            return
        try:
            while piece := await reader.read(65536):
                answer += piece
        except ConnectionError as error:
            sent.detail = repr(error)
        sent.judge(answer)
    finally:
        writer.close()
