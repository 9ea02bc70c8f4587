"""Which Web server a request came from, by what it says of itself."""

from __future__ import annotations

from typing import Final

__all__ = ["ERROR_LINE_CHARACTERS", "recognise"]

ERROR_LINE_CHARACTERS: Final = {"Apache mod_fastcgi": 1000}
"""What a Web server's error log takes of a line: mod_fastcgi cuts at 1023 bytes."""

_BY_SOFTWARE: Final = (
    ("nginx/", "nginx"),
    ("lighttpd/", "lighttpd"),
    ("Caddy/", "Caddy"),
    ("h2o/", "H2O"),
    ("HAProxy", "HAProxy"),
    ("gfcgi/", "gfcgi"),
)


def recognise(params: dict[str, str]) -> str:
    """Return a name such as "nginx" or "Apache mod_fcgid"; "" for a Web server we do not know.

    ``params`` is as it arrived, before any rule.
    """
    software = params.get("SERVER_SOFTWARE", "")
    for beginning, name in _BY_SOFTWARE:
        if software.startswith(beginning):
            return name
    if not software.startswith("Apache"):
        return ""
    if params.get("SCRIPT_FILENAME", "").startswith("proxy:"):
        return "Apache mod_authnz_fcgi" if "FCGI_ROLE" in params else "Apache mod_proxy_fcgi"
    for module in ("mod_fcgid", "mod_fastcgi"):
        if f" {module}/" in software:
            return f"Apache {module}"
    if "FCGI_ROLE" in params:
        return "Apache mod_authnz_fcgi"
    return "Apache"
