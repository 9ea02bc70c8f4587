"""Caddy: reverse_proxy with the FastCGI transport."""

from __future__ import annotations

from gfcgi.configurations.site import MAX_BODY_BYTES, TIMEOUT_SECONDS, Site, comment

__all__ = ["caddy"]

USER = "caddy"


def caddy(site: Site) -> str:
    """A site of the Caddyfile.

    - Below the root ``uri strip_prefix`` takes the mount point off the path, and ``env`` says
      both halves. At the root Caddy's own values are right: an empty SCRIPT_NAME, PATH_INFO whole.
    - The matcher has two paths, because ``/app*`` would take ``/apple`` too.
    - ``flush_interval -1`` sends on at once; Caddy by itself does so for event streams alone.
    - Caddy passes uploads on as they come, and Authorization. It keeps no connections.
    """
    lines = ["request_body {", f"\tmax_size {MAX_BODY_BYTES}", "}"]
    lines += [f"reverse_proxy {_address(site)} {{"]
    if site.streaming:
        lines += ["\t# What the application sends goes out at once.", "\tflush_interval -1"]
    lines += ["\ttransport fastcgi {"]
    if site.mount:
        lines += [
            f"\t\tenv SCRIPT_NAME {site.mount}",
            "\t\tenv PATH_INFO {http.request.uri.path}",
        ]
    lines += [
        "\t\t# Silence of the application until 504.",
        f"\t\tread_timeout {TIMEOUT_SECONDS}s",
        f"\t\twrite_timeout {TIMEOUT_SECONDS}s",
        "\t}",
        "}",
    ]
    if site.mount:
        lines = [
            f"@{site.name} path {site.mount} {site.mount}/*",
            f"handle @{site.name} {{",
            f"\turi strip_prefix {site.mount}",
            *("\t" + line for line in lines),
            "}",
        ]
    head = comment(
        "/etc/caddy/Caddyfile",
        "",
        *site.how_to_start(USER),
        "",
        "Then:",
        "  sudo caddy validate --config /etc/caddy/Caddyfile && sudo systemctl reload caddy",
        "",
        "A domain's name instead of the port makes Caddy serve HTTPS.",
    )
    body = "\n".join("\t" + line for line in _bind(site) + lines)
    return f"{head}\n{_address_of_the_site(site)} {{\n{body}\n}}\n"


def _address(site: Site) -> str:
    return f"unix/{site.socket_path}" if site.socket_path else str(site.address)


def _address_of_the_site(site: Site) -> str:
    if site.listen is None:
        return site.server_name or ":80"
    return f"{site.server_name or ''}:{site.listen.port}"


def _bind(site: Site) -> list[str]:
    return [f"bind {site.listen.host}"] if site.listen is not None and site.listen.host else []
