"""The columns with HTTPS: what a Web server's configuration needs besides, and a running site."""

from __future__ import annotations

import functools
import http.client
import re
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .columns import Column
from .exchange import DEADLINE_SECONDS, HTTPClient
from .harness import PrivateRoot, missing, need
from .site import Site
from .webservers import H2O, Caddy, HAProxy, Lighttpd, Nginx, Place, WebServer
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

    @classmethod
    def write(cls, root: PrivateRoot) -> Files:
        first, second = certificate()
        return cls(
            root.write("run/certificate.pem", first),
            root.write("run/key.pem", second),
            root.write("run/both.pem", first + second),
        )


def apache(found: str, files: Files) -> str:
    return f"""\
{found}
LoadModule ssl_module {Apache._module("ssl")}
SSLSessionCache none
SSLEngine on
SSLCertificateFile {files.certificate}
SSLCertificateKeyFile {files.key}"""


def nginx(found: str, files: Files) -> str:
    address = found.removesuffix(";")
    return f"{address} ssl; ssl_certificate {files.certificate}; ssl_certificate_key {files.key};"


def lighttpd(found: str, files: Files) -> str:
    if not any(Path(directory, "mod_openssl.so").exists() for directory in LIGHTTPD_MODULES):
        missing("lighttpd's mod_openssl")
    return f"""\
{found}
server.modules += ( "mod_openssl" )
ssl.engine = "enable"
ssl.pemfile = "{files.both}\""""


def caddy(found: str, files: Files) -> str:
    return f"{found}\n\ttls {files.certificate} {files.key}"


def h2o(found: str, files: Files) -> str:
    return f"{found}\n  ssl:\n    certificate-file: {files.certificate}\n    key-file: {files.key}"


def haproxy(found: str, files: Files) -> str:
    return f"{found} ssl crt {files.both}"


#: For each Web server: where its configuration says the port, and what that line becomes.
LINES: Final[dict[type[WebServer], tuple[str, Callable[[str, Files], str]]]] = {
    Apache: (r"^Listen 127\.0\.0\.1:PORT$", apache),
    Nginx: (r"listen 127\.0\.0\.1:PORT[^;]*;", nginx),
    Lighttpd: (r"^server\.port = PORT$", lighttpd),
    Caddy: (r"^:PORT \{$", caddy),
    H2O: (r"^  port: PORT$", h2o),
    HAProxy: (r"^ *bind 127\.0\.0\.1:PORT$", haproxy),
}


def offers_https(server: WebServer) -> bool:
    """Whether this Web server can have HTTPS here."""
    return isinstance(server, tuple(LINES))


@dataclass(frozen=True)
class Secure(WebServer):
    """A Web server as it is in its column, on an HTTPS port."""

    plain: WebServer

    def command(self, place: Place) -> list[str]:
        command = self.plain.command(place)
        files = Files.write(place.root)
        kind = next(kind for kind in LINES if isinstance(self.plain, kind))
        pattern, changed = LINES[kind]
        expression = re.compile(pattern.replace("PORT", str(place.port)), re.MULTILINE)
        times = 0
        for path in (place.root.path / "conf").iterdir():
            if path.is_symlink():
                continue
            text, found = expression.subn(lambda m: changed(m.group(), files), path.read_text())
            if found:
                path.write_text(text)
            times += found
        assert times == 1, f"{pattern} is there {times} times"
        return command

    def environment(self) -> dict[str, str]:
        return self.plain.environment()

    def version(self) -> str:
        return self.plain.version()


class SecureSite(Site):
    """A column, running, that is spoken to by HTTPS."""

    def __init__(self, column: Column) -> None:
        super().__init__(replace(column, server=Secure(column.server)))

    def client(self) -> HTTPClient:
        client = HTTPClient(self.port)
        context = ssl.create_default_context(cadata=certificate()[0])
        client.connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=DEADLINE_SECONDS, context=context
        )
        return client
