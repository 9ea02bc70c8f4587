"""Web servers that ask an authorizer before they give out what is below /private."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import ClassVar

from gfcgi.configurations import configuration

from .apache import Apache
from .base import Place
from .fastcgi import find_mod_fastcgi
from .lighttpd import Lighttpd

__all__ = ["FILE", "PASSWORDS", "ApacheAuthnz", "ApacheFastcgiAuthorizer", "LighttpdAuthorizer"]

#: What is in /private/file.txt.
FILE = b"what only the staff may see\n"

#: What Apache itself knows, where it checks the passwords.
PASSWORDS = {"ada": "lovelace", "eve": "apple"}

#: Tells what the Web server has told it, as the application behind the authorizer.
BEHIND = """\
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
env
cat
"""


def printed(place: Place, server: str, kind: str) -> str:
    """The configuration that gfcgi prints, and the things that it guards."""
    root = place.root
    root.write("www/file.txt", "for everybody\n")
    root.directory("www/private")
    root.write("www/private/file.txt", FILE.decode())
    root.write("www/private/behind.cgi", BEHIND, 0o755)
    text = configuration(
        server, str(place.script), bind=str(place.address), url="/private", authorizer=kind
    )
    hashes = {
        name: base64.b64encode(hashlib.sha1(word.encode()).digest()).decode()
        for name, word in PASSWORDS.items()
    }
    lines = [f"{name}:{{SHA}}{value}\n" for name, value in hashes.items()]
    root.write("conf/authorizer.htpasswd", "".join(lines))
    return text.replace("/etc/apache2/", f"{root.path}/conf/")


@dataclass(frozen=True)
class _ApacheAuthorizer(Apache):
    """Apache with an authorizer of one ``kind``; its subclasses say by which module."""

    server: ClassVar[str]
    kind: str = "access"
    modules: tuple[str, ...] = ("authn_core", "authn_file", "authz_user", "auth_basic", "cgid")

    def application(self, place: Place) -> str:
        return f"""\
ScriptSock {place.root.path}/run/cgid.sock
<Directory {place.root.path}/www/private>
  Options +ExecCGI
  <Files *.cgi>
    SetHandler cgi-script
  </Files>
</Directory>
{printed(place, self.server, self.kind)}"""


@dataclass(frozen=True)
class ApacheAuthnz(_ApacheAuthorizer):
    """mod_authnz_fcgi."""

    server: ClassVar[str] = "apache-authnz"
    modules: tuple[str, ...] = (*_ApacheAuthorizer.modules, "authnz_fcgi")


@dataclass(frozen=True)
class ApacheFastcgiAuthorizer(_ApacheAuthorizer):
    """mod_fastcgi, where somebody has installed it."""

    server: ClassVar[str] = "apache-fastcgi"

    def application(self, place: Place) -> str:
        return f"""\
LoadModule fastcgi_module {find_mod_fastcgi()}
FastCgiIpcDir {place.root.path}/run/fastcgi
{super().application(place)}"""


@dataclass(frozen=True)
class LighttpdAuthorizer(Lighttpd):
    """lighttpd's "mode" => "authorizer"."""

    def application(self, place: Place) -> str:
        return f"""\
server.modules += ( "mod_cgi" )
cgi.assign = ( ".cgi" => "" )
{printed(place, "lighttpd", "access")}"""
