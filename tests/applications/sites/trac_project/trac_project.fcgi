#!/usr/bin/env python3
"""Trac's WSGI application with its own check of passwords, and gfcgi."""

import os

import gfcgi.patched  # before Trac takes hold of locks and sockets

# isort: split

from trac.web.auth import BasicAuthentication
from trac.web.main import dispatch_request
from trac.web.standalone import AuthenticationMiddleware, TracEnvironMiddleware

project = os.path.join(os.path.dirname(os.path.abspath(__file__)), "project")
passwords = BasicAuthentication(os.path.join(project, "htpasswd"), "Probe")
application = TracEnvironMiddleware(dispatch_request, None, [os.path.join(project, "env")], True)
application = AuthenticationMiddleware(application, {"env": passwords}, "env")

if __name__ == "__main__":
    gfcgi.run(application)
