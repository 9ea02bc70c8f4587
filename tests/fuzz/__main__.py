"""``python -m fuzz [NAME] [FILE...] [--seconds N] [--seed N]``; see ``fuzz``."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from . import HARNESSES, Harness
from .engine import Failure, fuzz
from .harness import FOLDER


def main(arguments: Sequence[str] | None = None, found: Path = FOLDER / "found") -> int:
    """Returns: 1 if something failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Feed gfcgi with bytes.")
    parser.add_argument("name", nargs="?", choices=sorted(HARNESSES), help="one harness; else all")
    parser.add_argument("files", nargs="*", type=Path, help="look at these inputs once, and end")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for all of it (60)")
    parser.add_argument("--seed", type=int, help="begin here; by default somewhere else each time")
    given = parser.parse_args(arguments)
    if given.files:
        return _look_at(HARNESSES[given.name], given.files)
    chosen = [HARNESSES[given.name]] if given.name else list(HARNESSES.values())
    seed = random.randrange(2**32) if given.seed is None else given.seed
    failures = 0
    for harness in chosen:
        start = time.monotonic()
        count, failure = fuzz(harness, seconds=given.seconds / len(chosen), seed=seed)
        took = time.monotonic() - start
        print(f"{harness.name}: {count} inputs in {took:.1f} s, seed {seed}", flush=True)
        if failure is not None:
            failures += 1
            _say(failure, failure.write(found))
    return min(failures, 1)


def _say(failure: Failure, path: Path) -> None:
    """How to try it again comes last, where it is seen."""
    name = failure.harness.name
    print(f"{failure.text}\nFAILED: {name}: {failure.data!r}")
    print(f"try it again, in tests/:  python -m fuzz {name} {path}")
    print(f"keep it, when mended:     mv {path} {failure.harness.folder}/", flush=True)


def _look_at(harness: Harness, files: Sequence[Path]) -> int:
    failures = 0
    for path in files:
        try:
            harness.check(path.read_bytes())
        except Exception:
            failures += 1
            print(f"{traceback.format_exc()}\nFAILED: {path}")
        else:
            print(f"holds: {path}")
    return min(failures, 1)


if __name__ == "__main__":
    logging.getLogger("gfcgi").setLevel(logging.CRITICAL)  # a million refusals
    sys.exit(main())
