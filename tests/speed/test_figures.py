"""The benchmarks' own arithmetic and bytes."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.figures import TARGETS, failure, judge, median, ratio
from benchmarks.wire import CAPTURE, Shape, captured_params, encode_head, is_whole, prepare


def session(**peers: Any) -> dict[str, Any]:
    """Results of one load, with the CPU time of each round, or why the server failed."""
    runs = {
        name: {"samples": [], "failed": given}
        if isinstance(given, str)
        else {"samples": [{"cpu_us": value} for value in given]}
        for name, given in peers.items()
    }
    return {"loads": {"kept-16": {"title": "hello", "peers": runs}}}


def test_a_ratio_is_the_median_of_what_ran_side_by_side() -> None:
    """A round in which the machine was slow for both changes nothing."""
    result = session(gfcgi=[20.0, 200.0, 22.0], floor=[10.0, 100.0, 10.0])
    assert ratio(result, "kept-16", "cpu_us", "gfcgi", "floor") == pytest.approx(2.0)
    assert median(result, "kept-16", "gfcgi", "cpu_us") == 22.0


def test_a_server_that_failed_once_has_no_figures() -> None:
    result = session(gfcgi=[20.0], flup="11 connections got no answer")
    result["loads"]["kept-16"]["peers"]["flup"]["samples"] = [{"cpu_us": 1.0}]
    assert median(result, "kept-16", "flup", "cpu_us") is None
    assert ratio(result, "kept-16", "cpu_us", "gfcgi", "flup") is None
    assert failure(result, "kept-16", "flup") == "11 connections got no answer"


@pytest.mark.parametrize(
    ("cpu", "verdict"),
    [
        (15.0, "reaches the aim"),
        (25.0, "reaches the must"),
        (25.1, "**falls short**"),
    ],
)
def test_what_falls_short_is_said_so(cpu: float, verdict: str) -> None:
    (against_floor, *others) = judge(session(gfcgi=[cpu], floor=[10.0]))
    assert against_floor.target is TARGETS[0]
    assert against_floor.verdict == verdict
    other_servers = [one for one in others if one.target.against != "floor"]
    assert {one.verdict for one in other_servers} == {"not measured"}


def test_the_request_is_what_nginx_has_sent() -> None:
    """Nobody measures what no Web server sends."""
    head = encode_head(list(captured_params()), keep=True)
    _, body = prepare("fastcgi", Shape())
    assert head + body == CAPTURE.read_bytes()


def test_an_answer_is_whole_with_its_last_byte() -> None:
    records = b"\1\6\0\1\0\4\4\0\r\n\r\n\0\0\0\0" + b"\1\3\0\1\0\10\0\0" + bytes(8)
    assert is_whole("fastcgi", records[:-1]) is None
    answer = is_whole("fastcgi", records)
    assert answer is not None
    assert answer.response == b"\r\n\r\n"
