"""The columns with HTTPS: what a Web server's configuration needs besides, and a running site."""

from __future__ import annotations

import functools
import http.client
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .columns import Column
from .exchange import DEADLINE_SECONDS, HTTPClient
from .harness import PrivateRoot, missing, need
from .site import Site
from .webservers import H2O, Asking, Caddy, HAProxy, Lighttpd, Nginx, Place, WebServer
from .webservers.apache import Apache

#: Where a distribution's lighttpd has its modules; mod_openssl is a package of its own.
LIGHTTPD_MODULES = (
    "/usr/lib/lighttpd",
    "/usr/lib64/lighttpd",
    "/usr/lib/x86_64-linux-gnu/lighttpd",
    "/usr/lib/aarch64-linux-gnu/lighttpd",
)


@functools.cache
def certificate() -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as PEM."""
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("certificate.pem", "key.pem")]
        command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -out {files[0]} -keyout {files[1]}"
        names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        openssl = [need("openssl"), *command.split(), *names]
        subprocess.run(openssl, check=True, capture_output=True, timeout=60)
        return files[0].read_text(), files[1].read_text()


@dataclass(frozen=True)
class Files:
    """Where the certificate and its key are: each in a file, and both in one."""

    certificate: Path
    key: Path
    both: Path

    @property
    def pair(self) -> tuple[str, str]:
        """As ``--tls`` has them."""
        return str(self.certificate), str(self.key)

    @classmethod
    def write(cls, root: PrivateRoot) -> Files:
        first, second = certificate()
        return cls(
            root.write("run/certificate.pem", first),
            root.write("run/key.pem", second),
            root.write("run/both.pem", first + second),
        )


def with_tls(place: Place) -> dict[str, Any]:
    """The options that have a Web server speak HTTPS at the port of the place."""
    files = Files.write(place.root)
    return {"tls": (str(files.both), str(files.both)), "listen": place.listen}


def need_mod_openssl() -> None:
    """Skip, or in CI fail, where lighttpd cannot speak HTTPS."""
    if not any(Path(directory, "mod_openssl.so").exists() for directory in LIGHTTPD_MODULES):
        missing("lighttpd's mod_openssl")


def offers_https(server: WebServer) -> bool:
    """Whether this Web server can have HTTPS here."""
    return isinstance(server, (Apache, Nginx, Lighttpd, Caddy, H2O, HAProxy))


def secure(server: WebServer) -> WebServer:
    """The Web server as it is in its column, with HTTPS."""
    if isinstance(server, Apache):
        server = replace(server, modules=(*server.modules, "ssl"))
    if isinstance(server, Lighttpd):
        need_mod_openssl()
    return Asking(server, with_tls)


class SecureSite(Site):
    """A column, running, that is spoken to by HTTPS."""

    def __init__(self, column: Column) -> None:
        super().__init__(replace(column, server=secure(column.server)))

    def client(self) -> HTTPClient:
        client = HTTPClient(self.port)
        context = ssl.create_default_context(cadata=certificate()[0])
        client.connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=DEADLINE_SECONDS, context=context
        )
        return client
