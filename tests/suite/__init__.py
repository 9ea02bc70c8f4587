"""The whole suite in two calls of pytest: several tests at once, then what must run alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import pytest

__all__ = ["run"]

Call = Callable[[list[str]], int]


def run(arguments: Sequence[str], call: Call) -> int:
    """Have ``call`` run pytest with each part's arguments; returns what pytest's exit status is.

    ``arguments`` are pytest's own. Where they choose tests, one of the parts may have none of them.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="chosen", default="")
    known, others = parser.parse_known_args(arguments)
    chosen = f" and ({known.chosen})" if known.chosen else ""
    # Six at once, though CI has two cores: most of the time a test waits for others to answer.
    together = call(["-n", "6", "--dist", "loadfile", *others, "-m", f"not alone{chosen}"])
    if together == pytest.ExitCode.INTERRUPTED:
        return together
    alone = call([*others, "-n", "0", "-m", f"alone{chosen}"])
    nothing = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    failures = {together, alone} - {int(pytest.ExitCode.OK), nothing}
    if failures:
        return max(failures)
    return nothing if together == alone == nothing else int(pytest.ExitCode.OK)
