"""Feed a harness for a time: hypothesis changes the inputs. A failure is made small."""

from __future__ import annotations

import hashlib
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from replay.strategies import mutations

from .harness import Harness

__all__ = ["Failure", "fuzz"]

EXAMPLES_AT_ONCE = 500
"""Hypothesis looks at so many and then begins anew: it remembers what it has seen."""

SECONDS_TO_SHRINK = 20.0


class _Over(KeyboardInterrupt):
    """The time is over. Of all exceptions, this one hypothesis lets through at once."""


@dataclass(frozen=True)
class Failure:
    """An input for which something does not hold, as small as it could be made."""

    harness: Harness
    data: bytes
    kind: type[Exception]
    text: str
    """The traceback."""

    def write(self, folder: Path) -> Path:
        """Write the input into ``folder/NAME``; the same input has the same name."""
        path = folder / self.harness.name / hashlib.sha256(self.data).hexdigest()[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)
        return path


def fuzz(harness: Harness, *, seconds: float, seed: int) -> tuple[int, Failure | None]:
    """Feed ``harness`` until ``seconds`` are over or something fails.

    Returns: how many inputs it was given, and the failure. The same ``seed`` gives the same inputs,
    as many of them as there is time for.
    """
    inputs = harness.inputs()
    end = time.monotonic() + seconds
    count = 0
    failed: Failure | None = None

    def check(data: bytes) -> None:
        nonlocal count, failed
        if time.monotonic() >= end:
            raise _Over
        count += 1
        again = _failure(harness, data)
        if again is not None:
            failed = again
            raise AssertionError(again.text)

    drawn = mutations(inputs, harness.words) | mutations(inputs) | st.binary(max_size=300)
    at_once = settings(
        max_examples=EXAMPLES_AT_ONCE,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        while True:  # the test suite has looked at the inputs as they are
            hypothesis.seed(seed)(at_once(given(drawn)(check)))()
            seed += 1
    except _Over:
        pass  # maybe while hypothesis looked once more at what had failed
    except Exception:
        if failed is None:
            raise
    return count, None if failed is None else _smallest(failed)


def _smallest(failure: Failure) -> Failure:
    """Leave bytes out as long as it fails in the same way, but not for ever."""
    harness, data = failure.harness, failure.data
    if _failure(harness, data) is None:
        return replace(failure, text=failure.text + "\nIt did not fail when it was tried again.")
    end = time.monotonic() + SECONDS_TO_SHRINK
    size = len(data)
    while size:
        at, smaller = 0, False
        while at < len(failure.data) and time.monotonic() < end:
            less = _failure(harness, failure.data[:at] + failure.data[at + size :])
            if less is not None and less.kind is failure.kind:
                failure, smaller = less, True
            else:
                at += size
        size = size if smaller and time.monotonic() < end else size // 2
    return failure


def _failure(harness: Harness, data: bytes) -> Failure | None:
    try:
        harness.check(data)
    except Exception as error:
        return Failure(harness, data, type(error), traceback.format_exc())
    return None
