"""Apache 2.4: mod_fcgid, mod_proxy_fcgi in two spellings, plain CGI and cgi-fcgi behind it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

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
            for name in ("mpm_event", "authz_core", "alias", "env", "setenvif", *self.modules)
        )
        root = place.root.path
        config = f"""\
ServerRoot {root}
DefaultRuntimeDir {root}/run
PidFile {root}/run/apache.pid
Mutex file:{root}/run default
ErrorLog {root}/logs/error.log
LogLevel info
{loads}
ServerName localhost
Listen 127.0.0.1:{place.port}
StartServers 2
ServerLimit 4
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 256
MinSpareThreads 1
MaxSpareThreads 256
DocumentRoot {root}/www
<Directory />
  Require all granted
</Directory>
{self.application(place)}
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

    def application(self, place: Place) -> str:
        environment = "\n".join(
            f'FcgidInitialEnv {name} "{value}"' for name, value in python_environment().items()
        )
        return f"""\
FcgidIPCDir {place.root.path}/run
FcgidProcessTableFile {place.root.path}/run/fcgid_shm
FcgidMaxProcessesPerClass {self.processes}
FcgidMaxRequestLen 1073741824
FcgidOutputBufferSize 0
{environment}
FcgidPassHeader Authorization
Alias {place.mount or "/"} {place.script}{"" if place.mount else "/"}
<Directory {place.script.parent}>
  Options +ExecCGI
  SetHandler fcgid-script
</Directory>"""


@dataclass(frozen=True)
class ApacheProxy(Apache):
    """mod_proxy_fcgi, by ProxyPass, to an application that was started independently."""

    modules: tuple[str, ...] = ("proxy", "proxy_fcgi")
    reuse: bool = False

    def application(self, place: Place) -> str:
        where = f"fcgi://{place.address}"
        if place.address.path:
            where = f"unix:{place.address.path}|fcgi://localhost"
        reuse = "on" if self.reuse else "off"
        return f"""\
# SetEnvIf and not SetEnv, which comes too late for mod_proxy_fcgi.
SetEnvIf Request_URI . proxy-fcgi-pathinfo=unescape
ProxyPass {place.mount} "{where}" enablereuse={reuse} flushpackets=on
<Location {place.mount}>
  CGIPassAuth On
</Location>"""


@dataclass(frozen=True)
class ApacheSetHandler(Apache):
    """mod_proxy_fcgi by SetHandler in a Location."""

    modules: tuple[str, ...] = ("proxy", "proxy_fcgi")

    def application(self, place: Place) -> str:
        where = f"fcgi://{place.address}/"
        if place.address.path:
            where = f"unix:{place.address.path}|fcgi://localhost/"
        return f"""\
<Proxy "fcgi://{"localhost" if place.address.path else place.address}/" flushpackets=on>
</Proxy>
<Location {place.mount}>
  SetHandler "proxy:{where}"
  CGIPassAuth On
</Location>"""


@dataclass(frozen=True)
class ApacheCGI(Apache):
    """mod_cgid: a process for each request; with ``bridge``, cgi-fcgi instead of the script."""

    modules: tuple[str, ...] = ("cgid",)
    bridge: bool = False

    def application(self, place: Place) -> str:
        script = place.script
        if self.bridge:
            text = f"#!/bin/sh\nexec {need('cgi-fcgi')} -bind -connect {place.address}\n"
            script = place.root.write("www/bridge.cgi", text, 0o755)
        environment = "\n".join(
            f'SetEnv {name} "{value}"' for name, value in python_environment().items()
        )
        return f"""\
ScriptSock {place.root.path}/run/cgid.sock
{environment}
Alias {place.mount} {script}
<Directory {script.parent}>
  Options +ExecCGI
  SetHandler cgi-script
  CGIPassAuth On
</Directory>"""
