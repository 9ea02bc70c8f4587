"""H2O: its FastCGI handler."""

from __future__ import annotations

from gfcgi.configurations.deployment import MAX_BODY_BYTES, TIMEOUT_SECONDS, Deployment, comment

__all__ = ["h2o"]

USER = "debian-h2o"


def h2o(deployment: Deployment) -> str:
    """A whole configuration with one host.

    - H2O sends the whole path as PATH_INFO, wherever the application is mounted. It has no
      directive to change that, so gfcgi gets the mount point as an option.
    - ``fastcgi.spawn`` runs a shell command. ``exec`` makes H2O's SIGTERM reach Python.
    - ``fastcgi.timeout.keepalive`` stays at 0. If H2O 2.2.5 keeps connections, the whole process
      aborts (``h2o_socket_export: Assertion `!h2o_socket_is_writing(sock)' failed``) when an answer
      comes before H2O has sent all of an upload.
    - Of the ``paths`` H2O takes the longest that fits.
    - H2O collects an upload before it passes it on. It sends responses on at once, and passes
      Authorization on.
    """
    lines = []
    if deployment.spawn:
        assignments = "".join(
            f"{name}={value} " for name, value in deployment.environment(tell_mount=True).items()
        )
        lines.append(f'fastcgi.spawn: "{assignments}exec {deployment.program()}"')
    elif deployment.socket_path:
        lines.append(f'fastcgi.connect: {{port: "{deployment.socket_path}", type: unix}}')
    else:
        lines.append(
            f'fastcgi.connect: {{host: "{deployment.tcp.host}", port: {deployment.tcp.port}}}'
        )
    lines += [
        "# If the application sends nothing for so many milliseconds, H2O answers 503.",
        f"fastcgi.timeout.io: {TIMEOUT_SECONDS * 1000}",
    ]
    body = "\n".join("        " + line for line in lines)
    return f"""\
{comment("/etc/h2o/h2o.conf", "", *_notes(deployment))}
{_listen(deployment)}
hosts:
{_redirect(deployment)}\
  "{deployment.server_name or "default"}":
    paths:
{_static(deployment)}\
      "{deployment.url}":
{body}
# The largest upload, in bytes.
limit-request-body: {MAX_BODY_BYTES}
"""


def _static(deployment: Deployment) -> str:
    return "".join(
        f'      "{static.url}/":\n        file.dir: "{static.directory}"\n'
        for static in deployment.static
    )


def _redirect(deployment: Deployment) -> str:
    """Whoever asks by HTTP is led to HTTPS, where the name for the URL is known."""
    if not deployment.tls or deployment.listen is not None or not deployment.server_name:
        return ""
    return f"""\
  "{deployment.server_name}:80":
    listen:
      port: 80
    paths:
      "/":
        redirect:
          status: 301
          url: "https://{deployment.server_name}/"
"""


def _notes(deployment: Deployment) -> list[str]:
    notes = [] if deployment.spawn else [*deployment.how_to_start(USER, tell_mount=True), ""]
    if deployment.mount:
        how = "GFCGI_SCRIPT_NAME" if deployment.spawn else "--script-name"
        notes += [f"H2O does not send the mount point, so {how} tells it to gfcgi.", ""]
    return [
        *notes,
        "Put it in place of `listen` and `hosts` in Debian's h2o.conf. Keep user, logs and",
        "pid-file. Then:",
        "  sudo h2o -t -c /etc/h2o/h2o.conf && sudo systemctl restart h2o",
    ]


def _listen(deployment: Deployment) -> str:
    listen = deployment.listen
    host = f'  host: "{listen.host}"\n' if listen is not None and listen.host else ""
    port = listen.port if listen is not None else 443 if deployment.tls else 80
    lines = f"listen:\n{host}  port: {port}"
    if deployment.tls:
        lines += f"""
  ssl:
    certificate-file: "{deployment.tls.certificate}"
    key-file: "{deployment.tls.key}\""""
    return lines
