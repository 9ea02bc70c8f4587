"""Bytes recorded from real Web servers give the same events however they are cut."""

from __future__ import annotations

import pytest
from replay import Capture, at_random, byte_by_byte, captures, events_of_records, replay, whole

CAPTURES = captures()
BY_NAME = [pytest.param(capture, id=capture.name) for capture in CAPTURES]


def test_the_index_names_every_file_and_its_size():
    from replay.captures import FOLDER

    listed = {capture.name: capture.facts["bytes"] for capture in CAPTURES}
    found = {
        path.relative_to(FOLDER).as_posix(): path.stat().st_size for path in FOLDER.rglob("*.bin")
    }
    assert listed == found


@pytest.mark.parametrize("capture", BY_NAME)
def test_a_capture_gives_what_its_records_say(capture: Capture):
    content = capture.content
    assert replay(whole(content)) == events_of_records(content)


@pytest.mark.parametrize("capture", BY_NAME)
def test_a_capture_gives_the_same_events_byte_by_byte(capture: Capture):
    content = capture.content
    assert replay(byte_by_byte(content)) == replay(whole(content))


@pytest.mark.parametrize("capture", BY_NAME)
def test_a_capture_gives_the_same_events_at_random_cuts(capture: Capture):
    content = capture.content
    events = replay(whole(content))
    for seed in range(5):
        assert replay(at_random(content, seed)) == events, f"seed {seed}"
