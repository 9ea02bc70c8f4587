"""What is no Web server: systemd, spawn-fcgi and cgi-fcgi, which start the process or reach it."""

from __future__ import annotations

import os

from gfcgi.configurations.site import Site, comment
from gfcgi.limits import BACKLOG, GRACEFUL_TIMEOUT_SECONDS, MAX_CONNECTIONS

__all__ = ["cgi_fcgi", "spawn_fcgi", "systemd"]

USER = "www-data"
_WHO_MAY_CONNECT = "# Other machines are turned away until this says which of them may connect.\n"


def systemd(site: Site) -> str:
    """A socket and the service that it starts with the first connection.

    - The socket is systemd's: while the process is restarted, connections wait in it.
    - ``Requires``: to stop the socket stops the service.
    - ``TimeoutStopSec`` is a little longer than graceful_timeout_seconds, so that requests that
      run are finished; ``KillMode=mixed``: SIGTERM is for the main process alone.
    - ``LimitNOFILE``: a connection is a descriptor, and a spooled body or a file another.
    """
    unix = bool(site.socket_path) and not site.socket_path.startswith("@")
    owner = ""
    if unix:
        owner = (
            f"# The Web server's user.\nSocketUser={USER}\nSocketGroup={USER}\nSocketMode=0660\n"
        )
    where = site.socket_path or str(site.address)
    stop = f"{GRACEFUL_TIMEOUT_SECONDS + 5:g}"
    variables = "".join(
        f"Environment={name}={value}\n" for name, value in site.environment(tell_mount=True).items()
    )
    if site.is_remote:
        variables += f"{_WHO_MAY_CONNECT}# Environment=GFCGI_ALLOW_FROM=ADDRESS-OF-THE-WEB-SERVER\n"
    directory = f"WorkingDirectory={site.directory}\n" if site.target.module else ""
    then = comment(
        "Then:",
        "  sudo systemctl daemon-reload",
        f"  sudo systemctl enable --now {site.name}.socket",
    )
    return f"""\
# /etc/systemd/system/{site.name}.socket

[Unit]
Description=The FastCGI socket of {site.name}

[Socket]
ListenStream={where}
{owner}Backlog={BACKLOG}

[Install]
WantedBy=sockets.target

# /etc/systemd/system/{site.name}.service
#
{then}
[Unit]
Description={site.name}
Requires={site.name}.socket

[Service]
ExecStart={site.program()}
{directory}{variables}User={USER}
Group={USER}
Restart=on-failure
# Requests that run are finished first, within graceful_timeout_seconds.
TimeoutStopSec={stop}
KillMode=mixed
# Each connection is a descriptor.
LimitNOFILE={2 * int(MAX_CONNECTIONS)}
"""


def spawn_fcgi(site: Site) -> str:
    """A shell script: spawn-fcgi makes the socket, drops its privileges and starts the process.

    - ``-U``, ``-G``, ``-M``: the Web server's user may connect. These and ``-u``, ``-g`` count
      for root alone.
    - ``-b``: the backlog that gfcgi would ask for.
    - multiwatch starts several processes on the one socket, and another where one ends.
    """
    name = site.name
    if site.socket_path:
        listens = f"-s {site.socket_path} -M 0660 -U {USER} -G {USER}"
        directory = os.path.dirname(site.socket_path)
    else:
        listens = f"-a {site.tcp.host} -p {site.tcp.port}"
        directory = f"/run/{name}"
    exports = "".join(
        f"export {variable}={value}\n"
        for variable, value in site.environment(tell_mount=True).items()
    )
    if site.is_remote:
        exports += f"{_WHO_MAY_CONNECT}# export GFCGI_ALLOW_FROM=ADDRESS-OF-THE-WEB-SERVER\n"
    program = site.program()
    if site.processes is not None:
        program = f"/usr/bin/multiwatch -f {site.processes} -- {program}"
    head = comment(
        f"/usr/local/sbin/start-{name}",
        "",
        f"  sudo sh /usr/local/sbin/start-{name}",
        "",
        f"It ends with: sudo kill $(cat {directory}/{name}.pid). With the argument -n it stays in",
        "the foreground and keeps its output, for a supervisor; else that goes to /dev/null.",
    )
    return f"""\
#!/bin/sh
{head}
mkdir -p {directory}
{exports}exec spawn-fcgi "$@" {listens} -b {BACKLOG} -u {USER} -g {USER} \\
    -P {directory}/{name}.pid -- {program}
"""


def cgi_fcgi(site: Site) -> str:
    """A CGI program that passes its request on to a process that runs: cgi-fcgi's part is to
    connect, the Web server's to start it for each request.

    It sends no body without CONTENT_LENGTH, so none of a chunked upload.
    """
    name = site.name
    head = comment(
        f"/usr/lib/cgi-bin/{name}.cgi",
        "",
        *site.how_to_start(USER),
        "",
        f"Then: sudo chmod 755 /usr/lib/cgi-bin/{name}.cgi, and for Apache:",
        f"  gfcgi config apache-cgi /usr/lib/cgi-bin/{name}.cgi",
    )
    return f"""\
#!/bin/sh
{head}
exec cgi-fcgi -bind -connect {site.socket_path or site.address}
"""
