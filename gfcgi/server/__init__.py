"""The gevent side: it accepts transport connections, and runs each request in a greenlet."""

from gfcgi.server.server import Server

__all__ = ["Server"]
