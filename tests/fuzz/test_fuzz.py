"""What the corpus of each harness shows still holds; and a harness that fails says how to go on."""

from __future__ import annotations

import time

import pytest

import fuzz
from fuzz.__main__ import main
from fuzz.engine import fuzz as feed
from fuzz.harness import FOLDER, Harness


@pytest.mark.parametrize("name", fuzz.HARNESSES)
def test_what_was_once_found_holds(name):
    harness = fuzz.HARNESSES[name]
    assert harness.corpus, "every harness has a corpus"
    for path in harness.corpus:
        try:
            harness.check(path.read_bytes())
        except Exception as error:
            pytest.fail(f"{path.relative_to(FOLDER)}: {error!r}")


@pytest.mark.parametrize("name", fuzz.HARNESSES)
def test_a_harness_holds_for_its_seeds(name):
    harness = fuzz.HARNESSES[name]
    for data in harness.seeds()[::10]:
        harness.check(data)


def test_every_folder_of_the_corpus_is_that_of_a_harness():
    folders = {harness.folder for harness in fuzz.HARNESSES.values()}
    assert set((FOLDER / "corpus").iterdir()) == folders
    assert all(harness.name == name for name, harness in fuzz.HARNESSES.items())


def broken(data: bytes) -> None:
    assert b"(" not in data or b")" not in data.partition(b"(")[2], "an open one is closed"


BROKEN = Harness("broken", broken, lambda: [b"some (text", b"other) text"], (b"(",))


@pytest.fixture
def harnesses(monkeypatch):
    monkeypatch.setitem(fuzz.HARNESSES, "broken", BROKEN)


def test_a_failure_is_made_small_printed_written_and_tried_again(harnesses, tmp_path, capsys):
    assert main(["broken", "--seconds", "30", "--seed", "1"], found=tmp_path) == 1
    said = capsys.readouterr().out
    (path,) = (tmp_path / "broken").iterdir()
    assert path.read_bytes() == b"()", "the smallest one that fails"
    assert "AssertionError: an open one is closed" in said
    assert "FAILED: broken: b'()'" in said
    assert f"python -m fuzz broken {path}\n" in said
    assert main(["broken", str(path)]) == 1
    assert f"FAILED: {path}" in capsys.readouterr().out
    path.write_bytes(b")(")
    assert main(["broken", str(path)]) == 0
    assert capsys.readouterr().out == f"holds: {path}\n"


def test_a_failure_at_the_end_of_the_time_is_one():
    def slow(data: bytes) -> None:
        time.sleep(0.3)
        raise ValueError("slow")

    count, failure = feed(Harness("slow", slow), seconds=0.2, seed=1)
    assert count == 1
    assert failure is not None
    assert failure.data == b""


def test_the_same_seed_gives_the_same_inputs():
    def inputs(seed):
        taken = []
        harness = Harness("taken", taken.append, lambda: [b"seed"])
        feed(harness, seconds=0.5, seed=seed)
        return taken

    one, again, other = inputs(1), inputs(1), inputs(2)
    most = min(len(one), len(again), len(other))
    assert most > 10
    assert one[:most] == again[:most] != other[:most]


def test_the_time_is_shared_and_kept(monkeypatch, capsys, tmp_path):
    idle = {name: Harness(name, lambda data: None) for name in ("one", "two")}
    monkeypatch.setattr("fuzz.__main__.HARNESSES", idle)
    assert main(["--seconds", "0.2"], found=tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["one", "two"]
    assert not list(tmp_path.iterdir())
