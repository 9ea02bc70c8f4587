"""What the snippets of Apache have in common, however the application is reached."""

from __future__ import annotations

from gfcgi.configurations.deployment import Deployment, comment

__all__ = ["configured", "static_files"]

USER = "www-data"


def static_files(deployment: Deployment, *, proxied: bool = False) -> str:
    """The directories that Apache sends files from. They come before the application.

    - Of two ``Alias`` or ``ProxyPass`` lines Apache takes the first that fits.
    - Both sides of an ``Alias`` end with a slash.
    - ``Options -Indexes``: nobody gets a list of the files. ``AllowOverride None``: Apache does not
      look for ``.htaccess`` in each directory on the way.
    """
    lines = []
    for static in deployment.static:
        if proxied:
            lines.append(f"ProxyPass {static.url}/ !")
        lines += [
            f"Alias {static.url}/ {static.directory}/",
            f"<Directory {static.directory}>",
            "    Options -Indexes",
            "    AllowOverride None",
            "    Require all granted",
            "</Directory>",
        ]
    if not lines:
        return ""
    return comment("Apache itself sends these files.") + "".join(f"{line}\n" for line in lines)


def configured(
    deployment: Deployment, modules: str, notes: list[str], body: str, *, everywhere: str = ""
) -> str:
    """Return ``body`` with its first comment, as a snippet for every site or as a site.

    It becomes a site of its own where its address, its name or TLS is asked for. ``notes`` are the
    comment's first lines, ``modules`` what Apache needs, ``everywhere`` a line that Apache does not
    take in a virtual host.
    """
    if not (deployment.tls or deployment.listen or deployment.server_name):
        where, enable, text = "conf-available", "a2enconf", body
    else:
        where, enable, text = "sites-available", "a2ensite", _site(deployment, body)
    if everywhere:
        text = f"{everywhere}\n\n{text}"
    modules += " ssl" * bool(deployment.tls)
    head = comment(
        f"/etc/apache2/{where}/{deployment.name}.conf",
        "",
        *notes,
        "Then:",
        f"  sudo a2enmod {modules} && sudo {enable} {deployment.name}",
        "  sudo apachectl configtest && sudo systemctl restart apache2",
    )
    return f"{head}\n{text}"


def _site(deployment: Deployment, body: str) -> str:
    """A virtual host, and where HTTPS is on its usual port another one that leads there.

    That one needs the name: Apache gives requests for a name that no site has to the first site.
    """
    listen, tls, name = deployment.listen, deployment.tls, deployment.server_name
    port = listen.port if listen is not None else 443 if tls else 80
    text = ""
    if listen is not None and (listen.host or port not in (80, 443)):
        text += f"Listen {listen if listen.host else port}\n"
    if tls and listen is None and name:
        text += _host(80, [f"ServerName {name}", f"Redirect permanent / https://{name}/"])
    lines = [f"ServerName {name}"] if name else []
    if tls:
        lines += [
            "SSLEngine on",
            f"SSLCertificateFile {tls.certificate}",
            f"SSLCertificateKeyFile {tls.key}",
        ]
    return text + _host(port, [*lines, *body.splitlines()])


def _host(port: int, lines: list[str]) -> str:
    body = "".join(f"    {line}".rstrip() + "\n" for line in lines)
    return f"<VirtualHost *:{port}>\n{body}</VirtualHost>\n"
