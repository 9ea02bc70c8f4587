"""What is long, slow or many at once: streams both ways, HTTP clients that leave, concurrency."""

from __future__ import annotations

import hashlib
import http.client
import time
from typing import Any

import pytest
from running import THREADS

from .bursts import sleepers
from .columns import ONE_PROCESS, ONE_REQUEST_EACH, PROCESS_EACH, SEVERAL_PROCESSES
from .harness import command_line, wait_until
from .site import Site

pytestmark = pytest.mark.servers

MIB = 1048576
BLOCK = bytes(range(256)) * 256  # what the application sends, block by block

#: KiB by which a process may grow over its whole life here; 100 MB kept anywhere would show.
GROWTH_KIB = 40 * 1024


def differs(request: pytest.FixtureRequest, reason: str) -> None:
    """Put a documented difference of this column into the matrix."""
    request.node.user_properties.append(("note", reason))


def test_download_of_100_mb_with_flat_memory(site: Site) -> None:
    token = site.token()
    digest, count = hashlib.sha256(), 0
    with site.client() as client:
        client.send("GET", f"{site.mount}/download?mib=100&token={token}")
        response = client.response()
        assert response.status == 200
        while block := response.read(MIB):
            digest.update(block)
            count += len(block)
    assert count == 100 * MIB
    assert digest.hexdigest() == hashlib.sha256(BLOCK * 1600).hexdigest()
    closed = site.wait_note(token, "close")
    assert closed["done"] is True
    assert closed["highest_kib"] - closed["start_kib"] < GROWTH_KIB


def test_upload_of_50_mb_with_flat_memory(site: Site) -> None:
    seen = site.request("POST", "/upload", BLOCK * 800).json()
    assert seen["bytes"] == 50 * MIB
    assert seen["highest_kib"] - seen["start_kib"] < GROWTH_KIB


def test_slow_http_client_holds_the_application_back(
    site: Site, request: pytest.FixtureRequest
) -> None:
    if not site.column.holds_back:
        differs(request, "the Web server takes the whole response in before the HTTP client reads")
        return
    token = site.token()
    with site.client() as client:
        client.send("GET", f"{site.mount}/download?mib=100&token={token}")
        response = client.response()
        assert response.status == 200
        settled = settle(lambda: len(site.notes(token, "mib")))
        assert settled < 60, f"{settled} MiB produced for an HTTP client that reads nothing"
        assert not site.notes(token, "close")
    assert_ended_early(site, token)


def assert_ended_early(site: Site, token: str) -> None:
    """The application's iterable is closed before its end; under CGI the process may just end."""
    if site.column.concurrency == PROCESS_EACH:
        pid = site.wait_note(token, "begin")["pid"]
        wait_until(lambda: not command_line(pid), "the end of the CGI process")
        assert not any(note["done"] for note in site.notes(token, "close"))
        return
    assert site.wait_note(token, "close")["done"] is False, "the application went on to its end"


def settle(progress: Any) -> int:
    """Wait until a growing number has not grown for a while, and return it."""
    last: int = progress()
    since = time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now: int = progress()
        if now != last:
            last, since = now, time.monotonic()
    return last


def test_server_sent_events_arrive_one_by_one(site: Site, request: pytest.FixtureRequest) -> None:
    token = site.token()
    gated = site.column.streams_response
    with site.client() as client:
        client.send("GET", f"{site.mount}/events?gated={int(gated)}&token={token}")
        response = client.response()
        assert response.status == 200
        assert response.getheader("Content-Type") == "text/event-stream"
        for at in range(5):
            # With gated=1 the next event is not even made before the test says so.
            assert response.readline() == b"data: %d\n" % at
            assert response.readline() == b"\n"
            site.say(token, str(at))
        assert response.read() == b""
    if not gated:
        differs(request, "the Web server keeps a response until it is complete")


def test_body_is_read_while_it_is_still_sent(site: Site, request: pytest.FixtureRequest) -> None:
    token = site.token()
    with site.client() as client:
        connection = client.connection
        connection.putrequest("POST", f"{site.mount}/first_read?token={token}")
        connection.putheader("Content-Length", str(2 * len(BLOCK)))
        connection.endheaders(BLOCK)
        if site.column.streams_request:
            site.wait_note(token, "first")
        else:
            differs(request, "the Web server takes the whole body before it asks the application")
        connection.send(BLOCK)
        site.say(token, "go")
        assert client.reply().json() == {"waited": True, "bytes": 2 * len(BLOCK)}


def test_upload_that_the_http_client_breaks_off_is_no_whole_body(
    site: Site, request: pytest.FixtureRequest
) -> None:
    token = site.token()
    with site.client() as client:
        connection = client.connection
        connection.putrequest("POST", f"{site.mount}/first_read?token={token}")
        connection.putheader("Content-Length", str(2 * len(BLOCK)))
        connection.endheaders(BLOCK)
        if site.column.streams_request:
            pid = site.wait_note(token, "first")["pid"]
    if not site.column.streams_request:
        differs(request, "the Web server never asks the application")
        assert site.get("/hello").status == 200
        assert not site.notes(token)
        return
    site.say(token, "go")
    wait_until(
        lambda: site.notes(token, "aborted") or not command_line(pid),
        "the application to learn that the body is cut",
    )
    assert not site.notes(token, "whole")
    assert site.get("/hello").status == 200


