"""H2O: its FastCGI handler."""

from __future__ import annotations

from gfcgi.configurations.site import MAX_BODY_BYTES, TIMEOUT_SECONDS, Site, comment

__all__ = ["h2o"]

USER = "debian-h2o"


def h2o(site: Site) -> str:
    """A whole configuration with one host.

    - H2O sends the whole path as PATH_INFO wherever the application is mounted, and has no
      directive that says otherwise; so gfcgi is told the mount point.
    - ``fastcgi.spawn`` runs a shell's command; ``exec``, so that H2O's SIGTERM reaches Python.
    - ``fastcgi.timeout.keepalive`` is left at 0: H2O 2.2.5 that keeps connections aborts as a
      whole (``h2o_socket_export: Assertion `!h2o_socket_is_writing(sock)' failed``) where an
      answer comes before it has sent all of an upload.
    - H2O collects uploads whole, sends responses on at once, and passes Authorization.
    """
    lines = []
    if site.spawn:
        assignments = "".join(
            f"{name}={value} " for name, value in site.environment(tell_mount=True).items()
        )
        lines.append(f'fastcgi.spawn: "{assignments}exec {site.program()}"')
    elif site.socket_path:
        lines.append(f'fastcgi.connect: {{port: "{site.socket_path}", type: unix}}')
    else:
        lines.append(f'fastcgi.connect: {{host: "{site.tcp.host}", port: {site.tcp.port}}}')
    lines += [
        "# Milliseconds of the application's silence until 503.",
        f"fastcgi.timeout.io: {TIMEOUT_SECONDS * 1000}",
    ]
    body = "\n".join("        " + line for line in lines)
    return f"""\
{comment("/etc/h2o/h2o.conf", "", *_notes(site))}
{_listen(site)}
hosts:
  "{site.server_name or "default"}":
    paths:
      "{site.url}":
{body}
# The largest upload, in bytes.
limit-request-body: {MAX_BODY_BYTES}
"""


def _notes(site: Site) -> list[str]:
    notes = [] if site.spawn else [*site.how_to_start(USER, tell_mount=True), ""]
    if site.mount:
        how = "GFCGI_SCRIPT_NAME" if site.spawn else "--script-name"
        notes += [f"H2O does not say where the application is mounted: {how} does.", ""]
    return [
        *notes,
        "It takes the place of `listen` and `hosts` in Debian's h2o.conf; user, logs and pid-file",
        "stay. Then:",
        "  sudo h2o -t -c /etc/h2o/h2o.conf && sudo systemctl restart h2o",
    ]


def _listen(site: Site) -> str:
    if site.listen is None:
        return "listen:\n  port: 80"
    host = f'  host: "{site.listen.host}"\n' if site.listen.host else ""
    return f"listen:\n{host}  port: {site.listen.port}"
