"""``python -m benchmarks``: measure, write the results, draw them, write the page of the docs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.loads import LOADS, Timing
from benchmarks.machine import pick_cpus
from benchmarks.peers import PEERS
from benchmarks.session import STARTUP, Session

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
EVERY_LOAD = (*LOADS, STARTUP)


def main() -> int:
    parsed = _parser().parse_args()
    partial = bool(parsed.loads or parsed.peers)
    if parsed.results is None:
        parsed.results = parsed.environments / "results.json" if partial else RESULTS
    results: Path = parsed.results
    if parsed.what == "run":
        unknown = {*parsed.loads, *parsed.peers} - {*EVERY_LOAD, *PEERS}
        if unknown:
            print(f"no such load or server: {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        _run(parsed)
    if parsed.what == "run" and (parsed.measure_only or partial):
        print(results)
        return 0
    try:
        from benchmarks import page, plots
    except ImportError as error:
        print(f"the plots need matplotlib (pip install --group bench): {error}", file=sys.stderr)
        return 2
    result = json.loads(results.read_text("utf-8"))
    plots.draw(result, RESULTS.parent)
    page.PAGE.write_text(page.page(result), "utf-8")
    print(page.PAGE)
    return 0


def _run(parsed: argparse.Namespace) -> None:
    parsed.environments.mkdir(parents=True, exist_ok=True)
    server_cpus, generator_cpus = pick_cpus()
    session = Session(
        parsed.environments.resolve(),
        server_cpus,
        generator_cpus,
        Timing(parsed.seconds, min(0.4, parsed.seconds)),
        parsed.rounds,
        parsed.starts,
    )
    peers = parsed.peers or list(PEERS)
    session.install(peers)
    os.sched_setaffinity(0, generator_cpus)
    parsed.results.parent.mkdir(parents=True, exist_ok=True)
    try:
        session.run(parsed.loads or EVERY_LOAD, peers)
    finally:
        text = json.dumps(session.result, indent=1)
        parsed.results.write_text(text + "\n", "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        choices=("run", "draw"),
        default="run",
        help="draw: make the page again from old results",
    )
    add("--loads", nargs="+", default=[], metavar="LOAD", help=", ".join(EVERY_LOAD))
    add("--peers", nargs="+", default=[], metavar="SERVER", help=", ".join(PEERS))
    add("--rounds", type=int, default=5, help="how often each server runs (default: 5)")
    add("--starts", type=int, default=30, help="how often each script starts (default: 30)")
    add("--seconds", type=float, default=2.0, help="how long each run is (default: 2)")
    add("--measure-only", action="store_true", help="write the results, draw nothing")
    add(
        "--results",
        type=Path,
        metavar="FILE",
        help="default: the file in the docs, if everything is measured",
    )
    add(
        "--environments",
        type=Path,
        default=ROOT / ".benchmarks",
        metavar="FOLDER",
        help="install the servers below it (default: .benchmarks)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
