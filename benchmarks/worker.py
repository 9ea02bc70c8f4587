"""Run one function in a process of its own, on the cores of the load generator.

``call`` is one side, ``python -m benchmarks.worker`` the other. It reads a pickled function and its
arguments from its standard input, and writes the result or the exception to its standard output.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.generator import Failed
from benchmarks.processes import plain_environ

__all__ = ["call"]

Result = TypeVar("Result")


def call(
    function: Callable[..., Result],
    *args: Any,
    cpus: Collection[int],
    timeout: float,
    **kwargs: Any,
) -> Result:
    """Return what ``function`` returns there. Raises: Failed, also after ``timeout`` seconds."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.worker"],
            input=pickle.dumps((sorted(cpus), function, args, kwargs)),
            stdout=subprocess.PIPE,
            env=plain_environ(),
            cwd=Path(__file__).parent.parent,
            timeout=timeout,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {timeout:g} s") from None
    result = pickle.loads(done.stdout)
    if isinstance(result, Failed):
        raise result
    returned: Result = result
    return returned


def main() -> None:
    cpus, function, args, kwargs = pickle.load(sys.stdin.buffer)
    os.sched_setaffinity(0, cpus)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    try:
        result = function(*args, **kwargs)
    except Failed as error:
        result = error
    except OSError as error:
        result = Failed(str(error))
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    main()
