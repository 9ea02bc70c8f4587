"""systemd, spawn-fcgi and cgi-fcgi: they are no Web servers, but start the process or reach it."""

from __future__ import annotations

import os

from gfcgi.configurations.deployment import UNIT_USER, Deployment, comment
from gfcgi.limits import BACKLOG, GRACEFUL_TIMEOUT_SECONDS, MAX_CONNECTIONS

__all__ = ["cgi_fcgi", "spawn_fcgi", "systemd", "systemd_socket"]

WATCHDOG_SECONDS = 120
"""Longer than the requests that an application may make everybody wait for."""

_HARDENING = """\
# What a Web application can do without. It may write below /srv, /var and its own directories.
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=full
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0027
"""

_WATCHED = f"""\
# A process whose event loop has stood still for so many seconds is started anew.
WatchdogSec={WATCHDOG_SECONDS}
"""
_WATCHED_BY_GUNICORN = """\
# gunicorn (pip install 'gfcgi[gunicorn]') starts the processes. One whose event loop stands still
# for its timeout, 30 seconds, is started anew.
"""

_WHO_MAY_CONNECT = "# No other machine may connect until this names it.\n"


def systemd(deployment: Deployment) -> str:
    """The service that the socket of ``systemd_socket`` starts with the first connection.

    - ``Requires``: if the socket is stopped, the service is stopped too.
    - ``TimeoutStopSec`` is a little longer than graceful_timeout_seconds, so that gfcgi can finish
      running requests. ``KillMode=mixed``: only the main process gets SIGTERM.
    - ``Type=notify``: the process says when it listens, and feeds the watchdog.
    - ``Restart=always``: a process that somebody stops by a signal comes again; ``systemctl stop``
      is another thing.
    - What confines the process leaves it the directories that an application writes to, the network
      and other programs.
    - ``LimitNOFILE``: a connection takes a descriptor, and a spooled body or a file another one.
    - With several processes the main one is gunicorn's arbiter. It says when it listens; it feeds
      no watchdog of systemd's.
    """
    stop = f"{GRACEFUL_TIMEOUT_SECONDS + 5:g}"
    environment = deployment.environment(tell_mount=True)
    program, watched = deployment.program(), _WATCHED
    if deployment.processes is not None:
        program += f" --processes {deployment.processes}"
        watched = _WATCHED_BY_GUNICORN
        environment.pop("GFCGI_RELOAD", None)  # each would look at the files; there is a reload
    variables = "".join(f"Environment={name}={value}\n" for name, value in environment.items())
    if deployment.is_remote:
        variables += f"{_WHO_MAY_CONNECT}# Environment=GFCGI_ALLOW_FROM=ADDRESS-OF-THE-WEB-SERVER\n"
    directory = f"WorkingDirectory={deployment.directory}\n" if deployment.target.module else ""
    head = comment(
        f"/etc/systemd/system/{deployment.name}.service",
        "",
        "Its socket is another file, which `gfcgi config systemd-socket` prints. Then:",
        "  sudo systemctl daemon-reload",
        f"  sudo systemctl enable --now {deployment.name}.socket",
    )
    return f"""\
{head}
[Unit]
Description={deployment.name}
Requires={deployment.name}.socket

[Service]
ExecStart={program}
{directory}{variables}User={UNIT_USER}
Group={UNIT_USER}
Type=notify
# A new version of the application: systemctl reload {deployment.name}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
{watched}# gfcgi first finishes running requests, within graceful_timeout_seconds.
TimeoutStopSec={stop}
KillMode=mixed
# Each connection takes a descriptor.
LimitNOFILE={2 * int(MAX_CONNECTIONS)}
{_HARDENING}"""


def systemd_socket(deployment: Deployment) -> str:
    """The socket, which systemd owns: connections wait in it while the process restarts."""
    unix = bool(deployment.socket_path) and not deployment.socket_path.startswith("@")
    owner = ""
    if unix:
        owner = f"""\
# The Web server's user.
SocketUser={UNIT_USER}
SocketGroup={UNIT_USER}
SocketMode=0660
"""
    where = deployment.socket_path or str(deployment.address)
    head = comment(
        f"/etc/systemd/system/{deployment.name}.socket",
        "",
        "It starts the service that `gfcgi config systemd` prints, with the first connection.",
    )
    return f"""\
{head}
[Unit]
Description=The FastCGI socket of {deployment.name}

[Socket]
ListenStream={where}
{owner}Backlog={BACKLOG}

[Install]
WantedBy=sockets.target
"""


def spawn_fcgi(deployment: Deployment) -> str:
    """A shell script: spawn-fcgi makes the socket, drops its privileges and starts the process.

    - ``-U``, ``-G``, ``-M``: the Web server's user may connect. These and ``-u``, ``-g`` work for
      root only.
    - ``-b``: the backlog is gfcgi's default.
    - multiwatch starts several processes on one socket, and a new one when one ends.
    """
    name = deployment.name
    if deployment.socket_path:
        listens = f"-s {deployment.socket_path} -M 0660 -U {UNIT_USER} -G {UNIT_USER}"
        directory = os.path.dirname(deployment.socket_path)
    else:
        listens = f"-a {deployment.tcp.host} -p {deployment.tcp.port}"
        directory = f"/run/{name}"
    exports = "".join(
        f"export {variable}={value}\n"
        for variable, value in deployment.environment(tell_mount=True).items()
    )
    if deployment.is_remote:
        exports += f"{_WHO_MAY_CONNECT}# export GFCGI_ALLOW_FROM=ADDRESS-OF-THE-WEB-SERVER\n"
    program = deployment.program()
    if deployment.processes is not None:
        program = f"/usr/bin/multiwatch -f {deployment.processes} -- {program}"
    head = comment(
        f"/usr/local/sbin/start-{name}",
        "",
        f"  sudo sh /usr/local/sbin/start-{name}",
        "",
        f"To stop it: sudo kill $(cat {directory}/{name}.pid). With the argument -n it stays in",
        "the foreground and keeps its output, for a supervisor. Without -n the output goes to",
        "/dev/null.",
    )
    return f"""\
#!/bin/sh
{head}
mkdir -p {directory}
{exports}exec spawn-fcgi "$@" {listens} -b {BACKLOG} -u {UNIT_USER} -g {UNIT_USER} \\
    -P {directory}/{name}.pid -- {program}
"""


def cgi_fcgi(deployment: Deployment) -> str:
    """A CGI program that passes its request on to a running process.

    The Web server starts cgi-fcgi for each request, and cgi-fcgi connects. Without CONTENT_LENGTH
    it sends no body, so a chunked upload arrives empty.
    """
    name = deployment.name
    head = comment(
        f"/usr/lib/cgi-bin/{name}.cgi",
        "",
        *deployment.how_to_start(UNIT_USER),
        "",
        f"Then: sudo chmod 755 /usr/lib/cgi-bin/{name}.cgi, and for Apache:",
        f"  gfcgi config apache-cgi /usr/lib/cgi-bin/{name}.cgi",
    )
    return f"""\
#!/bin/sh
{head}
exec cgi-fcgi -bind -connect {deployment.socket_path or deployment.address}
"""
