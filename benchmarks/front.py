"""The same hello through a real Web server: wrk asks nginx, and nginx asks the measured server.

Both run on the cores of the load generator.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accounting import cpu_seconds
from benchmarks.generator import Failed
from benchmarks.processes import spawn, stop

__all__ = ["Backend", "Passed", "measure"]

READY_SECONDS = 10.0

PARAMS = """\
    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length;
    fastcgi_param SCRIPT_NAME "";
    fastcgi_param PATH_INFO $fastcgi_script_name;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param DOCUMENT_URI $document_uri;
    fastcgi_param DOCUMENT_ROOT $document_root;
    fastcgi_param SERVER_PROTOCOL $server_protocol;
    fastcgi_param REQUEST_SCHEME $scheme;
    fastcgi_param GATEWAY_INTERFACE CGI/1.1;
    fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
    fastcgi_param REMOTE_ADDR $remote_addr;
    fastcgi_param REMOTE_PORT $remote_port;
    fastcgi_param SERVER_ADDR $server_addr;
    fastcgi_param SERVER_PORT $server_port;
    fastcgi_param SERVER_NAME $server_name;
    fastcgi_param SCRIPT_FILENAME {script};
    fastcgi_keep_conn {keep};
    fastcgi_pass application;"""
"""As Debian's fastcgi_params, with PATH_INFO. The script is PHP-FPM's."""

SCRIPT = Path(__file__).parent / "servers" / "hello.php"

HTTP = """\
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_pass http://application;"""


@dataclass(frozen=True)
class Backend:
    """The running server behind nginx.

    ``protocol`` is "fastcgi" or "http"; ``pids`` returns the server's processes. nginx keeps its
    connections if ``keeps``.
    """

    address: str
    protocol: str
    pids: Callable[[], tuple[int, ...]]
    keeps: bool = True


@dataclass(frozen=True)
class Passed:
    """What wrk and the kernel report of one run; times in seconds."""

    requests: int
    requests_per_second: float
    p50: float
    p99: float
    cpu: float

    def figures(self) -> dict[str, float]:
        return {
            "cpu_us": self.cpu / self.requests * 1e6,
            "requests_per_second": self.requests_per_second,
            "p50_us": self.p50 * 1e6,
            "p99_us": self.p99 * 1e6,
        }


def measure(backend: Backend, *, connections: int, seconds: float, cpus: Collection[int]) -> Passed:
    """Start nginx in front of the server and let wrk ask it. Raises: Failed."""
    nginx, wrk = shutil.which("nginx", path=_path()), shutil.which("wrk")
    if nginx is None or wrk is None:
        raise Failed("nginx or wrk is not installed")
    with tempfile.TemporaryDirectory(prefix="gfcgi-") as folder:
        port = _free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(_config(folder, port, backend, connections))
        command = [nginx, "-p", folder, "-c", str(config), "-e", f"{folder}/error.log"]
        server = spawn(command, cpus=cpus)
        try:
            _wait_for_port(port)
            ask = [wrk, "--threads", "1", "--connections", str(connections), "--latency"]
            _run_wrk(ask, port, 1, cpus)
            pids = backend.pids()
            cpu = cpu_seconds(pids)
            said = _run_wrk(ask, port, max(1, round(seconds)), cpus)
            return _read(said, cpu_seconds(pids) - cpu)
        except ProcessLookupError as error:
            raise Failed(str(error)) from error
        finally:
            stop(server)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _config(folder: str, port: int, backend: Backend, connections: int) -> str:
    temporary = "".join(
        f"  {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
    )
    if backend.protocol == "http":
        passed = HTTP
    else:
        keep = "on" if backend.keeps else "off"
        passed = PARAMS.replace("{script}", str(SCRIPT)).replace("{keep}", keep)
    kept = f"keepalive {connections};\n    keepalive_requests 100000000;" if backend.keeps else ""
    return f"""\
daemon off;
{f"user {pwd.getpwuid(0)[0]};" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
{temporary}
  upstream application {{
    server unix:{backend.address};
    {kept}
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
{passed}
    }}
  }}
}}
"""


def _wait_for_port(port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            if time.monotonic() > until:
                raise Failed(f"nginx did not start: {error}") from None
            time.sleep(0.02)
        else:
            return


def _run_wrk(command: list[str], port: int, seconds: int, cpus: Collection[int]) -> str:
    """Return what wrk prints after ``seconds``. Raises: Failed."""
    process = spawn(
        [*command, "--duration", f"{seconds}s", f"http://127.0.0.1:{port}/app/nested"],
        cpus=cpus,
        stdout=subprocess.PIPE,
    )
    try:
        said, _ = process.communicate(timeout=seconds + READY_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed("wrk did not end") from None
    finally:
        stop(process)
    return said.decode()


def _read(said: str, cpu: float) -> Passed:
    wrong = re.search(r"(Non-2xx or 3xx responses: \d+)|(Socket errors: .*)", said)
    if wrong:
        raise Failed(f"through nginx: {wrong[0]}")
    done = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    if done is None or rate is None or done[1] == "0":
        raise Failed("through nginx: no answer")
    return Passed(
        requests=int(done[1]),
        requests_per_second=float(rate[1]),
        p50=_latency(said, "50%"),
        p99=_latency(said, "99%"),
        cpu=cpu,
    )


def _latency(said: str, share: str) -> float:
    """A line of wrk's latency distribution, in seconds."""
    found = re.search(rf"{share} +([\d.]+)(us|ms|s)", said)
    if found is None:
        raise Failed("wrk says no latencies")
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]
