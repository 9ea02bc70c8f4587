"""gfcgi.server.transport: a socket that waits on gevent's hub."""

from __future__ import annotations

import socket
import time

import gevent
import pytest
from gevent.hub import get_hub

from gfcgi.server.transport import Transport


@pytest.fixture
def pair():
    """A Transport and the other end, both non-blocking."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    transport = Transport(ours)
    yield transport, theirs
    transport.close()
    theirs.close()


def drain(sock):
    """What can be received without waiting."""
    found = b""
    try:
        while piece := sock.recv(1 << 20):
            found += piece
    except BlockingIOError:
        pass
    return found


def receive(sock, count):
    """``count`` bytes, letting other greenlets go on."""
    found = b""
    while len(found) < count:
        piece = drain(sock)
        assert len(found) + len(piece) <= count
        found += piece
        if not piece:
            gevent.sleep(0.001)
    return found


LONG = bytes(range(256)) * 8192  # 2 MB: more than any socket buffer here


def test_receiving_at_once_says_bytes_nothing_or_the_end(pair):
    transport, other = pair
    assert transport.receive_now(10) is None
    other.send(b"0123456789abc")
    assert transport.receive_now(10) == b"0123456789"
    assert transport.receive_now(10) == b"abc"
    other.close()
    assert transport.receive_now(10) == b""


def test_readers_are_called_as_long_as_there_is_something_and_only_while_they_read(pair, until):
    transport, other = pair
    received = []
    transport.start_reading(lambda: received.append(transport.receive_now(1)))
    transport.start_reading(lambda: received.append("twice"))
    other.send(b"xy")
    until(lambda: received == [b"x", b"y"])
    transport.stop_reading()
    other.send(b"z")
    gevent.sleep(0.01)
    assert received == [b"x", b"y"]
    transport.start_reading(lambda: received.append(transport.receive_now(1)))
    until(lambda: received == [b"x", b"y", b"z"])


def test_the_end_is_something_to_read_however_it_comes(pair, until):
    transport, other = pair
    received = []

    def read():
        received.append(transport.receive_now(1))
        transport.stop_reading()

    transport.start_reading(read)
    other.close()
    until(lambda: received == [b""])
    transport.start_reading(read)
    transport.shut_down()
    until(lambda: received == [b"", b""])


def test_bytes_and_the_end_are_there_before_they_are_received(pair):
    transport, other = pair
    assert not transport.has_bytes()
    other.send(b"x")
    assert transport.has_bytes()
    assert transport.receive_now(10) == b"x"
    assert not transport.has_bytes()
    other.close()
    assert transport.has_bytes()


@pytest.mark.parametrize(
    "buffers",
    [
        [b"one"],
        [b"one", b"two", b"", memoryview(b"three")],
        [LONG],
        [b"head", LONG, memoryview(LONG), b"tail"],
        [b"%d," % number for number in range(5000)],
        [b"x" * 3000 for _ in range(2000)],
        [],
    ],
    ids=["short", "several", "long", "long and short", "many", "many and long", "none"],
)
def test_all_buffers_arrive_in_their_order_however_slow_the_reader(pair, buffers):
    transport, other = pair
    expected = b"".join(buffers)
    sending = gevent.spawn(transport.send, buffers)
    assert receive(other, len(expected)) == expected
    sending.get()
    assert transport.write_blocked_since == 0.0


def test_a_blocked_write_says_since_when(pair, until):
    transport, other = pair
    sending = gevent.spawn(transport.send, [LONG])
    until(lambda: transport.write_blocked_since)
    assert receive(other, len(LONG)) == LONG
    sending.get()
    assert not transport.write_blocked_since


@pytest.mark.parametrize("buffers", [[LONG], [LONG, b"end"]], ids=["one", "two"])
def test_what_an_exception_leaves_over_goes_out_before_the_next_bytes(pair, until, buffers):
    transport, other = pair
    sending = gevent.spawn(transport.send, buffers)
    until(lambda: transport.write_blocked_since)
    sending.kill()
    assert not transport.write_blocked_since
    expected = b"".join(buffers) + b"next"
    sending = gevent.spawn(transport.send, [b"next"])
    assert receive(other, len(expected)) == expected
    sending.get()
    transport.send([b"and no more of it"])
    assert drain(other) == b"and no more of it"


def test_sending_to_nobody_is_the_kernels_error(pair):
    transport, other = pair
    other.close()
    with pytest.raises(BrokenPipeError):
        transport.send([b"x"])
    with pytest.raises(BrokenPipeError):
        transport.send([b"x", b"y"])


def test_a_blocked_write_ends_when_the_other_side_closes(pair, until):
    transport, other = pair

    def close_when_blocked():
        until(lambda: transport.write_blocked_since)
        other.close()

    gevent.spawn(close_when_blocked)
    with pytest.raises(ConnectionError):
        transport.send([LONG])


@pytest.fixture
def long_file(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(LONG)
    with path.open("rb") as file:
        yield file


def test_a_region_of_a_file_arrives_however_slow_the_reader(pair, long_file):
    transport, other = pair
    sending = gevent.spawn(transport.send_file, long_file.fileno(), 100, len(LONG) - 200)
    assert receive(other, len(LONG) - 200) == LONG[100:-100]
    sending.get()
    assert long_file.tell() == 0


def test_a_file_that_ends_early_says_so_after_what_there_was(pair, long_file):
    transport, other = pair
    with pytest.raises(EOFError, match="7 bytes"):
        transport.send_file(long_file.fileno(), len(LONG) - 3, 10)
    assert drain(other) == LONG[-3:]


def test_a_connection_that_was_reset_can_be_shut_down():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    transport = Transport(ours)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    other.close()
    transport.shut_down()
    transport.close()
    assert ours.fileno() == -1


def test_hanging_up_is_seen_behind_unread_bytes_and_finishing_to_send_is_none(pair):
    transport, other = pair
    other.send(b"unread")
    assert not transport.has_hung_up()
    other.shutdown(socket.SHUT_WR)
    assert not transport.has_hung_up()
    other.close()
    assert transport.has_hung_up()
    assert transport.receive_now(100) == b"unread"


# -- writes that need not wait


@pytest.fixture
def others():
    """What the others do when the loop comes to them: ``others`` grows."""
    done = []
    with get_hub().loop.timer(0, 0.001) as timer:
        timer.start(done.append, "a turn")
        yield done


def test_whoever_never_has_to_wait_gives_way_to_the_others_now_and_then(pair, others):
    transport, _ = pair
    calls = 0
    deadline = time.monotonic() + 20
    while len(others) < 3 and time.monotonic() < deadline:
        transport.give_way()
        calls += 1
    assert calls > len(others) >= 3
