"""Apache starts the script: mod_fcgid, mod_fastcgi and plain CGI."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gfcgi.configurations.apache_authorizer import fastcgi_authorizer
from gfcgi.configurations.apache_site import USER, configured, static_files
from gfcgi.configurations.deployment import MAX_BODY_BYTES, TIMEOUT_SECONDS, Deployment, comment

__all__ = ["apache_cgi", "apache_fastcgi", "apache_fcgid", "htaccess"]

BUSY_SECONDS = 3600
IDLE_SECONDS = 60
"""mod_fastcgi keeps a thread of Apache for so long where a process cannot be started, even for a
client that has left."""


def apache_fcgid(deployment: Deployment) -> str:
    """mod_fcgid starts a process for each request that runs at the same time.

    - ``FcgidMaxRequestLen``: the default is 128 KB.
    - ``FcgidIOTimeout``: the default is 40 seconds of silence.
    - ``FcgidBusyTimeout``: mod_fcgid kills a process after this time at one request. The default is
      300 seconds.
    - ``FcgidOutputBufferSize 0`` sends output on at once instead of 64 KB at a time.
    - ``FcgidWrapper`` with the script itself: mod_fcgid knows a script by its inode, and that of a
      wrapper from when Apache read its configuration. Otherwise a script that is replaced would be
      another one, and get processes of its own.
    - mod_fcgid collects an upload before it passes it on, and keeps no connections.
    """
    lines = [
        "# Notice a new version of the script or of its modules, and go on with it.",
        "FcgidInitialEnv GFCGI_RELOAD 1",
        "# A process has one request at a time: a thread, with nothing patched, and no greenlets.",
        "FcgidInitialEnv GFCGI_THREADS 1",
        "# The application may check passwords: pass the Authorization header on.",
        "FcgidPassHeader Authorization",
        "# The largest upload, in bytes.",
        f"FcgidMaxRequestLen {MAX_BODY_BYTES}",
        "# After so many seconds without output Apache answers 500; after so many seconds at one",
        "# request it kills the process.",
        f"FcgidIOTimeout {TIMEOUT_SECONDS}",
        f"FcgidBusyTimeout {BUSY_SECONDS}",
    ]
    if deployment.processes is not None:
        lines += [
            "# A process has one request at a time.",
            f"FcgidMaxProcessesPerClass {deployment.processes}",
        ]
    if deployment.streaming:
        lines += [
            "# Apache sends the application's output on at once. (It always collects uploads.)",
            "FcgidOutputBufferSize 0",
        ]
    settings = "\n".join(lines)
    wrapper = [
        "# A new file in its place is the same application to mod_fcgid.",
        f"FcgidWrapper {deployment.script}",
    ]
    mounted = _mounted(deployment, "fcgid-script", wrapper)
    return _configured(deployment, "fcgid", f"{mounted}\n{settings}\n")


def apache_fastcgi(deployment: Deployment) -> str:
    """mod_fastcgi has three kinds of applications.

    An application is dynamic by default; static, started together with Apache, with ``processes``
    or ``authorizer``; and external without ``spawn``.

    - ``FastCgiConfig`` is about all dynamic applications, and stands outside virtual hosts.
    - ``-maxClassProcesses 1``: one process has all requests.
    - ``-initial-env``: the process's environment has nothing else, so no character set either.
      GFCGI_RELOAD has the process notice a changed file, and go on with it. ``-autoUpdate`` would
      end the process for a changed script, even for a broken one, and start another one 5 seconds
      later.
    - ``-idle-timeout``: seconds of silence until 500. The default is 30. It is also how long a
      request holds a thread of Apache where no process can be started.
    - ``-pass-header Authorization``: without it Apache does not pass Authorization on.
    - ``-flush`` sends output on at once.
    - The module refuses chunked uploads with 411. It passes others on in pieces of 8 KB.
    """
    common = f"-idle-timeout {IDLE_SECONDS} -pass-header Authorization"
    if deployment.streaming:
        common += " -flush"
    if not deployment.spawn:
        where = (
            f"-socket {deployment.socket_path}"
            if deployment.socket_path
            else f"-host {deployment.address}"
        )
        directive = f"FastCgiExternalServer {deployment.script} {where} {common}"
    elif deployment.processes is not None or deployment.authorizer:
        directive = (
            f"FastCgiServer {deployment.script} -processes {deployment.processes or 1} {common}"
        )
    else:
        directive = f"FastCgiConfig -maxClassProcesses 1 {common}"
    if deployment.spawn:
        directive += " -initial-env LANG=C.UTF-8 -initial-env GFCGI_RELOAD=1"
    guarded = (
        fastcgi_authorizer(deployment)
        if deployment.authorizer
        else _mounted(deployment, "fastcgi-script")
    )
    if directive.startswith("FastCgiConfig "):
        return _configured(deployment, "fastcgi", guarded, everywhere=directive)
    return _configured(deployment, "fastcgi", f"{directive}\n\n{guarded}")


def apache_cgi(deployment: Deployment) -> str:
    """mod_cgid starts a process for each request. It passes uploads and output on at once.

    ``CGIPassAuth``: without it Apache does not pass Authorization on.
    """
    body = f"""\
{_mounted(deployment, "cgi-script")}
<Location {deployment.url}>
    # The application may check passwords: pass the Authorization header on.
    CGIPassAuth On
