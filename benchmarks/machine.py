"""Describe the machine of the measurement."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

__all__ = ["machine", "php_fpm", "pick_cpus", "programs"]

ROOT = Path(__file__).parent.parent


def machine() -> dict[str, str | int]:
    """Return the processor, its cores, memory, kernel, Python, and the measured commit."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    meminfo = Path("/proc/meminfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = re.search(r"MemTotal: +(\d+)", meminfo)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(int(memory[1]) / 1e6) if memory else 0,
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": _commit(),
    }


def _commit() -> str:
    """Return the measured commit, with a + if the package has uncommitted changes."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "gfcgi")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def programs() -> dict[str, str]:
    """Return the versions of the programs that are not Python packages."""
    found = {}
    for name, arguments, pattern in (
        ("nginx", ["-v"], r"nginx/([\d.]+)"),
        ("wrk", ["-v"], r"wrk (?:debian/)?([\d.]+)"),
        (php_fpm(), ["-v"], r"PHP ([\d.]+)"),
    ):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if path is not None:
            done = subprocess.run(
                [path, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=20,
                check=False,
            )
            version = re.search(pattern, done.stdout)
            found["PHP-FPM" if "php" in name else name] = version[1] if version else "unknown"
    return found


def php_fpm() -> str:
    """Return the name of PHP-FPM's program, which has its version in it where there are several."""
    names = sorted(path.name for path in Path("/usr/sbin").glob("php-fpm*"))
    return names[-1] if names else "php-fpm"


def pick_cpus() -> tuple[set[int], set[int]]:
    """Return cores for the server and for the load generator: one each, if there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    return {cpus[0]}, {cpus[-1]}
