"""nginx: ngx_http_fastcgi_module."""

from __future__ import annotations

from hashlib import sha256

from gfcgi.addresses import TCPAddress
from gfcgi.configurations.deployment import (
    MAX_BODY_BYTES,
    TIMEOUT_SECONDS,
    Deployment,
    Static,
    comment,
)
from gfcgi.limits import GIB

__all__ = ["nginx"]

USER = "www-data"


def nginx(deployment: Deployment) -> str:
    """A site with its upstream.

    - All params are here, because the stock fastcgi_params have no PATH_INFO, have as REMOTE_USER
      the name that the client claims, and (Debian's, before nginx 1.30) an HTTP_HOST without the
      port. A second line for a param would not replace the first.
    - HTTP_HOST: ``$host`` has no port. ``$http_host`` is what the client sent, and may differ from
      the host of the request line, which counts. So ``map`` takes the port from ``$http_host`` if
      both name the same host. SERVER_PORT would be wrong behind a mapped port.
    - The last lines keep header fields from the application: Proxy becomes the variable from which
      HTTP libraries take a proxy, and the other three concern the body, which nginx has decoded.
    - ``fastcgi_split_path_info`` says where SCRIPT_NAME ends. ``(?s)`` lets the dot match a newline
      (``%0A``); without it such a path is not split.
    - ``keepalive`` with ``fastcgi_keep_conn`` is safe: nginx closes its idle connections after a
      minute, long before gfcgi does (idle_timeout_seconds).
    - ``fastcgi_buffer_size`` must hold all headers of a response. The default is 4 KB. nginx wants
      ``fastcgi_buffers`` of at least that size.
    - ``server_name ~^``, a regular expression that fits every name: a name alone would leave the
      requests of other machines to Debian's ``default`` site. It comes second, so that SERVER_NAME
      is ``localhost`` as before.
    - ``^~``: files come before the regular expression of the application's location. Both their
      ``location`` and their ``alias`` end with a slash; with one alone ``/static../`` would leave
      the directory.
    - nginx passes Authorization on.
    """
    port = f"${_variable(deployment.name)}_port"
    upstream, where = "", _address(deployment)
    if deployment.keep_conn or deployment.others:
        upstream, where = _upstream(deployment), deployment.name
    lines = [
        f"fastcgi_split_path_info ^({deployment.pattern})((?s).*)$;",
        *_params(port),
        *(["fastcgi_keep_conn on;"] if deployment.keep_conn else []),
        f"fastcgi_read_timeout {TIMEOUT_SECONDS}s;      # no output for so long: 504",
        f"fastcgi_send_timeout {TIMEOUT_SECONDS}s;",
        "fastcgi_buffer_size 16k;        # all headers of a response",
        "fastcgi_param FASTCGI_BUFFER_SIZE 16384;  # gfcgi warns of more",
        "fastcgi_buffers 8 16k;",
        *(_streaming() if deployment.streaming else []),
        f"fastcgi_pass {where};",
    ]
    location = f"~ ^{deployment.pattern}(?:/|$)" if deployment.mount else "/"
    name = deployment.name
    head = comment(
        f"/etc/nginx/sites-available/{name}",
        "",
        *deployment.how_to_start(USER),
        "",
        "Then:",
        f"  sudo ln -s ../sites-available/{name} /etc/nginx/sites-enabled/{name}",
        "  sudo nginx -t && sudo systemctl reload nginx",
        "",
        "If the site exists already, put the location into its server block.",
    )
    body = "\n".join("        " + line for line in lines)
    return f"""\
{head}{upstream}
{_port_map(port)}
{_redirect(deployment)}\
server {{
{_listen(deployment)}
{_names(deployment)}{_certificate(deployment)}\
    client_max_body_size {MAX_BODY_BYTES // GIB}g;            # the largest upload
{_slashes(deployment)}{"".join(map(_static, deployment.static))}\

    location {location} {{
{body}
    }}
}}
"""


def _variable(name: str) -> str:
    """The site's name as the beginning of one of nginx's variables, and of a group in a regular
    expression: that has 32 characters at most, ``_port_named`` among them, and no digit first."""
    stem = name.replace("-", "_").lower()
    if len(stem) > 21 or stem[0].isdigit():
        stem = f"site_{sha256(stem.encode()).hexdigest()[:12]}"
    return stem


