"""The numbers of several processes: each writes its own, and any of them can read all.

They are in files of prometheus-client's multi-process mode (``MmapedDict``), one for each process,
in a directory that the processes' parent has made. A process that has ended leaves its counts: the
next one that starts adds them to one file for all of those. The application's own metrics have
nothing to do with it, nor has PROMETHEUS_MULTIPROC_DIR.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from gfcgi.options import Options
from gfcgi.process.log import log

__all__ = ["Numbers", "SharedNumbers", "prepare", "prometheus_is_installed"]

Numbers = dict[str, float]
"""By names: those of counts end with ``_total``. All others are of one moment."""

_ENDED: Final = "ended.db"
_NEW: Final = "new"
"""A file that has no name yet; whoever holds the lock makes one."""
_FILE_BYTES: Final = 16 * 1024
"""Written at once, so that a full disk is an OSError now, and not SIGBUS later."""


def prometheus_is_installed() -> bool:
    """Whether the extra ``gfcgi[metrics]`` is there."""
    try:
        return find_spec("prometheus_client") is not None
    except ValueError:  # a test, or a person, has put None in sys.modules
        return False


directory: str | None = None
"""Where the processes that are forked from this one exchange their numbers."""


def prepare(options: Options, *, uid: int, gid: int) -> None:
    """Make ``directory`` if the status page is asked for, for processes that run as this user.

    It is removed when this process ends, by its exit handlers.
    """
    global directory
    if not options.status_path or directory is not None or not prometheus_is_installed():
        return
    import atexit
    import shutil
    import tempfile

    try:
        made = tempfile.mkdtemp(prefix="gfcgi-status-")
        if uid != os.geteuid():
            os.chown(made, uid, gid)
    except OSError as error:
        log.warning("the status page cannot have the sums of all processes: %s", error)
        return
    directory, own = made, os.getpid()

    def remove() -> None:
        if os.getpid() == own:
            shutil.rmtree(made, ignore_errors=True)

    atexit.register(remove)


class SharedNumbers:
    """What this process and the others on the same sockets have counted.

    Raises: OSError if the directory cannot be used.
    """

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        path = self._directory / f"{os.getpid()}.db"
        with self._locked(fcntl.LOCK_EX):
            self._add_up_ended()
            made = _made(self._directory)
            self._alive = os.open(made, os.O_RDONLY)
            fcntl.flock(self._alive, fcntl.LOCK_EX)  # until the process ends, however it does
            made.rename(path)
        self._own = _opened(path)

    def write(self, numbers: Mapping[str, float]) -> None:
        """Say how much this process has counted so far."""
        for name, value in numbers.items():
            self._own.write_value(name, value, 0.0)

    def close(self) -> None:
        """Let go of the files. From now on this process counts as one that has ended."""
        self._own.close()
        os.close(self._alive)

    def read(self) -> tuple[dict[int, Numbers], Numbers]:
        """Return the numbers of each process that runs, by pid, and the counts of those that ended.

        It does not wait for more than a moment.
        """
        running: dict[int, Numbers] = {}
        with self._locked(fcntl.LOCK_SH):
            past = _values(self._directory / _ENDED)
            for path in self._files():
                values = _values(path)
                if int(path.stem) == os.getpid() or not _has_ended(path):
                    running[int(path.stem)] = values
                else:
                    _add(past, values)
        return running, past

    def _add_up_ended(self) -> None:
        """Have the counts of processes that have ended in one file, if there is room for it."""
        past = _values(self._directory / _ENDED)
        ended = [path for path in self._files() if _has_ended(path)]
        if not ended:
            return
        for path in ended:
            _add(past, _values(path))
        try:
            made = _made(self._directory)
        except OSError:
            return  # they are read as they are
        file = _opened(made)
        for name, value in past.items():
            file.write_value(name, value, 0.0)
        file.close()
        made.rename(self._directory / _ENDED)
        for path in ended:
            path.unlink()

    def _files(self) -> list[Path]:
        return [path for path in self._directory.glob("*.db") if path.stem.isdigit()]

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def _made(directory: Path) -> Path:
    """Make a file that is for ``_opened``. It gets its name when it is whole, as others read it.

    Raises: OSError, and leaves nothing.
    """
    path = directory / _NEW
    try:
        path.write_bytes(bytes(_FILE_BYTES))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _opened(path: Path) -> Any:
    from prometheus_client import mmap_dict

    return mmap_dict.MmapedDict(str(path))


def _values(path: Path) -> Numbers:
    from prometheus_client import mmap_dict

    read: Any = mmap_dict.MmapedDict.read_all_values_from_file
    try:
        return {name: value for name, value, *_ in read(str(path))}
    except FileNotFoundError:
        return {}


def _add(to: Numbers, values: Numbers) -> None:
    for name, value in values.items():
        if name.endswith("_total"):
            to[name] = to.get(name, 0.0) + value


def _has_ended(path: Path) -> bool:
    """Whether nobody holds the lock that each process has on its own file while it runs."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
