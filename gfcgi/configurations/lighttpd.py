"""lighttpd: mod_fastcgi, for responders and for authorizers."""

from __future__ import annotations

from gfcgi.configurations.site import MAX_BODY_BYTES, Site, comment

__all__ = ["lighttpd"]

USER = "www-data"
KIB = 1024


def lighttpd(site: Site) -> str:
    """The ``fastcgi.server`` entry, for the paths that are the application's.

    - The condition is there because ``"/app"`` alone would take ``/apple`` too.
    - ``fix-root-scriptname``: at the root SCRIPT_NAME is empty; without it, it is the path's first
      part.
    - ``check-local``: no file needs to be there for a path.
    - ``max-procs``: one process has all requests; the default is 4.
    - ``server.stream-request-body`` and ``-response-body``: 2 passes on at once and holds back
      when the other side is slow; the default 0 collects everything first.
    - ``docroot`` is where the files of an authorizer's URL are; it must be said.
    - Authorization is passed on by itself, and connections are not kept.
    """
    entry = [*_how(site), '"check-local" => "disable"']
    if site.authorizer:
        entry += ['"mode" => "authorizer"', '"docroot" => server.document-root']
    elif not site.mount:
        entry += ['"fix-root-scriptname" => "enable"']
    joined = ",\n".join("        " + line for line in entry)
    key = site.url
    lines = [f'fastcgi.server = ( "{key}" => ((', joined, "    )) )"]
    if site.streaming:
        lines += [
            "    # Both bodies are passed on as they come.",
            "    server.stream-request-body = 2",
            "    server.stream-response-body = 2",
        ]
    if not site.authorizer:
        lines += [
            "    # The largest upload, in KB.",
            f"    server.max-request-size = {MAX_BODY_BYTES // KIB}",
        ]
    condition = f"^{site.pattern}(/|$)"
    name = f"50-{site.name}.conf"
    notes = [] if site.spawn else [*site.how_to_start(USER), ""]
    head = comment(
        f"/etc/lighttpd/conf-available/{name}",
        "",
        *notes,
        "Then:",
        f"  sudo lighty-enable-mod fastcgi {site.name} && sudo systemctl restart lighttpd",
    )
    body = "\n".join(["    " + lines[0], *lines[1:]])
    return f'{head}\n$HTTP["url"] =~ "{condition}" {{\n{body}\n}}\n'


def _how(site: Site) -> list[str]:
    """Where the application listens, or how it is started."""
    if site.socket_path:
        how = [f'"socket" => "{site.socket_path}"']
    else:
        how = [f'"host" => "{site.tcp.host}"', f'"port" => {site.tcp.port}']
    if site.spawn:
        how += [f'"bin-path" => "{site.program()}"', f'"max-procs" => {site.processes or 1}']
        variables = [f'"{name}" => "{value}"' for name, value in site.environment().items()]
        if variables:
            how += [f'"bin-environment" => ( {", ".join(variables)} )']
    return how