def _port_map(port: str) -> str:
    return rf"""# The port that the client names, as in example.org:8080. $host has none.
map "$host|$http_host" {port} {{
    "~*^([^|]+)\|\1(?<{port[1:]}_named>:[0-9]+)$" {port}_named;
    default "";
}}
"""


def _params(port: str) -> list[str]:
    return [
        *(f"fastcgi_param {name} {value};" for name, value in _PARAMS.items()),
        f"fastcgi_param HTTP_HOST $host{port};",
        *(f'fastcgi_param {name} "" if_not_empty;' for name in _HIDDEN),
        "# With auth_basic, nginx has checked the name:",
        "# fastcgi_param REMOTE_USER $remote_user;",
    ]


_PARAMS = {
    "QUERY_STRING": "$query_string",
    "REQUEST_METHOD": "$request_method",
    "CONTENT_TYPE": "$content_type if_not_empty",
    "CONTENT_LENGTH": "$content_length if_not_empty",
    "SCRIPT_NAME": "$fastcgi_script_name",
    "PATH_INFO": "$fastcgi_path_info",
    "REQUEST_URI": "$request_uri",
    "DOCUMENT_ROOT": "$document_root",
    "SERVER_PROTOCOL": "$server_protocol",
    "REQUEST_SCHEME": "$scheme",
    "HTTPS": "$https if_not_empty",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "nginx/$nginx_version",
    "REMOTE_ADDR": "$remote_addr",
    "REMOTE_PORT": "$remote_port",
    "SERVER_ADDR": "$server_addr",
    "SERVER_PORT": "$server_port",
    "SERVER_NAME": "$server_name",
}
_HIDDEN = ("HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING")


def _slashes(deployment: Deployment) -> str:
    if not deployment.keep_slashes:
        return ""
    return "    merge_slashes off;                  # the application gets //\n"


def _upstream(deployment: Deployment) -> str:
    """The processes. nginx sends a request that one has not begun with, or a GET, to the next.

    ``max_fails=0``: by default nginx leaves one that refused a connection out for 10 seconds, and
    during a rolling restart that may be all of them. On this machine a refusal costs no time.
    """
    lines = []
    if deployment.others:
        lines.append(
            "# The next process gets what one could not take, and a GET that one has died of."
        )
        lines.append("# nginx has no health checks of its own: a request finds out who answers.")
    for one in deployment.each():
        fails = " max_fails=0" if deployment.others and not one.is_remote else ""
        lines.append(f"server {_address(one)}{fails};")
    if deployment.keep_conn:
        blanks = " " * 23
        lines.append(f"keepalive 16;{blanks}# idle connections that each nginx worker keeps")
    body = "".join(f"    {line}\n" for line in lines)
    return f"\nupstream {deployment.name} {{\n{body}}}\n"


def _static(static: Static) -> str:
    return f"""
    location ^~ {static.url}/ {{
        alias {static.directory}/;
    }}
"""


def _address(deployment: Deployment) -> str:
    return f"unix:{deployment.socket_path}" if deployment.socket_path else str(deployment.address)


def _listen(deployment: Deployment) -> str:
    ssl = " ssl" if deployment.tls else ""
    if deployment.listen is None:
        port = 443 if deployment.tls else 80
        return f"    listen {port}{ssl};\n    listen [::]:{port}{ssl};"
    return f"    listen {address_or_port(deployment.listen)}{ssl};"


def _names(deployment: Deployment) -> str:
    if deployment.server_name:
        return f"    server_name {deployment.server_name};\n"
    return """\
    # Every name and address that no other site has; with --server-name a site has its own.
    server_name localhost ~^;
"""


def _certificate(deployment: Deployment) -> str:
    if deployment.tls is None:
        return ""
    return f"""\
    ssl_certificate {deployment.tls.certificate};
    ssl_certificate_key {deployment.tls.key};
"""


def _redirect(deployment: Deployment) -> str:
    """Whoever asks by HTTP is led to HTTPS, as far as its port is known."""
    if deployment.tls is None or deployment.listen is not None:
        return ""
    return f"""\
server {{
    listen 80;
    listen [::]:80;
{_names(deployment)}\
    return 301 https://$host$request_uri;
}}

"""


def address_or_port(listen: TCPAddress) -> str:
    """An address to listen on, or the port alone for all addresses."""
    return str(listen) if listen.host else str(listen.port)


def _streaming() -> list[str]:
    return [
        "fastcgi_request_buffering off;  # the application reads while the upload still comes",
        "fastcgi_buffering off;          # nginx sends its output on at once",
    ]
