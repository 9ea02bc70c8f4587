"""``python -m gfcgi config SERVER TARGET``: print a Web server's configuration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gfcgi.configurations import AUTHORIZERS, SERVERS, configuration

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Print the configuration. Raises ConfigError, and SystemExit(2) where argparse complains."""
    parsed = vars(_parser().parse_args(arguments))
    sys.stdout.write(configuration(parsed.pop("server"), parsed.pop("target"), **parsed))
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, SERVERS))
    servers = "\n".join(f"  {name:{width}}  {about.text}" for name, about in SERVERS.items())
    parser = argparse.ArgumentParser(
        prog="python -m gfcgi config",
        usage="%(prog)s SERVER TARGET [options]",
        description="Print the configuration of a Web server for an application: save it where its"
        " first line says, and follow the lines after it.\n\nSERVER is one of\n" + servers,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("server", metavar="SERVER", help="the server, as above")
    parser.add_argument(
        "target", metavar="TARGET", help="the application, as for serve; it is not loaded"
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS",
        help="where the application listens: unix:/run/app.sock or 127.0.0.1:9000; default"
        " unix:/run/NAME/NAME.sock after TARGET's name, unix:/run/lighttpd/NAME.sock for lighttpd"
        " with --spawn, and 127.0.0.1:9000 for haproxy and apache-authnz",
    )
    parser.add_argument(
        "--url", metavar="PATH", default="/", help="where it is mounted, such as /app; default /"
    )
    parser.add_argument(
        "--spawn", action="store_true", help="the server starts the application's process"
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="pass on uploads and responses as they come, as far as the server can",
    )
    parser.add_argument(
        "--no-keep-conn",
        dest="keep_conn",
        action="store_false",
        help="a transport connection for each request",
    )
    parser.add_argument(
        "--multiplex", action="store_true", help="many requests at once on one (haproxy)"
    )
    parser.add_argument(
        "--processes", metavar="N", type=int, help="how many processes the server starts"
    )
    kinds = "; ".join(f"{name}: {text}" for name, text in AUTHORIZERS.items())
    parser.add_argument(
        "--authorizer",
        metavar="KIND",
        help=f"the application decides who may see the URL. KIND is {kinds}",
    )
    parser.add_argument(
        "--listen", metavar="[HOST:]PORT", help="where the Web server listens; default 80"
    )
    parser.add_argument("--server-name", metavar="NAME", help="the Web server's host name")
    parser.add_argument(
        "--python",
        metavar="PATH",
        default=sys.executable,
        help="the Python that starts the application; default this one",
    )
    parser.add_argument(
        "--directory",
        metavar="PATH",
        type=os.path.abspath,
        default=os.getcwd(),
        help="where modules and relative paths are found; default this one",
    )
    return parser
