"""SELinux and AppArmor: what forbids a thing that the file's mode allows."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Final

from gfcgi.checking.findings import Finding, hint

__all__ = ["check_apparmor", "check_selinux"]

SELINUX_SCRIPTS: Final = ("httpd_sys_script_exec_t", "httpd_user_script_exec_t")
WEB_SERVERS: Final = ("apache2", "httpd", "nginx", "lighttpd", "haproxy", "caddy", "h2o")


def check_selinux(path: str, root: str = "/") -> Iterator[Finding]:
    """Where SELinux enforces, Apache starts only what is labelled as its scripts."""
    if _read(f"{root}/sys/fs/selinux/enforce") != "1":
        return
    label = _label(path)
    if any(kind in label for kind in SELINUX_SCRIPTS):
        return
    yield hint(
        "selinux",
        f"SELinux is enforcing, and {path} is not labelled as a script of the Web server's"
        f" ({label or 'no label'})",
        f"sudo chcon -t httpd_sys_script_exec_t {shlex.quote(path)}; what it refused is in"
        " ausearch -m avc",
    )


def check_apparmor(root: str = "/") -> Iterator[Finding]:
    """Where AppArmor has a profile for a Web server, it says which files that may start."""
    if _read(f"{root}/sys/module/apparmor/parameters/enabled") != "Y":
        return
    for line in _read(f"{root}/sys/kernel/security/apparmor/profiles").splitlines():
        name, _, mode = line.rpartition(" ")
        if mode == "(enforce)" and os.path.basename(name) in WEB_SERVERS:
            yield hint(
                "apparmor",
                f"AppArmor confines {name}: it may refuse what the files' modes allow",
                "if the Web server fails where this check does not, see journalctl -k --grep"
                " apparmor",
            )


def _label(path: str) -> str:
    try:
        return os.getxattr(path, "security.selinux").rstrip(b"\0").decode("ascii", "replace")
    except (OSError, AttributeError):
        return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
