"""``python -m chaos --seconds 120``: run it, print the table, and fail if a loss has no cause."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import signal
import sys
import time

from _pytest.outcomes import Failed, Skipped

from .causes import CRASHED, LOST_CHILD, OWN_PAGE, Happened
from .events import EVENTS
from .place import COLUMNS, ChaosSite
from .requests import KINDS, Sent, send
from .table import Run, table

CLIENTS = 12
LOG_CHARACTERS = 20_000
"""So much of each log is printed where a loss has no cause."""
QUIET_SECONDS = 0.7
"""Between two events."""
LEAST_SECONDS = 5.0
"""A Web server that has crashed later is not started again."""
SHOWN = 20
"""So many losses without a cause are shown with what the logs say of them."""


async def load(site: ChaosSite, run: Run, until: float, numbers: itertools.count[int]) -> None:
    kinds, weights = list(KINDS), list(KINDS.values())
    while time.monotonic() < until and not site.server.exited():
        (kind,) = random.choices(kinds, weights)
        sent = Sent(kind, next(numbers))
        run.sent.append(sent)
        await send(site.port, site.mount, sent)
        await asyncio.sleep(random.random() / 50)


async def make_trouble(site: ChaosSite, run: Run, until: float, events: list[str]) -> None:
    for name in itertools.cycle(events):
        await asyncio.sleep(QUIET_SECONDS)
        if time.monotonic() > until - 2 * QUIET_SECONDS or site.server.exited():
            return
        began = time.monotonic()
        pids = await EVENTS[name](site)
        run.events.append(Happened(name, began, time.monotonic(), frozenset(pids)))


async def both(
    site: ChaosSite, run: Run, seconds: float, events: list[str], numbers: itertools.count[int]
) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(
        make_trouble(site, run, until, events),
        *(load(site, run, until, numbers) for _ in range(CLIENTS)),
    )


def run_column(name: str, seconds: float, events: list[str]) -> Run:
    """Run it for so long, with a fresh Web server where one has crashed."""
    run = Run(name)
    numbers = itertools.count(1)
    until = time.monotonic() + seconds
    run_site(run, seconds, events, numbers)
    while not run.faults and (left := until - time.monotonic()) > LEAST_SECONDS:
        run_site(run, left, events, numbers)
    return run


def run_site(run: Run, seconds: float, events: list[str], numbers: itertools.count[int]) -> None:
    site = ChaosSite(COLUMNS[run.column])
    server = site.column.server
    site.start()
    began, first = time.monotonic(), len(run.sent)
    try:
        asyncio.run(both(site, run, seconds, events, numbers))
        here = run.sent[first:]
        for line in (site.application_log() + site.error_log()).splitlines():
            if "error in gfcgi itself" in line:
                run.faults.append(line)
        refused = sum(sent.outcome == "500" and OWN_PAGE in sent.detail for sent in here)
        logged = server.refusals(site.error_log())
        if refused > logged:
            run.faults.append(f"{refused} refusals of its own, and {logged} in its log")
        if site.server.exited():
            if server.crashed(site.error_log()):
                last = max((sent.ended for sent in here if sent.outcome == "right"), default=began)
                run.events.append(Happened(CRASHED, last, time.monotonic()))
            else:
                run.faults.append("the Web server has ended by itself")
        to_monotonic = time.monotonic() - time.time()
        for when in server.lost_children(site.error_log()):
            moment = when + to_monotonic
            run.events.append(Happened(LOST_CHILD, moment, moment))
        for sent in here:
            if sent.outcome != "right":
                told = (site.witness.processes(what, sent.number) for what in ("begin", "end"))
                run.was_begun(sent, *told)
        known = {id(sent) for sent in here}
        lost = [sent for sent in run.unexplained() if id(sent) in known]
        for sent in lost[:SHOWN]:
            print(run.described(sent), *site.lines_about(sent), sep="\n    ", flush=True)
        if lost or run.faults:
            for log in sorted((site.root.path / "logs").iterdir()):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-LOG_CHARACTERS:]}")
    finally:
        run.faults += site.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="in all; default 120")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--events", nargs="+", choices=EVENTS, default=list(EVENTS))
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of all that is random")
    asked = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and so would the processes
    random.seed(asked.seed)
    print(f"seed {asked.seed}", flush=True)
    runs = []
    for column in asked.columns:
        try:
            runs.append(run_column(column, asked.seconds / len(asked.columns), asked.events))
        except Skipped as reason:
            print(f"{column}: left out: {reason}", flush=True)
        except Failed as reason:
            print(f"{column}: {reason}")
            return 1
    print(table(runs, [*asked.events, CRASHED, LOST_CHILD]))
    failed = False
    for run in runs:
        for sent in run.unexplained()[:SHOWN]:
            print(f"{run.column}: no cause: {run.described(sent)}")
        for fault in run.faults:
            print(f"{run.column}: {fault}")
        failed = failed or bool(run.unexplained() or run.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
