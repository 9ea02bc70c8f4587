"""tests/chaos: a wrong answer is found, and a loss without a cause."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from chaos.causes import CRASHED, Happened, cause_of
from chaos.requests import PAGE, PAGE_OF_APACHE, Sent, text_of
from chaos.table import Run, table
from chaos.witness import Witness
from servers.webservers import HAProxy, Nginx


def answered(kind: str, head: bytes, body: bytes, number: int = 7) -> Sent:
    sent = Sent(kind, number)
    sent.judge(b"HTTP/1.1 " + head + b"\r\n\r\n" + body)
    sent.ended = time.monotonic()
    return sent


RIGHT = text_of(7, 500)
DIGEST = hashlib.sha256(Sent("upload", 7).body).hexdigest().encode()


@pytest.mark.parametrize(
    ("kind", "head", "body", "outcome"),
    [
        ("answer", b"200 OK\r\nContent-Length: 500", RIGHT, "right"),
        ("answer", b"200 OK", RIGHT, "right"),
        ("answer", b"200 OK", text_of(8, 500), "wrong"),
        ("answer", b"200 OK\r\nContent-Length: 500", RIGHT[:-1], "cut"),
        ("answer", b"200 OK\r\nContent-Length: 500", text_of(8, 499), "wrong"),
        ("answer", b"200 OK\r\nTransfer-Encoding: chunked", b"1f4\r\n" + RIGHT + b"\r\n", "cut"),
        (
            "answer",
            b"200 OK\r\nTransfer-Encoding: chunked",
            b"1f4\r\n" + RIGHT + b"\r\n0\r\n\r\n",
            "right",
        ),
        (
            "answer",
            b"200 OK\r\nContent-Length: 500",
            RIGHT[:100] + PAGE_OF_APACHE + b"\n<html>",
            "page behind it",
        ),
        (
            "answer",
            b"200 OK\r\nContent-Length: 500",
            text_of(8, 100) + PAGE_OF_APACHE + b"\n<html>",
            "wrong",
        ),
        ("answer", b"502 Bad Gateway", b"", "502"),
        ("answer", b"500 Oops", PAGE, "500"),
        ("upload", b"200 OK", b"7 %d " % len(Sent("upload", 7).body) + DIGEST, "right"),
        ("upload", b"200 OK", b"7 12 " + DIGEST, "wrong"),
        ("fail", b"500 Oops", PAGE, "right"),
        ("fail", b"500 Oops", b"the Web server's own page", "500"),
        ("fail", b"200 OK", RIGHT, "wrong"),
        ("cut", b"200 OK\r\nContent-Length: 50000", text_of(7, 25_000), "right"),
        ("cut", b"200 OK", text_of(7, 50_000), "wrong"),
        ("cut", b"200 OK\r\nContent-Length: 50000", text_of(8, 25_000), "wrong"),
    ],
)
def test_an_answer_is_judged_by_its_own_request(
    kind: str, head: bytes, body: bytes, outcome: str
) -> None:
    assert answered(kind, head, body).outcome == outcome


def lost(outcome: bytes = b"502 Bad Gateway", begun: int | None = None) -> Sent:
    sent = answered("answer", outcome, b"")
    sent.begun = [] if begun is None else [begun]
    return sent


def happened(name: str, sent: Sent, *pids: int, ago: float = 0.0) -> Happened:
    return Happened(name, sent.began - 1 - ago, sent.began + 1 - ago, frozenset(pids))


def test_a_loss_has_a_cause_only_while_that_lasts() -> None:
    sent = lost()
    run = Run("nginx", [sent], [happened("killed", sent, 1, ago=2)])
    assert run.unexplained() == [sent]
    run.events = [happened("killed", sent, 1)]
    assert run.unexplained() == []
    assert "| nginx | killed | 1 | 1 | 0 | 0 | 1 | 0 |\n" in table([run], ["killed"])


def test_a_killed_process_explains_what_it_had_and_what_no_process_had() -> None:
    for begun, explained in ((1, True), (None, True), (2, False)):
        sent = lost(begun=begun)
        assert bool(cause_of("nginx", [happened("killed", sent, 1)], sent)) is explained


def test_a_killed_process_has_been_noticed_when_what_it_had_begun_is_over() -> None:
    hung, later = Sent("large", 1, outcome="hung"), lost()
    killed = happened("killed", hung, 1)
    later.began = later.ended = killed.ended + 20
    hung.ended = killed.ended + 39
    run = Run("haproxy", [hung, later], [killed])
    assert run.unexplained() == [hung, later]
    run.was_begun(hung, [1], [])
    assert run.unexplained() == []


@pytest.mark.parametrize("event", ["terminated", "renewed"])
def test_a_stop_explains_only_what_no_process_has_begun(event: str) -> None:
    for begun, explained in ((None, True), (1, False), (2, False)):
        sent = lost(begun=begun)
        assert bool(cause_of("nginx", [happened(event, sent, 1)], sent)) is explained
    sent = lost()
    assert cause_of("haproxy", [happened(event, sent, 1)], sent) == ""


def test_a_crash_that_haproxys_log_tells_of_explains_what_gets_no_answer() -> None:
    log = 'FATAL: bug condition "c_empty(ic)" matched at src/stconn.c:1479'
    assert not Nginx().crashed(log)
    assert not HAProxy().crashed("the end")
    for column, outcome, explained in (
        ("haproxy", "nothing", True),
        ("haproxy", "wrong", False),
        ("nginx", "nothing", False),
    ):
        sent = Sent("answer", 1, outcome=outcome, begun=[1])
        assert bool(cause_of(column, [happened(CRASHED, sent)], sent)) is explained


@pytest.mark.parametrize("outcome", ["wrong", "hung"])
def test_nothing_explains_a_wrong_answer_or_one_that_never_comes(outcome: str) -> None:
    for begun in ([], [2]):
        sent = Sent("answer", 1, outcome=outcome, begun=begun)
        assert cause_of("haproxy", [happened("killed", sent, 1)], sent) == ""
    sent.begun = [1]
    assert cause_of("nginx", [happened("killed", sent, 1)], sent) == ""


def test_what_the_application_tells_is_kept_by_request(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    try:
        with open(tmp_path / "witness", "w") as application:
            application.write("begin 11 1\nend 11 1\nbegin 12 1\nbegin 11 21\n")
    finally:
        witness.close()
    assert witness.processes("begin", 1) == [11, 12]
    assert witness.processes("end", 1) == [11]
    assert witness.processes("end", 21) == []
