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

    def command(self, place: Place) -> list[str]:
        root = place.root.path
        (root / "conf" / "fastcgi_params").symlink_to("/etc/nginx/fastcgi_params")
        site = place.root.write("conf/site", self.site(place))
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
  include /etc/nginx/mime.types;
  access_log off;
{temporary}
  include {site};
}}
"""
        path = place.root.write("conf/nginx.conf", config)
        return [need("nginx"), "-p", f"{root}/", "-c", str(path), "-e", f"{root}/logs/error.log"]

    def site(self, place: Place) -> str:
        """The configuration of the application."""
        return place.printed(
            "nginx", keep_conn=self.keep_conn, streaming=self.streaming, listen=place.listen
        )

    def version(self) -> str:
        return "nginx " + ask_version([need("nginx"), "-v"], r"nginx/([\d.]+)")
