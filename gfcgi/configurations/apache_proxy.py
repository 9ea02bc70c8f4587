"""Apache with mod_proxy_fcgi, in front of a process that runs on its own."""

from __future__ import annotations

from gfcgi.configurations.site import TIMEOUT_SECONDS, Site, comment

__all__ = ["apache_proxy"]

USER = "www-data"


def apache_proxy(site: Site) -> str:
    """ProxyPass to the process.

    - ``proxy-fcgi-pathinfo=unescape``: SCRIPT_NAME is the mount point and PATH_INFO the rest,
      decoded. By SetEnvIf, because SetEnv sets it when mod_proxy_fcgi has already looked.
    - ``ProxyFCGISetEnvIf``: below the root, the mount point alone would arrive as with a slash.
    - ``enablereuse`` is safe: gfcgi keeps its side open for an hour (idle_timeout_seconds), and
      Apache opens another connection where one was closed.
    - ``retry`` is not there: a worker outside of a balancer is tried again at once anyway.
    - ``CGIPassAuth``: Apache keeps Authorization to itself otherwise.
    - Uploads are passed on as they come, up to Apache's LimitRequestBody (1 GB by default).
    """
    where = f"unix:{site.socket_path}|fcgi://{site.name}"
    if not site.socket_path:
        where = f"fcgi://{site.address}"
    # Directive and URL both end with a slash, or neither.
    slash = "" if site.mount else "/"
    options = [f"timeout={TIMEOUT_SECONDS}"]
    if site.keep_conn:
        options.insert(0, "enablereuse=on")
    if site.streaming:
        options.append("flushpackets=on")
    condition = f"^{site.pattern}(/|$)" if site.mount else "."
    bare = ""
    if site.mount:
        bare = f"""\
    # {site.mount} without a slash arrives without one.
    ProxyFCGISetEnvIf "%{{REQUEST_URI}} == '{site.mount}'" PATH_INFO
"""
    head = comment(
        f"/etc/apache2/conf-available/{site.name}.conf",
        "",
        *site.how_to_start(USER),
        "",
        "Then:",
        f"  sudo a2enmod proxy_fcgi setenvif && sudo a2enconf {site.name}",
        "  sudo apachectl configtest && sudo systemctl restart apache2",
    )
    return f"""\
{head}
# SCRIPT_NAME is the mount point and PATH_INFO the rest.
SetEnvIf Request_URI {condition} proxy-fcgi-pathinfo=unescape
{"".join(_explained(site))}\
ProxyPass {site.url} "{where}{slash}" {" ".join(options)}
<Location {site.url}>
    # The application checks passwords itself: let the Authorization header through.
    CGIPassAuth On
{bare}</Location>
"""


def _explained(site: Site) -> list[str]:
    lines = []
    if site.keep_conn:
        lines.append("enablereuse: connections are kept.")
    lines += [
        f"timeout: after {TIMEOUT_SECONDS} seconds of the application's silence, 504.",
    ]
    if site.streaming:
        lines.append("flushpackets: what the application sends goes out at once.")
    return [comment(line) for line in lines]
