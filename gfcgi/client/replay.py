"""Send a recording's requests to an application once more, and compare its answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import gevent
import gevent.socket

from gfcgi import limits
from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.client.recording import Piece, Recording
from gfcgi.client.records import NotFastCGI, Record, RecordReader
from gfcgi.client.redaction import Redactor
from gfcgi.client.request import connect
from gfcgi.protocol.records import RecordType

__all__ = ["Difference", "replay"]

SHOWN_BYTES: Final = 60


@dataclass
class Answer:
    """What came for one request: STDOUT, and END_REQUEST's content; None if it did not come."""

    stdout: bytearray = field(default_factory=bytearray)
    end: bytes | None = None


class Answers:
    """The answers of one transport connection, in the order in which their requests began.

    A request id can be used again after its END_REQUEST (§3.3).
    """

    def __init__(self) -> None:
        self.all: list[Answer] = []
        self.ended = 0
        self._open: dict[int, Answer] = {}

    def begin(self, request_id: int) -> None:
        answer = self._open[request_id] = Answer()
        self.all.append(answer)

    def add(self, record: Record) -> None:
        answer = self._open.get(record.request_id)
        if answer is None:
            return
        if record.type == RecordType.STDOUT:
            answer.stdout += record.content
        elif record.type == RecordType.END_REQUEST:
            answer.end = record.content
            self.ended += 1
            del self._open[record.request_id]


@dataclass(frozen=True)
class Difference:
    """Where an answer is not the recorded one; ``text`` says how, for people."""

    connection: int
    text: str


def replay(
    recording: Recording, address: UnixAddress | TCPAddress, timeout_seconds: float
) -> Iterator[tuple[int, list[Difference]]]:
    """Play one transport connection after the other: its number of answers, and the differences.

    Raises: OSError if the application cannot be connected to.
    """
    for number, pieces in recording.connections():
        yield _play(number, pieces, recording, address, timeout_seconds)


def _play(
    number: int,
    pieces: Sequence[Piece],
    recording: Recording,
    address: UnixAddress | TCPAddress,
    timeout_seconds: float,
) -> tuple[int, list[Difference]]:
    recorded, reader, requests = Answers(), RecordReader(), RecordReader()
    player = _Player(connect(address, timeout_seconds=timeout_seconds), recording.redacted)
    differences: list[Difference] = []
    try:
        for piece in pieces:
            if piece.sender == "application":
                for record in reader.receive(piece.data):
                    recorded.add(record)
            else:
                # What had been answered before this was sent is to be answered now, too.
                player.wait_until_ended(recorded.ended)
                for record in requests.receive(piece.data):
                    if record.type == RecordType.BEGIN_REQUEST:
                        recorded.begin(record.request_id)
                        player.answers.begin(record.request_id)
                player.send(piece.data)
        player.wait_until_ended(recorded.ended)
    except TimeoutError:
        differences.append(Difference(number, f"no answer in {timeout_seconds:g} seconds"))
    except (ConnectionError, NotFastCGI) as error:
        differences.append(Difference(number, str(error)))
    finally:
        player.close()
    if not differences:
        differences += _compare(number, recorded, player.answers)
    return len(recorded.all), differences


class _Player:
    """Sends as the Web server did, and collects the answers, each in a greenlet of its own."""

    def __init__(self, sock: socket.socket, redacted: bool) -> None:
        self.answers = Answers()
        self._socket = sock
        self._reader = RecordReader()
        self._redactor = Redactor() if redacted else None
        self._sending: list[gevent.Greenlet[..., None]] = []

    def send(self, data: bytes) -> None:
        """Send what comes next, while the answers go on being read."""
        before = self._sending[-1:] if self._sending else []
        self._sending.append(gevent.spawn(self._send, data, before))

    def wait_until_ended(self, number: int) -> None:
        """Read until so many requests have been ended. Raises: TimeoutError, ConnectionError."""
        while self.answers.ended < number:
            data = self._socket.recv(limits.RECV_BYTES)
            if not data:
                raise ConnectionError(
                    f"the transport connection ended after {self.answers.ended} answers of {number}"
                )
            if self._redactor is not None:
                data = self._redactor.redact(data)
            for record in self._reader.receive(data):
                self.answers.add(record)

    def close(self) -> None:
        gevent.killall(self._sending)
        self._socket.close()

    def _send(self, data: bytes, before: list[gevent.Greenlet[..., None]]) -> None:
        gevent.joinall(before)
        try:
            if data:
                self._socket.sendall(data)
            else:
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # an application may answer early and close; reading shows what came of it


def _compare(number: int, recorded: Answers, now: Answers) -> Iterator[Difference]:
    for old, new in zip(recorded.all, now.all, strict=True):
        if old.end is None:
            continue  # the Web server did not wait for its end
        if old.stdout != new.stdout:
            yield Difference(number, _difference(bytes(old.stdout), bytes(new.stdout)))
        elif old.end != new.end:
            yield Difference(number, f"END_REQUEST was {old.end.hex()}, now {_hex(new.end)}")


def _hex(content: bytes | None) -> str:
    return content.hex() if content is not None else "missing"


def _difference(old: bytes, new: bytes) -> str:
    length = min(len(old), len(new))
    place = next((i for i in range(length) if old[i] != new[i]), length)
    start = max(0, place - SHOWN_BYTES // 2)
    shown = [repr(text[start : start + SHOWN_BYTES])[1:] for text in (old, new)]
    return f"differs from byte {place} on: was {shown[0]}, now {shown[1]}"
