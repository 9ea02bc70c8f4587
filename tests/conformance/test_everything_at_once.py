"""All that the other files do one by one, on several connections at the same time."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import webserver_side as wire
from running import RunningServer
from webserver_side import Response

Check = Callable[[Response], None]


class Conversation:
    """One multiplexed connection; ``dice`` decides what is said on it."""

    def __init__(self, server: RunningServer, seed: int) -> None:
        self.server = server
        self.dice = random.Random(seed)
        self.checks: dict[int, Check] = {}
        self.late: list[bytes] = []

    def run(self) -> int:
        """Say some things and hear all answers; return how many were right."""
        heard = 0
        with self.server.connect() as connection:
            for _ in range(self.dice.randrange(1, 4)):
                content = b"".join(self.mixed(self.requests()))
                if self.dice.randrange(5) == 0:
                    # Leaves in the middle, without waiting for an answer.
                    connection.send(content[: self.dice.randrange(min(len(content), 100_000))])
                    break
                # A Web server reads while it sends.
                sending = threading.Thread(target=connection.send, args=(content,))
                sending.start()
                for request_id, check in list(self.checks.items()):
                    check(connection.response(request_id))
                    heard += 1
                sending.join()
                self.checks.clear()
        return heard

    def mixed(self, parts: list[list[bytes]]) -> Iterator[bytes]:
        """The records of all requests, each request's in their order."""
        while parts := [part for part in parts if part]:
            yield self.dice.choice(parts).pop(0)

    def requests(self) -> list[list[bytes]]:
        ids = self.dice.sample(range(1, 65536), self.dice.randrange(1, 9))
        kinds = [self.upload, self.early, self.download, self.aborted, self.wrong, self.values]
        return [self.dice.choice(kinds)(request_id) for request_id in ids]

    def begin(self, request_id: int, values: dict[str, str]) -> list[bytes]:
        params = wire.params(request_id, values, chunk=self.dice.choice([50, 65535]))
        return [wire.begin_request(request_id, keep_conn=True), params]

    def body(self) -> bytes:
        return self.dice.randbytes(self.dice.choice([0, 1, 1000, 70_000, 400_000]))

    def upload(self, request_id: int) -> list[bytes]:
        body = self.body()
        expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()

        def check(response: Response) -> None:
            assert response.body == expected

        self.checks[request_id] = check
        step = self.dice.choice([1000, 30_000]) if len(body) < 100_000 else 65_535
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        return [
            *self.begin(request_id, wire.cgi_params("POST", "/digest", body=body)),
            *(wire.stdin(request_id, piece, end=False) for piece in pieces),
            wire.record(wire.STDIN, request_id),
        ]

    def early(self, request_id: int) -> list[bytes]:
        body = self.body()

        def check(response: Response) -> None:
            assert response.body == b"hello world"

        self.checks[request_id] = check
        values = wire.cgi_params("POST", "/hello", body=body)
        return [*self.begin(request_id, values), wire.stdin(request_id, body)]

    def download(self, request_id: int) -> list[bytes]:
        count, size = self.dice.randrange(20), self.dice.choice([1, 5000, 100_000])
        letter = self.dice.choice("abcdefghij")
        query = f"count={count}&size={size}&letter={letter}"
        query += "&yield=1" if self.dice.randrange(2) else ""

        def check(response: Response) -> None:
            assert response.body == letter.encode() * (count * size)

        self.checks[request_id] = check
        values = wire.cgi_params(path="/chunks", query=query)
        return [*self.begin(request_id, values), wire.stdin(request_id, b"")]

    def aborted(self, request_id: int) -> list[bytes]:
        sent = self.dice.choice([self.upload, self.download])(request_id)
        sent = sent[: self.dice.randrange(1, len(sent) + 1)]

        def check(response: Response) -> None:
            assert response.ended

        self.checks[request_id] = check
        return [*sent, wire.abort_request(request_id)]

    def wrong(self, request_id: int) -> list[bytes]:
        def check(response: Response) -> None:
            assert response.status == 400

        self.checks[request_id] = check
        values = wire.cgi_params("POST", "/until_aborted", body=b"...")
        mistake = self.dice.choice(
            [
                wire.data(request_id, b"?"),
                wire.begin_request(request_id),
                wire.params(request_id, {}),
            ]
        )
        return [*self.begin(request_id, values), mistake]

    def values(self, request_id: int) -> list[bytes]:
        return [wire.get_values("FCGI_MPXS_CONNS"), wire.stdin(request_id, b"nobody's")]


def test_every_answer_is_right_and_nothing_is_left():
    with RunningServer() as server:
        Conversation(server, seed=0).run()
        before = server.state_at_rest()
        with ThreadPoolExecutor(4) as pool:
            heard = pool.map(lambda seed: Conversation(server, seed).run(), range(1, 121))
        assert sum(heard) > 300
        after = server.state_at_rest()
        for name in ("greenlets", "descriptors"):
            assert after[name] == before[name], name
        assert "Traceback" not in server.log
