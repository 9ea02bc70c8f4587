"""Each malformed input has one outcome, the one that its script says, however it is cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from replay import Script, Transcript, at_random, byte_by_byte, scripts, whole
from replay.script import describe

from gfcgi.protocol import ApplicationConnection, EndRequest

SCRIPTS = [pytest.param(script, id=script.name) for script in scripts()]


def outcome(script: Script, cut: Callable[[bytes], list[bytes]]) -> list[str]:
    connection = ApplicationConnection(**script.bounds)
    transcript = Transcript(connection)
    for step in script.steps:
        if isinstance(step, bytes):
            transcript.feed(cut(step))
        elif step is None:
            transcript.eof()
        else:
            connection.send(EndRequest(step))
    return [describe(event) for event in transcript.events]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_outcome_is_the_chosen_one(script: Script):
    assert outcome(script, whole) == script.expected


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_outcome_is_the_same_byte_by_byte(script: Script):
    assert outcome(script, byte_by_byte) == script.expected


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_outcome_is_the_same_at_random_cuts(script: Script):
    for seed in range(20):
        events = outcome(script, lambda content, seed=seed: at_random(content, seed))
        assert events == script.expected, f"seed {seed}"
