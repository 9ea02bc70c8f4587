"""SCRIPT_NAME and PATH_INFO, which every Web server fills in its own way.

WSGI wants SCRIPT_NAME to be the mount point and PATH_INFO the rest, both percent-decoded. Each rule
below is one recorded way of saying it differently; none rebuilds a path from REQUEST_URI, which is
neither decoded nor normalised.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["correct_paths"]

_PROXY_FILENAME: Final = re.compile(r"proxy:(?:fcgi|balancer)://[^/]*(/.*)", re.DOTALL)


def correct_paths(params: dict[str, str], mount: str | None = None) -> None:
    """Set SCRIPT_NAME and PATH_INFO to what WSGI means by them.

    ``mount`` is the mount point where the operator said it, because some Web servers do not:
    "" or a path that begins with a slash and does not end with one.
    """
    script_name = params.get("SCRIPT_NAME")
    path_info = params.get("PATH_INFO")
    if mount is not None:
        full = (script_name or "") + (path_info or "")
        if full == mount or full.startswith(mount + "/"):
            params["SCRIPT_NAME"] = mount
            params["PATH_INFO"] = full[len(mount) :]
            return
    if path_info is None:
        script_name, path_info = _without_path_info(params, script_name or "")
    elif script_name is None:
        script_name = ""
    elif "REDIRECT_URL" not in params and script_name != "/":
        return
    redirect_url = params.get("REDIRECT_URL")
    if (
        redirect_url is not None
        and params.get("REDIRECT_STATUS") == "200"
        and redirect_url.endswith(path_info)
    ):
        # Apache's RewriteRule: SCRIPT_NAME is where it led, REDIRECT_URL what the person asked for.
        script_name = redirect_url[: len(redirect_url) - len(path_info)]
    if script_name == "/":
        script_name, path_info = "", path_info if path_info.startswith("/") else "/" + path_info
    params["SCRIPT_NAME"] = script_name
    params["PATH_INFO"] = path_info


def _without_path_info(params: dict[str, str], script_name: str) -> tuple[str, str]:
    proxied = _PROXY_FILENAME.fullmatch(params.get("SCRIPT_FILENAME", ""))
    if proxied is not None:
        # Apache's ProxyPass: SCRIPT_NAME is the whole path, SCRIPT_FILENAME ends with what follows
        # the mount point, still encoded.
        path = unquote_to_bytes(proxied[1].encode("latin-1")).decode("latin-1")
        if script_name.endswith(path):
            return script_name[: len(script_name) - len(path)], path
    elif params.get("SERVER_SOFTWARE", "").startswith("nginx/"):
        # nginx's stock fastcgi_params: SCRIPT_NAME is the whole path.
        return "", script_name
    return script_name, ""
