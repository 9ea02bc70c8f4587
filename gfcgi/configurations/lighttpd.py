"""lighttpd: mod_fastcgi, for responders and for authorizers."""

from __future__ import annotations

from gfcgi.configurations.deployment import MAX_BODY_BYTES, Deployment, comment, pattern
from gfcgi.limits import KIB

__all__ = ["lighttpd"]

USER = "www-data"


def lighttpd(deployment: Deployment) -> str:
    """The ``fastcgi.server`` entry for the application's paths.

    - The condition is there because ``"/app"`` alone would match ``/apple`` too.
    - ``alias.url`` has no effect below a path of ``fastcgi.server``, so the condition leaves the
      files out. Both sides end with a slash.
    - ``fix-root-scriptname``: at the root SCRIPT_NAME is empty. Without it SCRIPT_NAME is the first
      part of the path.
    - ``check-local``: lighttpd must not look for a file at the path.
    - ``max-procs``: one process has all requests. The default is 4.
    - ``server.stream-request-body`` and ``-response-body``: 2 passes a body on at once, and waits
      if the other side is slow. The default, 0, collects the whole body first.
    - ``docroot`` is the directory of the files that an authorizer guards. It is required.
    - lighttpd passes Authorization on, and keeps no connections.
    """
    entry = [*_how(deployment), '"check-local" => "disable"']
    if deployment.authorizer:
        entry += ['"mode" => "authorizer"', '"docroot" => server.document-root']
    elif not deployment.mount:
        entry += ['"fix-root-scriptname" => "enable"']
    joined = ",\n".join("        " + line for line in entry)
    key = deployment.url
    lines = [f'fastcgi.server = ( "{key}" => ((', joined, "    )) )"]
    if deployment.streaming:
        lines += [
            "    # lighttpd passes both bodies on as they come.",
            "    server.stream-request-body = 2",
            "    server.stream-response-body = 2",
        ]
    if not deployment.authorizer:
        lines += [
            "    # The largest upload, in KB.",
            f"    server.max-request-size = {MAX_BODY_BYTES // KIB}",
        ]
    apart = "|".join(f"{pattern(static.url)}/" for static in deployment.static)
    condition = f"^{f'(?!{apart})' if apart else ''}{deployment.pattern}(/|$)"
    name = f"50-{deployment.name}.conf"
    notes = [] if deployment.spawn else [*deployment.how_to_start(USER), ""]
    head = comment(
        f"/etc/lighttpd/conf-available/{name}",
        "",
        *notes,
        "Then:",
        f"  sudo lighty-enable-mod fastcgi {deployment.name} && sudo systemctl restart lighttpd",
    )
    body = "\n".join(["    " + lines[0], *lines[1:]])
    before = f"{head}\n{_sockets(deployment)}{_static(deployment)}"
    return f'{before}$HTTP["url"] =~ "{condition}" {{\n{body}\n}}\n{_redirect(deployment)}'


def _redirect(deployment: Deployment) -> str:
    if deployment.tls is None or deployment.listen is not None:
        return ""
    urls = "|".join([deployment.pattern, *(pattern(static.url) for static in deployment.static)])
    return f"""\

# By mod_redirect: whoever asks by HTTP is led to HTTPS.
$HTTP["scheme"] == "http" {{
    $HTTP["url"] =~ "^({urls})(/|$)" {{
        url.redirect = ( "" => "https://${{url.authority}}${{url.path}}${{qsa}}" )
    }}
}}
"""


def _sockets(deployment: Deployment) -> str:
    """The sockets of HTTPS, and the one that was asked for."""
    listen = deployment.listen
    if listen is None and deployment.tls is None:
        return ""
    lines, needs = [], ""
    if deployment.tls:
        needs = comment("In Debian it is a package: lighttpd-mod-openssl.")
        needs += 'server.modules += ( "mod_openssl" )\n'
        lines = [
            '    ssl.engine = "enable"',
            f'    ssl.pemfile = "{deployment.tls.certificate}"',
            f'    ssl.privkey = "{deployment.tls.key}"',
        ]
    addresses = [":443", "[::]:443"]
    if listen is not None:
        addresses = [str(listen) if listen.host else f":{listen.port}"]
    body = "".join(f"{line}\n" for line in lines)
    sockets = "".join(f'$SERVER["socket"] == "{address}" {{\n{body}}}\n' for address in addresses)
    return f"{needs}{sockets}\n"


def _static(deployment: Deployment) -> str:
    if not deployment.static:
        return ""
    files = "".join(
        f'alias.url += ( "{static.url}/" => "{static.directory}/" )\n'
        for static in deployment.static
    )
    return f"# lighttpd itself sends these files, by mod_alias.\n{files}\n"


def _how(deployment: Deployment) -> list[str]:
    """The application's address, and the command that starts it if lighttpd does."""
    if deployment.socket_path:
        how = [f'"socket" => "{deployment.socket_path}"']
    else:
        how = [f'"host" => "{deployment.tcp.host}"', f'"port" => {deployment.tcp.port}']
    if deployment.spawn:
        how += [
            f'"bin-path" => "{deployment.program()}"',
            f'"max-procs" => {deployment.processes or 1}',
        ]
        variables = [f'"{name}" => "{value}"' for name, value in deployment.environment().items()]
        if variables:
            how += [f'"bin-environment" => ( {", ".join(variables)} )']
    return how
