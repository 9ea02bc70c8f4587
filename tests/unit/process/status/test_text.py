"""The status as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gfcgi.process.status.snapshot import Snapshot
from gfcgi.process.status.text import as_json, as_text, bytes_text, decoded, seconds_text

Make = Callable[..., Snapshot]


def test_text_has_the_numbers_and_where_requests_stand(snapshot: Make) -> None:
    text = as_text(snapshot())
    assert text.startswith("gfcgi 1.2 (compiled), process 7, serving, 1970-01-01 00:17:45 UTC\n")
    for part in (
        "11 ended: 10 2xx, 1 5xx",
        "3 of 100",
        "1 of them wait",
        "5 open",
        "20.0 MB",
        "up for 1:05 min",
        "1.50 s  GET /a\n            app.py, line 3, in sleep",
    ):
        assert part in text


def test_sums_are_over_all_processes_and_those_before(
    snapshot: Make, numbers: Callable[..., dict[str, float]]
) -> None:
    status = snapshot(
        processes={7: numbers({"2xx": 10}), 8: numbers({"2xx": 20, "none": 2})},
        ended={"requests_2xx_total": 5.0, "requests_4xx_total": 1.0},
    )
    text = as_text(status)
    assert "38 ended: 35 2xx, 1 4xx, 2 no answer" in text
    assert "process 7 (1 of 2)" in text
    assert "process 8: 22 requests ended" in text
    assert "processes that have ended: 6 requests" in text
    found = json.loads(as_json(status))
    assert found["all"]["requests"] == 38
    assert found["all"]["by_status"]["2xx"] == 35
    assert found["processes"]["8"]["requests"] == 22
    assert found["ended"]["requests"] == 6
    assert found["complete"] is True


def test_numbers_of_one_process_alone_are_said_to_be(snapshot: Make) -> None:
    status = snapshot(alone="These are the numbers of process 7 alone.")
    assert "\nThese are the numbers of process 7 alone.\n" in as_text(status)
    found = json.loads(as_json(status))
    assert (found["complete"], found["note"]) == (False, status.alone)


def test_what_clients_choose_breaks_no_line_and_controls_no_terminal(hostile: Snapshot) -> None:
    text = as_text(hostile)
    assert all(line.isprintable() for line in text.split("\n"))
    assert "\\x1b[31m\\né" in text


def test_json_has_paths_as_they_were_sent(hostile: Snapshot) -> None:
    (found,) = json.loads(as_json(hostile))["in_flight"]
    assert found["path"].endswith("\x1b[31m\né")
    assert found["method"] == "<i>"
    assert found["seconds"] == 1.5


def test_text_says_how_many_are_left_out(snapshot: Make) -> None:
    assert "and 1 younger one\n" in as_text(snapshot(more=1))
    assert json.loads(as_json(snapshot(more=2)))["in_flight_left_out"] == 2
    assert as_text(snapshot(standing=())).endswith("the oldest first:\n  none\n")


def test_draining_is_said(snapshot: Make) -> None:
    assert "process 7, draining," in as_text(snapshot(draining=True))
    assert json.loads(as_json(snapshot(draining=True)))["draining"] is True


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-0.1, "0.00 s"),
        (0.254, "0.25 s"),
        (59.4, "59 s"),
        (65, "1:05 min"),
        (7380, "2:03 h"),
        (200_000, "2 d"),
    ],
)
def test_time_is_short(seconds: float, shown: str) -> None:
    assert seconds_text(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (20_000_000, "20.0 MB"),
        (3e9, "3.0 GB"),
    ],
)
def test_bytes_are_short(count: int, shown: str) -> None:
    assert bytes_text(count) == shown


def test_octets_that_are_no_utf8_are_shown_as_unknown() -> None:
    assert decoded("\xc3\xa9") == "é"
    assert decoded("\xff\u20ac") == "\ufffd?"
