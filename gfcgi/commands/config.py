"""``python -m gfcgi config SERVER TARGET``: print a Web server's configuration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gfcgi.commands.own_name import called_as
from gfcgi.configurations import AUTHORIZERS, SERVERS, configuration
from gfcgi.current_directory import current_directory
from gfcgi.own_command import own_command

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Print the configuration. Raises ConfigError, and SystemExit(2) where argparse complains."""
    parsed = vars(_parser().parse_args(arguments))
    parsed["tls"] = parsed["tls"] and tuple(parsed["tls"])
    if parsed["directory"] is None:
        # An absolute TARGET that is a file needs none.
        anywhere = os.path.isabs(parsed["target"].rpartition(":")[0] or parsed["target"])
        parsed["directory"] = (current_directory() or os.sep) if anywhere else os.getcwd()
    if parsed["python"] is None:
        parsed.update(python=sys.executable, command=own_command())
    sys.stdout.write(configuration(parsed.pop("server"), parsed.pop("target"), **parsed))
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, SERVERS))
    servers = "\n".join(f"  {name:{width}}  {about.text}" for name, about in SERVERS.items())
    parser = argparse.ArgumentParser(
        prog=f"{called_as()} config",
        usage="%(prog)s SERVER TARGET [options]",
        description="Print the configuration of a Web server for an application. Its first line"
        " says where to save it, the next lines what to do then.\n\nSERVER is one of\n" + servers,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("server", metavar="SERVER", help="the server, as above")
    parser.add_argument(
        "target", metavar="TARGET", help="the application, written as for serve; it is not loaded"
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS",
        action="append",
        help="where the application listens, such as unix:/run/app.sock or 127.0.0.1:9000; default"
        " unix:/run/NAME/NAME.sock, where NAME comes from TARGET; unix:/run/lighttpd/NAME.sock for"
        " lighttpd with --spawn; 127.0.0.1:9000 for haproxy and apache-authnz; more than"
        " once: nginx, apache-proxy, caddy and haproxy divide the requests among the processes",
    )
    parser.add_argument(
        "--url",
        metavar="PATH",
        default="/",
        help="where the application is mounted, such as /app; default /",
    )
    parser.add_argument(
        "--spawn", action="store_true", help="the Web server starts the application's process"
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="pass uploads and responses on as they come, if the Web server can",
    )
    parser.add_argument(
        "--no-keep-conn",
        dest="keep_conn",
        action="store_false",
        help="use a new transport connection for each request",
    )
    parser.add_argument(
        "--multiplex",
        action="store_true",
        help="send many requests at once on one connection (haproxy)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=int,
        help="number of processes that the Web server starts; for systemd, gunicorn",
    )
    kinds = "; ".join(f"{name}: {text}" for name, text in AUTHORIZERS.items())
    parser.add_argument(
        "--authorizer",
        metavar="KIND",
        help=f"the application decides who may see the URL; KIND says on what: {kinds}",
    )
    parser.add_argument(
        "--listen", metavar="[HOST:]PORT", help="where the Web server listens; default 80"
    )
    parser.add_argument(
        "--keep-slashes",
        action="store_true",
        help="the application gets // and %%2F in the path as the client sent them",
    )
    parser.add_argument(
        "--static",
        metavar="URL=DIRECTORY",
        action="append",
        default=[],
        help="the Web server itself sends these files, as in /static=/srv/mysite/static; for an"
        " application at /app that is /app/static=…; can be given more than once",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="what files, sockets and sections are called after; default TARGET's name",
    )
    parser.add_argument(
        "--tls",
        nargs=2,
        metavar=("CERTIFICATE", "KEY"),
        help="the Web server speaks HTTPS, on port 443; both are files in PEM, and may be one file",
    )
    parser.add_argument("--server-name", metavar="NAME", help="the Web server's host name")
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="the Python that runs the application, and has gfcgi; default the program that prints"
        " this, with its Python",
    )
    parser.add_argument(
        "--directory",
        metavar="PATH",
        type=os.path.abspath,
        help="where modules and relative paths begin; default the current directory",
    )
    return parser