def test_application_is_closed_when_the_http_client_leaves(
    site: Site, request: pytest.FixtureRequest
) -> None:
    token = site.token()
    seconds = 20 if site.column.notices_leaving else 1
    with site.client() as client:
        client.send("GET", f"{site.mount}/trickle?seconds={seconds}&token={token}")
        if site.column.streams_response:
            response = client.response()
            assert len(response.read(1000)) == 1000
            response.close()
    site.say(token, "go")
    if site.column.notices_leaving:
        assert_ended_early(site, token)
    else:
        differs(request, "the Web server reads the response to its end all the same")
        site.wait_note(token, "close")
    assert len(site.notes(token, "close")) <= 1
    assert site.get("/hello").status == 200


def test_200_requests_that_sleep_are_served_at_once(
    site: Site, request: pytest.FixtureRequest
) -> None:
    concurrency = site.column.concurrency
    if concurrency == ONE_PROCESS:
        refuses = site.column.server.refuses_some()
        if refuses:
            differs(request, refuses)
        together = THREADS or 200
        wait = "&seconds=0.05" if THREADS else ""
        answers, elapsed = sleepers(site, 200, f"expect={together}{wait}")
        # Every request stayed until all 200 were in the process together, or as many as may be.
        assert {answer["peak"] for answer in answers} == {together}
        assert len({answer["pid"] for answer in answers}) == 1
        # One after another they sleep for 100 seconds.
        assert elapsed < 30.0
        return
    differs(request, concurrency)
    if concurrency == ONE_REQUEST_EACH:
        answers, _ = sleepers(site, 8, "seconds=0.1")
        assert {answer["peak"] for answer in answers} == {1}
    elif concurrency == SEVERAL_PROCESSES:
        served: set[int] = set()

        def share() -> bool:
            answers, elapsed = sleepers(site, 200, "seconds=0.5")
            assert elapsed < 30.0
            served.update(answer["pid"] for answer in answers)
            return len(served) > 1

        # Whichever process is up first, or runs just now, may take all of one burst.
        wait_until(share, "a second process to take its part")
    else:
        answers, _ = sleepers(site, 4, "seconds=0.1")
        assert len({answer["pid"] for answer in answers}) == 4


def test_graceful_reload_lets_a_running_request_finish(
    site: Site, request: pytest.FixtureRequest
) -> None:
    number = site.column.server.reload_signal
    if number is None:
        differs(request, "the Web server has no signal that reloads it")
        return
    if site.column.concurrency == ONE_REQUEST_EACH:
        sleepers(site, 4, "seconds=0.5")  # so that there are idle processes besides
    stopped = site.error_log().count("stopped by SIGTERM")
    token = site.token()
    with site.client() as client:
        client.send("GET", f"{site.mount}/events?gated=1&token={token}")
        site.wait_note(token, "begin")
        site.server.send_signal(number)
        if site.column.concurrency == ONE_REQUEST_EACH:
            # It stops its processes all at once: when an idle one is gone, ours knows too.
            wait_until(lambda: site.error_log().count("stopped by SIGTERM") > stopped, "SIGTERM")
            differs(request, "it ends its processes, which have eight seconds to finish")
        elif site.column.accepts_while_reloading:
            wait_until(lambda: site.get("/hello").status == 200, "an answer beside the old one")
        else:
            differs(request, "new requests wait until those before the reload are done")
        for at in range(5):
            site.say(token, str(at))
        assert client.reply().body == b"".join(b"data: %d\n\n" % at for at in range(5))
    wait_until(lambda: site.get("/hello").status == 200, "an answer after the reload")
    assert not site.server.exited()


def looks_whole(site: Site, path: str, token: str = "") -> bool:
    """Whether an HTTP client takes the response for a whole one.

    With a token the application goes on when the first part has come.
    """
    with site.client() as client:
        client.send("GET", site.mount + path)
        try:
            response = client.response()
            assert response.status in (200, 502)
            first = response.read(1) if token else b""
            if token:
                site.say(token, "go")
            return len(first + response.read()) > 0 and response.status == 200
        except (http.client.HTTPException, ConnectionError):
            return False


@pytest.mark.parametrize("length", ["", "1"], ids=["without a length", "with a length"])
def test_response_that_breaks_off_is_told_from_a_whole_one(
    site: Site, request: pytest.FixtureRequest, length: str
) -> None:
    shows = site.column.shows_cut[bool(length)]
    for late in (True, False):
        token = site.token()
        path = f"/broken?length={length}&token={token}"
        if late and site.column.streams_response:
            whole = looks_whole(site, f"{path}&gated=1", token)
        else:
            whole = looks_whole(site, f"{path}&pause={0.3 * late}")
        # lighttpd takes what it has for the whole if all of it comes before it has passed any on.
        if late or length or site.column.name != "lighttpd-streaming":
            assert whole is not shows
        assert site.get("/hello").status == 200
        assert len(site.notes(token, "broken")) == 1, "the request was sent again"
    if not shows:
        differs(request, "the Web server ends its own response as if it were whole")
