"""The invalid corpus, and ten thousand more of the kind, against a running server."""

from __future__ import annotations

import random
import socket
import time
from contextlib import suppress

import pytest
from replay import captures, scripts
from running import RunningServer

# Those that need no other bounds, and no application that ends a request at a certain moment.
SCRIPTS = [
    script
    for script in scripts()
    if not script.bounds and not any(isinstance(step, int) for step in script.steps)
]
WRONG = [s for s in SCRIPTS if any(line.startswith("error") for line in s.expected)]
GROUP = 15  # fewer than are logged before the rate applies


def send_and_leave(server: RunningServer, content: bytes) -> None:
    """Send it, say that there is no more, and wait until the server has closed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(server.address)
        with suppress(ConnectionError):
            sock.sendall(content)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


@pytest.mark.parametrize("start", range(0, len(WRONG), GROUP))
def test_each_malformed_input_is_logged_once_with_its_peer(start: int):
    group = WRONG[start : start + GROUP]
    with RunningServer() as server:
        for script in group:
            before = len(server.warnings)
            send_and_leave(server, script.content)
            new = server.warnings[before:]
            assert len(new) == 1, (script.name, new)
            assert "UNIX socket, pid" in new[0], script.name
            section = next(line for line in script.expected if line.startswith("error"))
            assert f"§{section.split('§')[1].split(',')[0]})" in new[0], script.name
        assert server.get().body == b"hello world"


def test_what_only_looks_wrong_is_not_logged():
    with RunningServer() as server:
        for script in SCRIPTS:
            if script not in WRONG:
                send_and_leave(server, script.content)
                assert server.warnings == [], script.name


def mutants(seed: int, count: int) -> list[bytes]:
    """Pieces of the corpus, most of them with some bytes changed, left out, put in or doubled."""
    dice = random.Random(seed)
    samples = [script.content for script in SCRIPTS if len(script.content) < 3000]
    samples += [c.content for c in captures() if c.facts["bytes"] < 3000]
    made = []
    for _ in range(count):
        content = bytearray(dice.choice(samples))
        for _ in range(dice.randrange(4)):
            at = dice.randrange(min(len(content), 40) + 1)
            match dice.randrange(5):
                case 0:
                    content[at : at + 1] = dice.randbytes(1)
                case 1:
                    del content[at : at + dice.randrange(1, 16)]
                case 2:
                    content[at:at] = content[: dice.randrange(64)]
                case 3:
                    content[at:at] = dice.randbytes(dice.randrange(16))
                case 4:
                    del content[dice.randrange(len(content) + 1) :]
        made.append(bytes(content))
    return made


def test_ten_thousand_malformed_connections_leave_a_server_that_serves():
    contents = mutants(seed=1, count=10_000)
    with RunningServer(measured=False) as server:
        for content in contents[:1000]:
            send_and_leave(server, content)
        before, began = server.state_at_rest(), time.monotonic()
        lines_before = len(server.warnings)
        for number, content in enumerate(contents[1000:]):
            if number % 2:
                send_and_leave(server, content)
                continue
            with socket.socket(socket.AF_UNIX) as sock, suppress(ConnectionError):
                sock.connect(server.address)
                sock.sendall(content)
        assert server.get().body == b"hello world"
        after, seconds = server.state_at_rest(), time.monotonic() - began
        for name in ("greenlets", "descriptors"):
            assert after[name] == before[name], name
        assert after["resident_bytes"] - before["resident_bytes"] < 4_000_000
        # 5 lines a second (limits.LOG_PER_SECOND), each perhaps with one that counts what was
        # kept back, from each of the two sources of such lines.
        new = server.warnings[lines_before:]
        assert len(new) < 40 + 2 * 2 * 5 * seconds, new[-40:]
        assert server.get().body == b"hello world"
