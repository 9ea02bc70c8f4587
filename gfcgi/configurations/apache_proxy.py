"""Apache with mod_proxy_fcgi. The process runs on its own."""

from __future__ import annotations

from hashlib import sha256

from gfcgi.configurations.apache_site import USER, configured, static_files
from gfcgi.configurations.deployment import DEFAULT_BIND, TIMEOUT_SECONDS, Deployment, comment

__all__ = ["apache_proxy"]


def apache_proxy(deployment: Deployment) -> str:
    """ProxyPass to the process.

    - ``proxy-fcgi-pathinfo=unescape``: SCRIPT_NAME is the mount point and PATH_INFO the rest,
      decoded. SetEnvIf sets it early enough; mod_proxy_fcgi reads it before SetEnv runs.
    - ``ProxyFCGISetEnvIf``: without it the mount point ``/app`` would arrive as ``/app/``, and of a
      path with ``//`` SCRIPT_NAME would have a part.
    - The host behind ``|`` names Apache's worker, which keeps the connections. Two sockets need two
      names, or the second URL would go to the first socket.
    - ``enablereuse`` is safe: gfcgi keeps its side open for an hour (idle_timeout_seconds), and
      Apache opens a new connection if one was closed.
    - ``retry`` is missing because Apache tries a worker outside a balancer again at once.
    - ``CGIPassAuth``: without it Apache does not pass Authorization on.
    - Apache passes uploads on as they come, up to its LimitRequestBody (1 GB by default).
    """
    where = f"balancer://{deployment.name}" if deployment.others else _member(deployment)
    # The path and the URL must both end with a slash, or neither.
    slash = "" if deployment.mount else "/"
    options = [f"timeout={TIMEOUT_SECONDS}"]
    if deployment.keep_conn:
        options.insert(0, "enablereuse=on")
    if deployment.streaming:
        options.append("flushpackets=on")
    condition = f"^{deployment.pattern}(/|$)" if deployment.mount else "."
    bare = ""
    if deployment.mount:
        bare = f"""\
    # Without this {deployment.mount} would arrive as {deployment.mount}/.
    ProxyFCGISetEnvIf "%{{REQUEST_URI}} == '{deployment.mount}'" PATH_INFO
"""
    body = f"""\
{_slashes(deployment)}{static_files(deployment, proxied=True)}\
# SCRIPT_NAME is the mount point, and PATH_INFO is the rest of the path.
SetEnvIf Request_URI {condition} proxy-fcgi-pathinfo=unescape
{"".join(_explained(deployment))}\
{_balancer(deployment, " ".join(options))}\
ProxyPass {deployment.url} "{where}{slash}"{"" if deployment.others else f" {' '.join(options)}"}
<Location {deployment.url}>
    # The application may check passwords: pass the Authorization header on.
    CGIPassAuth On
    ProxyFCGISetEnvIf true SCRIPT_NAME{" " * bool(deployment.mount)}{deployment.mount}
{bare}</Location>
"""
    modules = "proxy_fcgi setenvif"
    if deployment.others:
        modules += " proxy_balancer lbmethod_byrequests"
    return configured(deployment, modules, [*deployment.how_to_start(USER), ""], body)


def _slashes(deployment: Deployment) -> str:
    """By default Apache makes ``/`` of ``//``, and answers 404 to ``%2F``."""
    if not deployment.keep_slashes:
        return ""
    return """\
# The application gets // and %2F. Both lines hold for the whole server.
MergeSlashes Off
AllowEncodedSlashes On
"""


def _member(deployment: Deployment) -> str:
    if deployment.socket_path:
        return f"unix:{deployment.socket_path}|fcgi://{_worker(deployment)}"
    return f"fcgi://{deployment.address}"


def _balancer(deployment: Deployment, options: str) -> str:
    """``retry``: after so many seconds Apache tries a process again that did not answer."""
    if not deployment.others:
        return ""
    members = "".join(
        f'    BalancerMember "{_member(one)}" {options} retry=10\n' for one in deployment.each()
    )
    note = comment(
        "retry: a process that does not answer is left out for 10 seconds. Apache's health checks",
        "(mod_proxy_hcheck) ask by HTTP, which no FastCGI process understands.",
    )
    return f"{note}<Proxy balancer://{deployment.name}>\n{members}</Proxy>\n"


def _worker(deployment: Deployment) -> str:
    """The name of a worker, which no other socket has."""
    name = deployment.name
    if str(deployment.address) == DEFAULT_BIND.format(name=name):
        return name
    return f"{name}-{sha256(deployment.socket_path.encode()).hexdigest()[:8]}"


def _explained(deployment: Deployment) -> list[str]:
    lines = []
    if deployment.keep_conn:
        lines.append("enablereuse: Apache keeps connections open.")
    lines += [
        f"timeout: after {TIMEOUT_SECONDS} seconds without output Apache answers 504.",
    ]
    if deployment.streaming:
        lines.append("flushpackets: Apache sends the application's output on at once.")
    return [comment(line) for line in lines]
