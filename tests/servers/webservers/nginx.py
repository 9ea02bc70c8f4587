"""nginx: buffered or streaming, a transport connection a request or kept."""

from __future__ import annotations

from dataclasses import dataclass

from servers.harness import need

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class Nginx(WebServer):
    """nginx, with Debian's own fastcgi_params."""

    keep_conn: bool = False
    #: Both ways: the request's body and the response are passed on as they come.
    streaming: bool = False

    def application(self, place: Place) -> tuple[str, str]:
        """What goes into http{}, and the location."""
        address = f"unix:{place.address.path}" if place.address.path else str(place.address)
        upstream, extra = "", []
        if self.keep_conn:
            upstream = f"upstream application {{ server {address}; keepalive 8; }}"
            address = "application"
            extra.append("fastcgi_keep_conn on;")
        if self.streaming:
            extra += ["fastcgi_request_buffering off;", "fastcgi_buffering off;"]
        location = f"""\
    location {place.mount or "/"} {{
      fastcgi_split_path_info ^({place.mount})(.*)$;
      include /etc/nginx/fastcgi_params;
      fastcgi_param PATH_INFO $fastcgi_path_info;
      {" ".join(extra)}
      fastcgi_pass {address};
    }}"""
        return upstream, location

    def command(self, place: Place) -> list[str]:
        root = place.root.path
        upstream, location = self.application(place)
        temporary = "\n".join(
            f"  {name}_temp_path {root}/tmp/{name};"
            for name in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
        )
        config = f"""\
daemon off;
worker_processes 1;
pid {root}/run/nginx.pid;
error_log {root}/logs/error.log info;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_max_body_size 1g;
{temporary}
  {upstream}
  server {{
    listen 127.0.0.1:{place.port} backlog=1024;
    server_name localhost;
{location}
  }}
}}
"""
        path = place.root.write("conf/nginx.conf", config)
        return [need("nginx"), "-p", f"{root}/", "-c", str(path), "-e", f"{root}/logs/error.log"]

    def version(self) -> str:
        return "nginx " + ask_version([need("nginx"), "-v"], r"nginx/([\d.]+)")
