"""Starting real programs for the tests: privileges, Python, private directories, processes.

Nothing here knows one Web server from another.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

#: Seconds within which a healthy program starts, reloads or stops, however busy the machine.
DEADLINE_SECONDS = 40.0

#: How much of each log a failure shows.
LOG_CHARACTERS = 6000

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def servers_required() -> bool:
    """Whether a missing Web server is a failure (CI) and not a skip (a desk)."""
    return os.environ.get("GFCGI_REQUIRE_SERVERS") == "1" or os.environ.get("CI") == "true"


def need(*programs: str) -> str:
    """Return the path of the first program found; skip, or in CI fail, where there is none."""
    search = os.environ.get("PATH", "") + ":" + SYSTEM_PATH
    for program in programs:
        found = shutil.which(program, path=search)
        if found:
            return found
    return missing(" or ".join(programs))


def missing(what: str) -> str:
    """Skip the test for want of ``what``, or fail it where the Web servers are required."""
    if servers_required():
        pytest.fail(f"{what} is not installed, and GFCGI_REQUIRE_SERVERS or CI is set")
    pytest.skip(f"{what} is not installed")


@functools.cache
def unprivileged() -> list[str]:
    """The command prefix under which everything is started; empty unless we are root.

    Root does not run Web servers as root (Apache refuses to), and www-data cannot reach a
    Python in root's private home. So as root the programs run as www-data, as in real life,
    with one capability kept, CAP_DAC_OVERRIDE, that opens the way to that Python. A
    developer's own account needs none of it: everything runs as the developer.
    """
    if os.getuid() != 0:
        return []
    user = service_user()
    return [
        need("setpriv"),
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]


def service_user() -> pwd.struct_passwd:
    """The account that programs run as: www-data (or nobody) for root, else our own."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    try:
        return pwd.getpwnam("www-data")
    except KeyError:
        return pwd.getpwnam("nobody")


@functools.cache
def python_environment() -> dict[str, str]:
    """What a script needs in an otherwise empty environment to run under this Python.

    PYTHONPATH only where gfcgi is not installed; GFCGI_THREADS where GFCGI_TEST_THREADS asks for
    the application to run in threads. Nothing of coverage: what is run here, the tests without Web
    servers run too, and some thousand processes would each start later.
    """
    values: dict[str, str] = {}
    if threads := os.environ.get("GFCGI_TEST_THREADS"):
        values["GFCGI_THREADS"] = threads
        values["GFCGI_QUEUE_TIMEOUT_SECONDS"] = "60"  # there are many more requests than threads
    path = os.environ.get("PYTHONPATH", "")
    installed = subprocess.run(
        [sys.executable, "-c", "import gfcgi"], cwd="/", capture_output=True, check=False
    )
    if installed.returncode:
        path = str(REPOSITORY) + (":" + path if path else "")
    if path:
        values["PYTHONPATH"] = path
    return values


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has just now.

    Of several workers of pytest-xdist each has ports of its own, or two might find the same one.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        # Linux gives out ports of one parity here, and keeps the other for those who connect.
        if port // 2 % workers == worker % workers:
            return port


def listens(port: int) -> bool:
    """Whether somebody listens at a TCP port of 127.0.0.1; asked without a connection to it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == f"0100007F:{port:04X}" and row[3] == "0A" for row in rows)


def wait_until(
    condition: Callable[[], object],
    what: str,
    seconds: float = DEADLINE_SECONDS,
    *,
    pause: float = 0.01,
) -> None:
    """Poll ``condition`` until it is true. Raises AssertionError at the deadline."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(pause)


class PrivateRoot:
    """A directory of its own for one Web server: passable by all, owned by the service user.

    pytest's own temporary directories are closed to other accounts, and too long for the
    path of a UNIX socket.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gfcgi-", dir="/tmp"))
        self.give(self.path, 0o755)
        for name in ("conf", "logs", "run", "tmp", "www", "www/state"):
            self.directory(name)

    def give(self, path: Path, mode: int) -> None:
        """Set the mode of one file, and its owner where we are root."""
        path.chmod(mode)
        if os.getuid() == 0:
            user = service_user()
            os.chown(path, user.pw_uid, user.pw_gid)

    def directory(self, name: str) -> Path:
        """Make one directory below the root."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        self.give(path, 0o755)
        return path

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write one file below the root."""
        path = self.path / name
        path.write_text(text)
        self.give(path, mode)
        return path

    def script(self, source: Path, name: str | None = None) -> Path:
        """Copy a script into www/ with this Python in its #! line, executable."""
        lines = source.read_text().split("\n")
        assert lines[0].startswith("#!"), source
        lines[0] = "#!" + sys.executable
        return self.write(f"www/{name or source.name}", "\n".join(lines), 0o755)

    def read_logs(self) -> str:
        """The end of every file in logs/, each under its name."""
        texts = [
            f"--- {path.name}\n{path.read_text(errors='replace')[-LOG_CHARACTERS:]}"
            for path in sorted((self.path / "logs").iterdir())
        ]
        return "\n".join(texts)

    def remove(self) -> None:
        """Remove the whole directory."""
        shutil.rmtree(self.path, ignore_errors=True)


class Program:
    """One running program in a session of its own, its output in logs/NAME.out.

    The session keeps a Web server that signals its whole process group (Apache does at a
    graceful restart) away from the tests, and names every process to look for at the end.
    """

    def __init__(
        self,
        root: PrivateRoot,
        name: str,
        command: list[str],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start ``command`` with PATH, HOME, TMPDIR and ``environment``, and nothing else."""
        self.name = name
        self.output = root.path / "logs" / f"{name}.out"
        values = {
            "PATH": SYSTEM_PATH,
            "HOME": str(root.path / "run"),
            "TMPDIR": str(root.path / "tmp"),
            **(environment or {}),
        }
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                unprivileged() + command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=root.path,
                env=values,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the program started, which is also its session's."""
        return self.process.pid

    def exited(self) -> bool:
        """Whether the program has ended."""
        return self.process.poll() is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        self.process.send_signal(number)

    def session_pids(self) -> list[int]:
        """Every living process of the program's session, by /proc."""
        return [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._ours(pid)
        ]

    def _ours(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                state, _parent, _group, session = stat.read().rpartition(b")")[2].split()[:4]
        except OSError:
            return False
        return int(session) == self.pid and state not in (b"Z", b"X")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[str]:
        """Stop the program; return what went wrong: a signal ignored, processes left behind."""
        faults = []
        if not self.exited():
            self.send_signal(number)
        try:
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            faults.append(f"{self.name} did not end on {number.name}")
            self.process.kill()
            self.process.wait()
        try:
            wait_until(lambda: not self.session_pids(), "the last process", 10.0)
        except AssertionError:
            for pid in self.session_pids():
                faults.append(f"{self.name} left a process behind: {command_line(pid)}")
                os.kill(pid, signal.SIGKILL)
        return faults


def command_line(pid: int) -> str:
    """The command line of a process, for people; empty where it is gone."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""