</Location>
"""
    return _configured(deployment, "cgid", body)


def htaccess(deployment: Deployment) -> str:
    """``.htaccess`` in the script's directory, for whoever may write nothing else.

    - ``SetHandler``: mod_fcgid if the host has it, else plain CGI. The script runs under both.
    - ``CGIPassAuth On``: mod_fcgid's own FcgidPassHeader is not allowed there.
    - ``RewriteBase``: without it Apache would make a URL of the directory's path, if the directory
      is not below the document root.
    - ``B`` encodes in ``$1`` again what Apache would read as something else: ``%3F`` would become
      the ``?`` before a query. gfcgi makes SCRIPT_NAME the mount point again (rewritten-path).
    """
    directory, name = os.path.split(deployment.script)
    head = comment(
        f"{directory.rstrip('/')}/.htaccess",
        "",
        f"Apache starts the script: chmod 755 {deployment.script}",
        "",
        "If every page is 500 and Apache's log says that a line is not allowed here, take the line",
        "out. Apache sends every other file of this directory to everybody: keep modules,",
        "passwords and databases elsewhere.",
    )
    return f"""\
{head}
Options +ExecCGI
<Files {name}>
    <IfModule mod_fcgid.c>
        SetHandler fcgid-script
    </IfModule>
    <IfModule !mod_fcgid.c>
        SetHandler cgi-script
    </IfModule>
</Files>
# The application may check passwords: pass the Authorization header on.
CGIPassAuth On
# The application answers for every URL that is no file.
RewriteEngine On
RewriteBase {deployment.mount}/
RewriteCond %{{REQUEST_FILENAME}} !-f
RewriteRule ^(.*)$ {name}/$1 [B=%?#,L]
"""


def _configured(deployment: Deployment, module: str, body: str, *, everywhere: str = "") -> str:
    notes = []
    if deployment.target.path:
        notes += [
            f"Apache starts it: sudo chmod 755 {deployment.script}",
            f"Its first line: {deployment.first_line}",
            "",
        ]
    if not deployment.spawn:
        notes = [*deployment.how_to_start(USER), ""]
    return configured(deployment, module, notes, body, everywhere=everywhere)


def _mounted(deployment: Deployment, handler: str, lines: Sequence[str] = ()) -> str:
    """Map the URL to the script, with further lines for it.

    At the root both sides of the Alias end with a slash.
    """
    further = "".join(f"        {line}\n" for line in lines)
    slash = "" if deployment.mount else "/"
    directory, name = os.path.split(deployment.script)
    return f"""\
{static_files(deployment)}\
Alias {deployment.url} {deployment.script}{slash}
<Directory {directory}>
    Options +ExecCGI
    <Files {name}>
        SetHandler {handler}
{further}\
        Require all granted
    </Files>
</Directory>
"""
