#!/usr/bin/env python3
"""Django's own wsgi.py, and gfcgi."""

import os
import sys

import gfcgi.patched  # before Django takes hold of locks and sockets

# isort: split

from django.core.wsgi import get_wsgi_application

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "project"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()

if __name__ == "__main__":
    gfcgi.run(application)
