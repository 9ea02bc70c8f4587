"""The Web servers of the table, one file each."""

from .apache import ApacheCGI, ApacheFcgid, ApacheProxy
from .base import Asking, Place, WebServer
from .caddy import Caddy
from .development import Development
from .fastcgi import ApacheFastcgi
from .h2o import H2O
from .haproxy import HAProxy
from .lighttpd import Lighttpd
from .nginx import Nginx

__all__ = [
    "ApacheCGI",
    "ApacheFastcgi",
    "ApacheFcgid",
    "ApacheProxy",
    "Asking",
    "Caddy",
    "Development",
    "H2O",
    "HAProxy",
    "Lighttpd",
    "Nginx",
    "Place",
    "WebServer",
]
