"""What goes wrong: each event begins, and is over when all is as before."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from running.stepping_clock import step_clock
from servers.harness import unprivileged

from .place import ChaosSite
from .requests import Sent, send

__all__ = ["EVENTS", "Event"]

Event = Callable[[ChaosSite], Awaitable[list[int]]]
"""Returns the processes that it was done to, where these are not all."""

LAST_SECONDS = 1.5
"""How long what can be undone is so."""

LEAVING = 20
LIMITS = Path(__file__).with_name("limits.py")


async def killed(site: ChaosSite) -> list[int]:
    """One process gets SIGKILL, as from the kernel when memory is short."""
    return await end(site, signal.SIGKILL)


async def terminated(site: ChaosSite) -> list[int]:
    """One process is told to stop, as by a supervisor that restarts it."""
    return await end(site, signal.SIGTERM)


async def renewed(site: ChaosSite) -> list[int]:
    """One process starts itself anew; where a Web server has started it, it only stops."""
    if site.application is None:
        return await end(site, signal.SIGHUP)
    before = site.application_log().count(" serves ")
    pids = some(site)
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
        while site.application_log().count(" serves ") == before and site.is_alive(pid):
            await asyncio.sleep(0.02)
    return pids


async def halted(site: ChaosSite) -> list[int]:
    """One process stands still, as a virtual machine that is moved."""
    pids = some(site)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(LAST_SECONDS)
    for pid in pids:
        if site.is_alive(pid):
            os.kill(pid, signal.SIGCONT)
    return pids


async def clock_stepped(site: ChaosSite) -> list[int]:
    """The time of day goes ten minutes forward, then an hour back, then it is right again."""
    for seconds in (600, -3600, 0):
        step_clock(site.step, seconds)
        await asyncio.sleep(LAST_SECONDS / 2)
    return []


async def disk_full(site: ChaosSite) -> list[int]:
    """No file can be longer than 30 KB: neither a body that waits on disk, nor anything else."""
    await run_short(site, "files")
    return []


async def no_descriptors(site: ChaosSite) -> list[int]:
    """Each process may have three more descriptors than it has."""
    await run_short(site, "descriptors")
    return []


async def clients_leave(site: ChaosSite) -> list[int]:
    """Twenty clients at once ask for much, and leave before it is there."""
    sents = [Sent("leave", number) for number in range(-LEAVING, 0)]
    await asyncio.gather(*(send(site.port, site.mount, sent) for sent in sents))
    return []


async def run_short(site: ChaosSite, what: str) -> None:
    pids = [str(pid) for pid in site.application_pids()]
    command = [*unprivileged(), sys.executable, str(LIMITS), what, str(LAST_SECONDS), *pids]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, (command, said)


def some(site: ChaosSite) -> list[int]:
    """One of the application's processes, if there is any."""
    pids = site.application_pids()
    return [random.choice(pids)] if pids else []


async def end(site: ChaosSite, signum: signal.Signals) -> list[int]:
    pids = some(site)
    for pid in pids:
        os.kill(pid, signum)
        while site.is_alive(pid):
            await asyncio.sleep(0.01)
    return pids


EVENTS: dict[str, Event] = {
    "killed": killed,
    "halted": halted,
    "terminated": terminated,
    "clients leave": clients_leave,
    "clock stepped": clock_stepped,
    "disk full": disk_full,
    "no descriptors": no_descriptors,
    "renewed": renewed,
}
