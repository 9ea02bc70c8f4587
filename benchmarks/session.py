"""A session: for every load, round after round, every server in turn. The result is one dictionary.

In a round each server is started freshly and runs once. So other work of the machine slows all of
them down alike.
"""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accounting import memory_bytes
from benchmarks.environments import environment, versions
from benchmarks.generator import Failed
from benchmarks.loads import LOADS, Drive, Load, Timing
from benchmarks.machine import machine, programs
from benchmarks.peers import PEERS, Peer, Place
from benchmarks.processes import pids, running
from benchmarks.startup import first_answer

__all__ = ["STARTUP", "Session"]

STARTUP = "startup"
STARTUP_TITLE = "script start to first answer"
STARTUP_PEERS = (
    "bare",
    "floor",
    "gfcgi",
    "gfcgi-compiled",
    "gevent-fastcgi",
    "flup",
    "uwsgi",
    "uwsgi-gevent",
    "gunicorn",
)

Runs = dict[str, Any]
"""{"samples": [figures, ...]}; for a server that fails the load, also "failed": the reason."""


@dataclass
class Session:
    """A run of loads; ``folder`` has the environments, ``result`` the results."""

    folder: Path
    server_cpus: Collection[int]
    generator_cpus: Collection[int]
    timing: Timing = field(default_factory=Timing)
    rounds: int = 5
    starts: int = 30

    def __post_init__(self) -> None:
        self._pythons: dict[str, Path] = {}
        self._log = self.folder / "servers.log"
        self.result: dict[str, Any] = {
            "made": datetime.date.today().isoformat(),
            "machine": machine(),
            "programs": programs(),
            "versions": {},
            "settings": {
                "rounds": self.rounds,
                "starts": self.starts,
                "seconds": self.timing.seconds,
                "warm_up": self.timing.warm_up,
                "server_cpus": sorted(self.server_cpus),
                "generator_cpus": sorted(self.generator_cpus),
            },
            "loads": {},
        }

    def install(self, names: Collection[str]) -> None:
        """Make the environments. A server that cannot be installed fails all its loads."""
        for peer in PEERS.values():
            if peer.name not in names:
                continue
            _say(f"environment of {peer.name}")
            try:
                python = environment(self.folder, peer)
                self.result["versions"][peer.name] = versions(python)
                self._pythons[peer.name] = python
            except (OSError, subprocess.SubprocessError) as error:
                _say(f"  cannot be installed: {error}")

    def run(self, loads: Sequence[str], names: Collection[str]) -> None:
        for name in loads:
            if name == STARTUP:
                wanted = [peer for peer in STARTUP_PEERS if peer in names or peer == "bare"]
                self._start_once(wanted)
                self._interleave(STARTUP, STARTUP_TITLE, wanted, self.starts, self._start)
            else:
                load = LOADS[name]
                wanted = [peer for peer in load.peers if peer in names]
                rounds = min(self.rounds, load.rounds or self.rounds)
                self._interleave(name, load.title, wanted, rounds, self._sampler(load))

    def _sampler(self, load: Load) -> Callable[[str], dict[str, float]]:
        return lambda name: self._sample(load, PEERS[name])

    def _interleave(
        self,
        name: str,
        title: str,
        peers: Sequence[str],
        rounds: int,
        sample: Callable[[str], dict[str, float]],
    ) -> None:
        _say(title)
        runs: dict[str, Runs] = {peer: {"samples": []} for peer in peers}
        self.result["loads"][name] = {"title": title, "peers": runs}
        for number in range(1, rounds + 1):
            for peer in peers:
                if "failed" in runs[peer]:
                    continue
                try:
                    figures = sample(peer)
                except Failed as error:
                    runs[peer]["failed"] = str(error)
                    _say(f"  {number} {peer}: fails: {error}")
                else:
                    rounded = {key: float(f"{value:.5g}") for key, value in figures.items()}
                    runs[peer]["samples"].append(rounded)
                    shown = " ".join(f"{key}={value:g}" for key, value in rounded.items())
                    _say(f"  {number} {peer}: {shown}")

    def _sample(self, load: Load, peer: Peer) -> dict[str, float]:
        if peer.name not in self._pythons:
            raise Failed("could not be installed")
        with tempfile.TemporaryDirectory(prefix="gfcgi-") as place, self._log.open("ab") as log:
            address = f"{place}/socket"
            command = peer.command(load.place(python=self._pythons[peer.name], address=address))
            every = set(self.server_cpus) | set(self.generator_cpus)
            cpus = every if load.every_core else self.server_cpus
            with running(command, address, cpus=cpus, log=log) as process:
                drive = Drive(
                    load,
                    peer,
                    address,
                    lambda: pids(process),
                    every if load.every_core else self.generator_cpus,
                    self.timing,
                )
                figures = load.run(drive).figures()
                if "memory_mb" not in figures:
                    try:
                        figures["memory_mb"] = memory_bytes(pids(process)) / 1e6
                    except OSError as error:
                        raise Failed(f"the server has ended: {error}") from error
                return figures

    def _start(self, name: str) -> dict[str, float]:
        peer = PEERS["gfcgi" if name == "bare" else name]
        if peer.name not in self._pythons:
            raise Failed("could not be installed")
        with tempfile.TemporaryDirectory(prefix="gfcgi-") as folder:
            place = Place(
                self._pythons[peer.name], f"{folder}/socket", "applications:hello", ("canned",)
            )
            if name == "bare":
                command = place.script("bare_start.py")
            elif peer.inherits is not None:
                command = peer.inherits(place)
            else:
                raise Failed("cannot take a listening socket over")
            return first_answer(command, peer.protocol, place.address, cpus=self.server_cpus)

    def _start_once(self, names: Sequence[str]) -> None:
        """Start each once, unmeasured: bytecode is written then, and files are in memory."""
        for name in names:
            with contextlib.suppress(Failed):
                self._start(name)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
