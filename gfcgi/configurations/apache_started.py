"""Apache where it starts the script by itself: mod_fcgid, mod_fastcgi, and plain CGI."""

from __future__ import annotations

import os

from gfcgi.configurations.apache_authorizer import fastcgi_authorizer
from gfcgi.configurations.site import MAX_BODY_BYTES, TIMEOUT_SECONDS, Site, comment

__all__ = ["apache_cgi", "apache_fastcgi", "apache_fcgid"]

USER = "www-data"
BUSY_SECONDS = 3600


def apache_fcgid(site: Site) -> str:
    """mod_fcgid: it starts processes as they are needed, one for each request at once.

    - ``FcgidMaxRequestLen``: the default is 128 KB.
    - ``FcgidIOTimeout``: the default is 40 seconds of silence.
    - ``FcgidBusyTimeout``: mod_fcgid kills a process that is at one request for longer, by
      default 300 seconds.
    - ``FcgidOutputBufferSize 0`` sends on at once, instead of 64 KB at a time.
    - mod_fcgid collects uploads whole, and keeps no connections.
    """
    lines = [
        "# The application checks passwords itself: let the Authorization header through.",
        "FcgidPassHeader Authorization",
        "# The largest upload, in bytes.",
        f"FcgidMaxRequestLen {MAX_BODY_BYTES}",
        "# Seconds of the application's silence until 500, and of one request until its process is",
        "# killed.",
        f"FcgidIOTimeout {TIMEOUT_SECONDS}",
        f"FcgidBusyTimeout {BUSY_SECONDS}",
    ]
    if site.processes is not None:
        lines += [
            "# A process has one request at a time.",
            f"FcgidMaxProcessesPerClass {site.processes}",
        ]
    if site.streaming:
        lines += [
            "# What the application sends goes out at once. (Uploads are always collected first.)",
            "FcgidOutputBufferSize 0",
        ]
    settings = "\n".join(lines)
    return f"{_head(site, 'fcgid')}\n{_mounted(site, 'fcgid-script')}\n{settings}\n"


def apache_fastcgi(site: Site) -> str:
    """mod_fastcgi: dynamic; static where ``processes`` are given or it is an authorizer, which
    then is there when Apache is; external without ``spawn``.

    - ``-maxClassProcesses 1``: one process has all requests.
    - ``-autoUpdate``: a script that is newer than its process is started afresh.
    - ``-initial-env``: the process's environment holds nothing else, so no character set.
    - ``-idle-timeout``: seconds of silence until 500; the default is 30.
    - ``-pass-header Authorization``: Apache keeps it to itself otherwise.
    - ``-flush`` sends on at once.
    - Chunked uploads are refused with 411, others passed on in pieces of 8 KB.
    """
    common = f"-idle-timeout {TIMEOUT_SECONDS} -pass-header Authorization"
    if site.streaming:
        common += " -flush"
    if not site.spawn:
        where = f"-socket {site.socket_path}" if site.socket_path else f"-host {site.address}"
        directive = f"FastCgiExternalServer {site.script} {where} {common}"
    elif site.processes is not None or site.authorizer:
        directive = f"FastCgiServer {site.script} -processes {site.processes or 1} {common}"
    else:
        directive = f"FastCgiConfig -maxClassProcesses 1 -autoUpdate {common}"
    if site.spawn:
        directive += " -initial-env LANG=C.UTF-8"
    guarded = fastcgi_authorizer(site) if site.authorizer else _mounted(site, "fastcgi-script")
    return f"{_head(site, 'fastcgi')}\n{directive}\n\n{guarded}"


def apache_cgi(site: Site) -> str:
    """mod_cgid: a process for each request, which takes uploads and sends on at once.

    ``CGIPassAuth``: Apache keeps Authorization to itself otherwise.
    """
    return f"""\
{_head(site, "cgid")}
{_mounted(site, "cgi-script")}
<Location {site.url}>
    # The application checks passwords itself: let the Authorization header through.
    CGIPassAuth On
</Location>
"""


def _head(site: Site, module: str) -> str:
    notes = []
    if site.target.path:
        notes += [f"Apache starts it: sudo chmod 755 {site.script}", ""]
    if not site.spawn:
        notes = [*site.how_to_start(USER), ""]
    return comment(
        f"/etc/apache2/conf-available/{site.name}.conf",
        "",
        *notes,
        "Then:",
        f"  sudo a2enmod {module} && sudo a2enconf {site.name}",
        "  sudo apachectl configtest && sudo systemctl restart apache2",
    )


def _mounted(site: Site, handler: str) -> str:
    """The script at its URL. At the root the Alias ends with a slash on both sides."""
    slash = "" if site.mount else "/"
    directory, name = os.path.split(site.script)
    return f"""\
Alias {site.url} {site.script}{slash}
<Directory {directory}>
    Options +ExecCGI
    <Files {name}>
        SetHandler {handler}
        Require all granted
    </Files>
</Directory>
"""
