"""Caddy: reverse_proxy with the FastCGI transport."""

from __future__ import annotations

from gfcgi.configurations.deployment import MAX_BODY_BYTES, TIMEOUT_SECONDS, Deployment, comment

__all__ = ["caddy"]

USER = "caddy"


def caddy(deployment: Deployment) -> str:
    """A site of the Caddyfile.

    - Below the root ``uri strip_prefix`` removes the mount point from the path, and ``env`` sets
      both halves. At the root Caddy's own values are right: SCRIPT_NAME is empty, and PATH_INFO is
      the whole path.
    - ``handle`` blocks exclude each other, and Caddy takes them in their order. ``file_server`` has
      its own ``root``, so a path cannot leave the directory.
    - The matcher has two paths because ``/app*`` would match ``/apple`` too.
    - ``flush_interval -1`` sends output on at once. By default Caddy does so only for event
      streams.
    - Caddy passes uploads on as they come, and Authorization. It keeps no connections.
    """
    lines = ["request_body {", f"\tmax_size {MAX_BODY_BYTES}", "}"]
    lines += [f"reverse_proxy {' '.join(map(_address, deployment.each()))} {{"]
    if deployment.others:
        lines += [
            "\t# The next process gets a GET that one could not take. A POST gets 502: Caddy does",
            "\t# not tell whether a process has begun with it. Then it leaves that process out.",
            "\t# It asks for no ping (health_uri): Caddy 2.6 fails at that over FastCGI (its issue",
            "\t# 5281).",
            "\tlb_policy round_robin",
            "\tlb_try_duration 5s",
            "\tlb_try_interval 50ms",
            "\tfail_duration 2s",
        ]
    if deployment.streaming:
        lines += ["\t# Caddy sends the application's output on at once.", "\tflush_interval -1"]
    lines += ["\ttransport fastcgi {"]
    if deployment.mount:
        lines += [
            f"\t\tenv SCRIPT_NAME {deployment.mount}",
            "\t\tenv PATH_INFO {http.request.uri.path}",
        ]
    lines += [
        "\t\t# If the application sends nothing for so long, Caddy answers 504.",
        f"\t\tread_timeout {TIMEOUT_SECONDS}s",
        f"\t\twrite_timeout {TIMEOUT_SECONDS}s",
        "\t}",
        "}",
    ]
    if deployment.mount:
        lines = [
            f"@{deployment.name} path {deployment.mount} {deployment.mount}/*",
            f"handle @{deployment.name} {{",
            f"\turi strip_prefix {deployment.mount}",
            *("\t" + line for line in lines),
            "}",
        ]
    lines = [*_static(deployment), *lines]
    head = comment(
        "/etc/caddy/Caddyfile",
        "",
        *deployment.how_to_start(USER),
        "",
        "Then:",
        "  sudo caddy validate --config /etc/caddy/Caddyfile && sudo systemctl reload caddy",
        *([] if deployment.tls else _AUTOMATIC),
    )
    body = "\n".join("\t" + line for line in _bind(deployment) + _tls(deployment) + lines)
    return f"{head}\n{_address_of_the_site(deployment)} {{\n{body}\n}}\n"


_AUTOMATIC = ["", "Caddy serves HTTPS if a domain's name stands in place of the port."]


def _address(deployment: Deployment) -> str:
    return f"unix/{deployment.socket_path}" if deployment.socket_path else str(deployment.address)


def _static(deployment: Deployment) -> list[str]:
    lines = []
    for static in deployment.static:
        lines += [
            f"handle {static.url}/* {{",
            f"\turi strip_prefix {static.url}",
            f"\troot * {static.directory}",
            "\tfile_server",
            "}",
        ]
    return lines


def _address_of_the_site(deployment: Deployment) -> str:
    if deployment.listen is None:
        return deployment.server_name or (":443" if deployment.tls else ":80")
    return f"{deployment.server_name or ''}:{deployment.listen.port}"


def _tls(deployment: Deployment) -> list[str]:
    if deployment.tls is None:
        return []
    return [f"tls {deployment.tls.certificate} {deployment.tls.key}"]


def _bind(deployment: Deployment) -> list[str]:
    return (
        [f"bind {deployment.listen.host}"]
        if deployment.listen is not None and deployment.listen.host
        else []
    )
