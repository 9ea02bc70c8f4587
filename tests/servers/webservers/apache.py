"""Apache 2.4: mod_fcgid, mod_proxy_fcgi, plain CGI and cgi-fcgi behind it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from gfcgi.configurations import configuration
from servers.harness import missing, need, python_environment

from .base import Place, WebServer, ask_version

APACHE_MODULES = (
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
)


@dataclass(frozen=True)
class Apache(WebServer):
    """Apache 2.4 with mpm_event; its subclasses say how the application is reached."""

    reload_signal: ClassVar[signal.Signals | None] = signal.SIGUSR1
    modules: tuple[str, ...] = ()

    def application(self, place: Place) -> str:
        """The lines for one application."""
        raise NotImplementedError

    def command(self, place: Place) -> list[str]:
        program = need("apache2", "httpd")
        loads = "\n".join(
            f"LoadModule {name}_module {self._module(name)}"
            for name in (
                "mpm_event",
                "authz_core",
                "alias",
                "env",
                "mime",
                "setenvif",
                *self.modules,
            )
        )
        root = place.root.path
        application = self.application(place)
        listen = "" if "\nListen " in application else f"Listen {place.listen}"
        config = f"""\
ServerRoot {root}
DefaultRuntimeDir {root}/run
PidFile {root}/run/apache.pid
Mutex file:{root}/run default
ErrorLog {root}/logs/error.log
LogLevel info
{loads}
ServerName localhost
{listen}
StartServers 2
ServerLimit 4
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 256
MinSpareThreads 1
MaxSpareThreads 256
TypesConfig /etc/mime.types
DocumentRoot {root}/www
<Directory />
  Require all granted
</Directory>
{application}
"""
        path = place.root.write("conf/apache.conf", config)
        return [program, "-f", str(path), "-DFOREGROUND"]

    @staticmethod
    def _module(name: str) -> str:
        for directory in APACHE_MODULES:
            path = Path(directory, f"mod_{name}.so")
            if path.exists():
                return str(path)
        return missing(f"Apache's mod_{name}")

    def version(self) -> str:
        return "Apache " + ask_version([need("apache2", "httpd"), "-v"], r"Apache/([\d.]+)")


@dataclass(frozen=True)
class ApacheFcgid(Apache):
    """mod_fcgid starts the script; it gives a process one request at a time."""

    modules: tuple[str, ...] = ("fcgid",)
    processes: int = 4

    def lost_children(self, log: str) -> list[float]:
        """mod_fcgid ends the child of Apache's in which it cannot have a lock.

        The lock is one of fcntl, and the kernel takes two children for deadlocked that are not.
        """
        said = re.findall(
            r"^\[([^]]*)\] \[fcgid:emerg\].*(?:mutex|process table)", log, re.MULTILINE
        )
        return [datetime.strptime(when, "%a %b %d %H:%M:%S.%f %Y").timestamp() for when in said]

    def application(self, place: Place) -> str:
        return f"""\
FcgidIPCDir {place.root.path}/run
FcgidProcessTableFile {place.root.path}/run/fcgid_shm
{environment_by("FcgidInitialEnv")}
{place.printed("apache-fcgid", spawn=True, processes=self.processes, streaming=True)}"""


@dataclass(frozen=True)
class ApacheProxy(Apache):
    """mod_proxy_fcgi, to an application that was started independently."""

    modules: tuple[str, ...] = ("proxy", "proxy_fcgi")
    reuse: bool = False

    def application(self, place: Place) -> str:
        return place.printed("apache-proxy", keep_conn=self.reuse, streaming=True)


@dataclass(frozen=True)
class ApacheCGI(Apache):
    """mod_cgid: a process for each request; with ``bridge``, cgi-fcgi instead of the script."""

    modules: tuple[str, ...] = ("cgid",)
    bridge: bool = False

    def application(self, place: Place) -> str:
        if self.bridge:
            need("cgi-fcgi")
            text = configuration("cgi-fcgi", str(place.script), bind=place.address.bind)
            place = replace(place, script=place.root.write("www/bridge.cgi", text, 0o755))
        return f"""\
ScriptSock {place.root.path}/run/cgid.sock
{environment_by("SetEnv")}
{place.printed("apache-cgi", spawn=True)}"""


def environment_by(directive: str) -> str:
    """What the script needs to run under this Python, a directive for each variable."""
    return "\n".join(
        f'{directive} {name} "{value}"' for name, value in python_environment().items()
    )
