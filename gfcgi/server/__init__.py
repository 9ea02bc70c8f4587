"""The gevent side: transport connections, a greenlet for each and for each of their requests."""

from gfcgi.server.server import Server

__all__ = ["Server"]
