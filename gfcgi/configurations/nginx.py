"""nginx: ngx_http_fastcgi_module."""

from __future__ import annotations

from gfcgi.addresses import TCPAddress
from gfcgi.configurations.site import MAX_BODY_BYTES, TIMEOUT_SECONDS, Site, comment

__all__ = ["nginx"]

USER = "www-data"
GIB = 1024**3


def nginx(site: Site) -> str:
    """A site with its upstream.

    - ``fastcgi_split_path_info`` says where SCRIPT_NAME ends, which the stock fastcgi_params do
      not; with ``(?s)``, because a dot would not match a newline (``%0A``) and nothing be split.
    - ``keepalive`` with ``fastcgi_keep_conn`` is safe: nginx closes its idle connections after a
      minute, long before gfcgi does (idle_timeout_seconds).
    - ``fastcgi_buffer_size`` holds the response's headers, by default 4 KB of them;
      ``fastcgi_buffers`` of the same size, because nginx refuses less.
    - Authorization is passed on by itself.
    """
    upstream, where = "", _address(site)
    if site.keep_conn:
        upstream = f"""
upstream {site.name} {{
    server {where};
    keepalive 16;                       # idle connections that each nginx worker keeps
}}
"""
        where = site.name
    lines = [
        f"fastcgi_split_path_info ^({site.pattern})((?s).*)$;",
        "include fastcgi_params;",
        "fastcgi_param PATH_INFO $fastcgi_path_info;",
        *(["fastcgi_keep_conn on;"] if site.keep_conn else []),
        f"fastcgi_read_timeout {TIMEOUT_SECONDS}s;      # silence of the application until 504",
        f"fastcgi_send_timeout {TIMEOUT_SECONDS}s;",
        "fastcgi_buffer_size 16k;        # all headers of a response",
        "fastcgi_buffers 8 16k;",
        *(_streaming() if site.streaming else []),
        f"fastcgi_pass {where};",
    ]
    location = f"~ ^{site.pattern}(?:/|$)" if site.mount else "/"
    path = f"/etc/nginx/sites-available/{site.name}"
    head = comment(
        path,
        "",
        *site.how_to_start(USER),
        "",
        "Then:",
        f"  sudo ln -s ../sites-available/{site.name} /etc/nginx/sites-enabled/{site.name}",
        "  sudo nginx -t && sudo systemctl reload nginx",
        "",
        "For a site that is there already, put the location into its server block.",
    )
    body = "\n".join("        " + line for line in lines)
    return f"""\
{head}{upstream}
server {{
{_listen(site)}
    server_name {site.server_name or "localhost"};
    client_max_body_size {MAX_BODY_BYTES // GIB}g;            # the largest upload

    location {location} {{
{body}
    }}
}}
"""


def _address(site: Site) -> str:
    return f"unix:{site.socket_path}" if site.socket_path else str(site.address)


def _listen(site: Site) -> str:
    if site.listen is None:
        return "    listen 80;\n    listen [::]:80;"
    return f"    listen {address_or_port(site.listen)};"


def address_or_port(listen: TCPAddress) -> str:
    """An address to listen on, or the port alone where it is to be every address's."""
    return str(listen) if listen.host else str(listen.port)


def _streaming() -> list[str]:
    return [
        "fastcgi_request_buffering off;  # the application reads while the upload still comes",
        "fastcgi_buffering off;          # what it sends goes out at once",
    ]
