"""A process started as Apache's process managers start one, and its end.

It has a listening UNIX socket on descriptor 0, files for what it writes to 1 and 2, no other
descriptor, no terminal, the environment that it is given and the rights of one user.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gfcgi.addresses import UNIX_PATH_BYTES, UnixAddress
from gfcgi.checking.users import User

__all__ = ["Started", "credentials"]

BACKLOG: Final = 16
PR_SET_CHILD_SUBREAPER: Final = 36
"""prctl(2): processes whose parent ends become ours, so that none is left behind."""
MAX_OUTPUT_BYTES: Final = 256 * 1024
"""Of what a process wrote, how much is looked at: its end."""


def credentials(user: User) -> dict[str, Any]:
    """The arguments that have ``subprocess`` start something with the user's rights."""
    if user.is_us or os.geteuid() != 0:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": list(user.groups)}


class Started:
    """One process, its socket and its output. ``stop`` it, whatever happens.

    Raises: OSError if it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        user: User,
        environ: Mapping[str, str],
        directory: str,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._children_before = _children()
        self._folder = _folder()
        self._stopped = False
        try:
            self.address = UnixAddress(f"{self._folder}/fastcgi.sock")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(self.address.path)
                listening.listen(BACKLOG)
                if credentials(user):
                    os.chown(self._folder, user.uid, user.gid)
                    os.chown(self.address.path, user.uid, user.gid)
                _adopt_orphans(True)
                with self._open("stdout") as stdout, self._open("stderr") as stderr:
                    self.popen: subprocess.Popen[bytes] = subprocess.Popen(
                        command,
                        env=dict(environ),
                        cwd=directory,
                        stdin=listening.fileno(),
                        stdout=stdout,
                        stderr=stderr,
                        start_new_session=True,
                        pass_fds=pass_fds,
                        **credentials(user),
                    )
                # As Apache does, keep it: what connects while the process ends is not refused.
                self._listening = listening.dup()
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    @property
    def ended(self) -> int | None:
        """The exit status, negative for a signal's number; None while it runs."""
        return self.popen.poll()

    @property
    def stdout(self) -> bytes:
        return self._read("stdout")

    @property
    def stderr(self) -> bytes:
        return self._read("stderr")

    def stop(self, seconds: float) -> tuple[bool, bool]:
        """Stop it with SIGTERM, after some seconds with SIGKILL, and all that it started.

        Returns: whether SIGTERM was enough, and whether it left processes behind.
        """
        if self._stopped:
            return True, False
        self._stopped = True
        in_time = True
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                in_time = False
        left = self._kill_group()
        self.popen.wait()
        left = self._kill_orphans() or left
        self._listening.close()
        return in_time, left

    def clean_up(self) -> None:
        """Forget its output."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill_group(self) -> bool:
        """Kill the process's group; whether anything but the process itself was still in it."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _kill_orphans(self) -> bool:
        """Kill what the process had started, in whatever group; its own children become ours."""
        killed = False
        while orphans := _children() - self._children_before - {self.popen.pid}:
            for pid in orphans:
                try:
                    running = os.waitpid(pid, os.WNOHANG)[0] == 0
                    if running:
                        killed = True
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                except (ChildProcessError, ProcessLookupError):
                    pass
        _adopt_orphans(False)
        return killed

    def _open(self, name: str) -> Any:
        return open(f"{self._folder}/{name}", "wb")

    def _read(self, name: str) -> bytes:
        with open(f"{self._folder}/{name}", "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - MAX_OUTPUT_BYTES))
            return file.read()


def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="gfcgi-check-")
    if len(os.fsencode(folder)) + len("/fastcgi.sock") <= UNIX_PATH_BYTES:
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="gfcgi-check-", dir="/tmp")


def _adopt_orphans(wanted: bool) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def _children() -> set[int]:
    """The process ids of our own children, as /proc has them; none where there is no /proc."""
    ours = os.getpid()
    found: set[int] = set()
    try:
        names = os.listdir("/proc")
    except OSError:
        return found
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # After the name, which may hold anything: state, then the parent.
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == ours:
            found.add(int(name))
    return found
