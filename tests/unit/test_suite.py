"""What tests/suite makes of pytest's arguments, and of two exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import suite

DEADLINE_SECONDS = 240

TESTS = Path(suite.__file__).resolve().parents[1]


def calls(*arguments: str, statuses: tuple[int, int] = (0, 0)) -> tuple[int, list[list[str]]]:
    made: list[list[str]] = []

    def call(given: list[str]) -> int:
        made.append(given)
        return statuses[len(made) - 1]

    return suite.run(arguments, call), made


def test_what_is_alone_runs_after_the_others_in_one_process() -> None:
    _, (together, alone) = calls("unit", "-x", "-n", "2")
    assert together == ["-n", "6", "--dist", "loadfile", "unit", "-x", "-n", "2", "-m", "not alone"]
    assert alone == ["unit", "-x", "-n", "2", "-n", "0", "-m", "alone"]


@pytest.mark.parametrize("arguments", [["-m", "servers or x"], ["-mservers or x"]])
def test_a_choice_by_marker_holds_in_both(arguments: list[str]) -> None:
    _, (together, alone) = calls(*arguments)
    assert together[-1] == "not alone and (servers or x)"
    assert alone[-1] == "alone and (servers or x)"


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ((0, 0), 0),
        ((1, 0), 1),
        ((0, 1), 1),
        ((1, 5), 1),
        ((5, 3), 3),
        ((0, 5), 0),
        ((5, 0), 0),
        ((5, 5), 5),
        ((-11, 0), -11),
    ],
)
def test_the_worse_of_both_is_what_comes_of_it(statuses: tuple[int, int], status: int) -> None:
    """5 is pytest's for no tests: one part may have none of what was asked for, not both."""
    assert calls(statuses=statuses)[0] == status


def test_whoever_interrupts_the_first_call_does_not_wait_for_the_second() -> None:
    status, made = calls(statuses=(2, 0))
    assert (status, len(made)) == (2, 1)


def test_every_test_runs_in_one_of_the_two_calls(tmp_path: Path) -> None:
    (tmp_path / "test_both.py").write_text(
        """\
import os
import pytest

@pytest.mark.alone
def test_undisturbed():
    assert "PYTEST_XDIST_WORKER" not in os.environ

def test_beside_others():
    assert "PYTEST_XDIST_WORKER" in os.environ
"""
    )
    settings = ["-c", str(TESTS.parent / "pyproject.toml"), "-p", "no:cacheprovider", "-n", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "suite", str(tmp_path), *settings],
        cwd=TESTS,
        # This test may run in a worker of pytest-xdist itself.
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" 1 passed") == 2, done.stdout
