"""gfcgi.server: many requests of every kind, mixed, aborted and dropped, by seeded chance.

The wire side is strict about every record. Whatever was not given up has its whole answer; and in
the end nothing is left: no request, no connection, no descriptor.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile

import gevent
import pytest
import webserver_side as wire

SIZES = (0, 1, 7, 500, 9_000, 70_000, 300_000)


def content(size: int, seed: str) -> bytes:
    return random.Random(seed).randbytes(size)


def application(environ, start_response):
    """What the path says: /kind/size."""
    _, kind, size, seed = environ["PATH_INFO"].split("/")
    data = content(int(size), seed)
    headers = [("Content-Type", "application/octet-stream")]
    if kind == "raise":
        raise LookupError("as asked for")
    if kind == "echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", headers)
        return [body]
    if kind == "lines":
        start_response("200 OK", headers)
        return list(environ["wsgi.input"])
    write = start_response("200 OK", headers)
    if kind == "write":
        for at in range(0, len(data), 10_000):
            write(data[at : at + 10_000])
            environ["wsgi.errors"].write("a line\n")
        return []
    if kind == "file":
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
        file.write(data)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    if kind == "stream":
        return stream(data)
    if kind == "part":
        environ["wsgi.input"].read(100)
        gevent.sleep(0)
    return [data]


def stream(data):
    for at in range(0, len(data), 5_000):
        gevent.sleep(0)
        yield data[at : at + 5_000]


KINDS = ("plain", "echo", "lines", "write", "file", "stream", "part", "raise")


class WebServer:
    """One transport connection, kept, with several requests at once."""

    def __init__(self, connection: wire.TransportConnection, seed: str) -> None:
        self.connection = connection
        self.chance = random.Random(seed)
        self.answered = 0

    def run(self) -> None:
        requests = 0
        while requests < 12:
            expected = {}
            bodies = {}
            for request_id in self.chance.sample(range(1, 65_536), self.chance.randint(1, 4)):
                requests += 1
                kind, size = self.chance.choice(KINDS), self.chance.choice(SIZES)
                seed = f"{self.chance.random()}"
                body = content(self.chance.choice(SIZES), seed + "body")
                answer = body if kind in ("echo", "lines") else content(size, seed)
                expected[request_id] = None if kind == "raise" else answer
                bodies[request_id] = wire.stdin(
                    request_id, body, chunk=self.chance.choice((997, 8_000, 65_535))
                )
                values = wire.cgi_params("POST", f"/{kind}/{size}/{seed}", body=body)
                self.connection.send(
                    wire.begin_request(request_id, keep_conn=True),
                    wire.params(request_id, values, chunk=self.chance.choice((10, 65_535))),
                )
            given_up = {number for number in expected if self.chance.random() < 0.2}
            sending = gevent.spawn(self.send, bodies, given_up, self.chance.random())
            if self.chance.random() < 0.1:
                gevent.sleep(0.002)
                sending.kill()
                return  # leaves in mid-sending
            for request_id, answer in expected.items():
                response = self.connection.response(request_id)
                if request_id in given_up:
                    continue
                if answer is None:
                    assert response.status == 500
                else:
                    assert (response.status, response.body) == (200, answer)
                self.answered += 1
            sending.join()

    def send(self, bodies: dict[int, bytes], given_up: set[int], seed: float) -> None:
        """Send all bodies, a record of one and of another, cut anywhere, and ABORTs in between."""
        chance = random.Random(seed)
        queues = {number: wire.parse_records(body)[0] for number, body in bodies.items()}
        while queues:
            number = chance.choice(sorted(queues))
            if number in given_up and chance.random() < 0.3:
                self.connection.send(wire.abort_request(number))
                del queues[number]
                continue
            record = queues[number].pop(0)
            whole = wire.record(record.type, number, record.content, padding=chance.choice((0, 7)))
            cut = chance.randrange(len(whole))
            self.connection.send(whole[:cut])
            gevent.sleep(0)
            self.connection.send(whole[cut:])
            if not queues[number]:
                del queues[number]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_answers_are_whole_and_nothing_is_left(serving, until, seed):
    options = {
        "stdin_buffer_bytes": 5_000,
        "multiplexed_buffer_bytes": 10_000,
        "max_spool_bytes": 50_000,
    }
    gc.collect()
    with serving(application, **options) as site:
        gc.collect()  # what tests before this one have left may have descriptors
        before = len(os.listdir("/proc/self/fd"))
        web_servers = [WebServer(site.connect(), f"{seed}.{number}") for number in range(6)]

        def run(web_server):
            with web_server.connection:
                web_server.run()

        running = [gevent.spawn(run, web_server) for web_server in web_servers]
        for one in running:
            one.get()
        site.until_idle()
        assert sum(web_server.answered for web_server in web_servers) > 10
        gc.collect()
        until(lambda: len(os.listdir("/proc/self/fd")) <= before)
